"""Verify, secure, cut over."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.access import cutover_grants, cutover_revokes, secure_statements
from tenantry.manifest import Project
from tenantry.manifest.derive import JOURNAL
from tenantry.plan.environment import Environment
from tenantry.plan.estimates import SCAN_SECONDS, VERIFY_SECONDS
from tenantry.plan.model import Step
from tenantry.postgres import ident, literal


def verify(project: Project, rows: dict[str, int], after: Sequence[str]) -> list[Step]:
    """Compare source and target; the statements are made by `migrate.verify`, and only read."""
    steps = []
    for mapping in project:
        count = rows[mapping.source.name]
        steps.append(
            Step(
                id=f"verify.{mapping.name}",
                phase="verify",
                kind="verify",
                title=f"Compare every row of {mapping.source.name} and {mapping.name}",
                sql=(),
                undo=(),
                lock="ACCESS SHARE on the source",
                risk="none",
                seconds=VERIFY_SECONDS * count,
                after=tuple(after),
                mapping=mapping.name,
                table=mapping.target.name,
                rows=count,
            )
        )
    total = sum(step.rows for step in steps)
    for name, title in (
        ("catalog", "Compare keys, checks, indexes, triggers and comments with the plan"),
        ("ids", "Look for ids that stand for two rows"),
        ("references", "Look for rows whose parent is missing"),
        ("rules", "Run the business rules"),
    ):
        steps.append(
            Step(
                id=f"verify.{name}",
                phase="verify",
                kind="verify",
                title=title,
                sql=tuple(rule.sql for rule in project.manifest.rules) if name == "rules" else (),
                undo=(),
                lock="ACCESS SHARE on the source",
                risk="none",
                seconds=0.1 + (SCAN_SECONDS * 3 * total if name in ("ids", "references") else 0),
                after=tuple(after),
            )
        )
    return steps


def secure(project: Project, environment: Environment, after: Sequence[str]) -> list[Step]:
    """Policies, rights and row-level security, table by table; clients may read from here on, and write after the cut-over."""
    steps: list[Step] = []
    previous = tuple(after)
    for security in secure_statements(project, owner=environment.user):
        step = Step(
            id=f"secure.{security.table or '(schema)'}",
            phase="secure",
            kind="sql",
            title=f"Policies and rights of {security.table or 'the schema'}",
            sql=tuple(security.statements),
            undo=tuple(security.undo),
            lock="none that others feel: nobody uses the target yet",
            risk="none",
            seconds=0.02,
            after=previous,
            table=security.table,
        )
        steps.append(step)
        previous = (step.id,)
    return steps


def cut_over(project: Project, after: Sequence[str]) -> Step:
    """Sequences, write rights on the target, and the fence on the source: one transaction, the one that holds the lock."""
    target = project.target.schema
    fences, lifted = [], []
    for table in project.source_tables:
        name = ident(project.source.schema, table.name)
        homes = ", ".join(
            dict.fromkeys(ident(target, mapping.target.name) for mapping in project.of_source(table.name))
        )
        leaves = [name] + [
            ident(part.schema, part.name)
            for part in project.source.tables
            if part.partition_of == (table.schema, table.name)
        ]
        for position, leaf in enumerate(leaves):
            lifted.append(f"drop trigger if exists tenantry_fence on {leaf}")
            lifted.append(f"drop trigger if exists tenantry_fence_truncate on {leaf}")
            if table.kind == "partitioned" and position == 0:
                continue  # row triggers of a partitioned parent are cloned; the leaves get their own
            fences += [
                f"create trigger tenantry_fence before insert or update or delete on {leaf} for each row"
                f" execute function {JOURNAL}.refuse_write({literal(homes)})",
                f"create trigger tenantry_fence_truncate before truncate on {leaf} for each statement"
                f" execute function {JOURNAL}.refuse_write({literal(homes)})",
                f"alter table {leaf} enable always trigger tenantry_fence",
                f"alter table {leaf} enable always trigger tenantry_fence_truncate",
            ]
    return Step(
        id="cut_over",
        phase="cut over",
        kind="cut over",
        title=f"Give clients write rights on {target}, and refuse writes to {project.source.schema}",
        sql=(*_sequences(project), *cutover_grants(project), *fences),
        undo=(*lifted, *cutover_revokes(project)),
        lock="SHARE ROW EXCLUSIVE on the source tables, in the transaction that holds the write lock anyway",
        risk="high",
        risk_note="From here on the application must use the target; the source refuses writes and says where the data is.",
        seconds=0.2,
        after=tuple(after),
    )


def _sequences(project: Project) -> list[str]:
    """Identity and serial columns of the target go on behind the largest value that was copied."""
    statements = []
    for sequence in project.target.sequences:
        if sequence.owned_by is None:
            continue
        table, column = sequence.owned_by[-2:]
        largest = "min" if sequence.increment < 0 else "max"
        statements.append(
            f"select setval({literal(ident(sequence.schema, sequence.name))}, v) from"
            f" (select {largest}({ident(column)}) as v from {ident(project.target.schema, table)}) m where v is not null"
        )
    return statements
