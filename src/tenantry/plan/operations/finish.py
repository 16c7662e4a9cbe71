"""Verify, secure, cut over."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tenantry.access import cutover_grants, cutover_revokes, secure_statements
from tenantry.accounts.sync import drop_functions_sql, functions_sql, triggers_sql
from tenantry.catalog import Catalog
from tenantry.catalog import Sequence as CatalogSequence
from tenantry.derivation.numbers import columns_of
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.plan.environment import Environment
from tenantry.plan.estimates import SCAN_SECONDS, VERIFY_SECONDS
from tenantry.plan.model import Step
from tenantry.plan.operations.capture import (
    capture_function,
    fed_tables,
    source_fence,
    source_triggers,
    target_fence,
    target_triggers,
)
from tenantry.plan.operations.indexes_and_keys import legacy_index, triggers
from tenantry.postgres import ident, literal


def verify(project: Project, rows: dict[str, int], after: Sequence[str]) -> list[Step]:
    """Compare source and target; the statements are made by `migrate.verify`, and only read."""
    steps = []
    for mapping in project:
        count = rows[mapping.source.name]
        steps.append(
            Step(
                id=f"verify.rows:{mapping.name}",
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
            id=f"secure.table:{security.table}" if security.table else "secure.schema",
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
    functions = functions_sql(project)
    if functions:
        steps.append(
            Step(
                id="secure.in_step",
                phase="secure",
                kind="sql",
                title="Make the functions that will keep accounts and profiles in step; they wait for the cut-over",
                sql=functions,
                undo=drop_functions_sql(project),
                lock="none that others feel",
                risk="none",
                seconds=0.05,
                after=previous,
            )
        )
    return steps


def drain(after: Sequence[str]) -> Step:
    """Replay from the log of changes until next to nothing is left."""
    return Step(
        id="replay.drain",
        phase="replay",
        kind="replay",
        title="Carry over what changed meanwhile, until next to nothing is left",
        sql=(),
        undo=(),
        lock="none that others feel",
        risk="none",
        seconds=0.5,
        after=tuple(after),
        rows=0,
    )


def cut_over(project: Project, environment: Environment, after: Sequence[str]) -> Step:
    """Sequences, write rights on the target, and the fence on the source instead of the target: one transaction, with the
    source locked, that also carries over the last changes."""
    target = project.target.schema
    return Step(
        id="cut_over",
        phase="cut over",
        kind="cut over",
        title=f"Give clients write rights on {target}, and refuse writes to {project.source.schema}",
        sql=(
            *sequences(project),
            *cutover_grants(project),
            *triggers(project, on=True),
            *target_fence(project, on=False),
            *triggers_sql(project, environment.login, on=True),
            *source_fence(project, on=True),
            *source_triggers(project, on=False),
        ),
        undo=(
            *source_triggers(project, on=True),
            *source_fence(project, on=False),
            *triggers_sql(project, environment.login, on=False),
            *target_fence(project, on=True),
            *triggers(project, on=False),
            *cutover_revokes(project),
        ),
        lock="SHARE ROW EXCLUSIVE on the source tables: writers wait for at most the stall that is allowed (1 s)",
        risk="high",
        risk_note="From here on the application must use the target; the source refuses writes and says where the data is.",
        seconds=0.2,
        after=tuple(after),
    )


def final(project: Project, after: str) -> list[Step]:
    """What the contract does, and nothing takes back: the source goes, and with it what served the way back."""
    tables = [ident(project.source.schema, table.name) for table in project.source_tables]
    # Partitions go with their table; children by inheritance are named.
    tables += [
        ident(each.schema, each.name)
        for table in project.source_tables
        if table.kind != "partitioned"
        for each in table.below
    ]
    functions = [capture_function(table) for table in project.source_tables]
    gone = target_triggers(project, "")[1]
    indexes = [
        f"drop index if exists {ident(table.schema, name)}"
        for table in fed_tables(project)
        if (name := legacy_index(table)) is not None
    ]
    return [
        Step(
            id="contract.source",
            phase="contract",
            kind="contract",
            title=f"Drop the {len(functions)} source tables",
            sql=(
                f"drop table if exists {', '.join(tables)}",
                # Also off a table that somebody renamed.
                *(f"drop function if exists {function}() cascade" for function in functions),
            ),
            undo=(),
            lock="ACCESS EXCLUSIVE on the source tables, which nobody uses any more",
            risk="high",
            risk_note="There is no way back from here, but for an archive of the source.",
            seconds=0.1,
            after=(after,),
        ),
        Step(
            id="contract.target",
            phase="contract",
            kind="contract",
            title="Take off the target what served the way back",
            sql=(*gone, *indexes, f"truncate {JOURNAL}.source_log, {JOURNAL}.target_log"),
            undo=(),
            lock="ACCESS EXCLUSIVE on one target table at a time, for a moment",
            risk="low",
            seconds=0.1,
            after=("contract.source",),
        ),
    ]


def sequences(project: Project) -> list[str]:
    """Identity and serial columns of the target go on behind the largest value that was carried over."""
    return _go_on(project.target, {table.name for table in project.target.tables})


def source_sequences(project: Project) -> list[str]:
    """The same for the source, on the way back."""
    return _go_on(project.source, {table.name for table in project.source_tables})


def _go_on(catalog: Catalog, tables: Collection[str]) -> list[str]:
    statements = []
    for sequence, places in columns_of(catalog):
        for table, column in sorted(places):
            if table in tables:
                statements.append(_behind(catalog, sequence, table, column))
    return statements


def _behind(catalog: Catalog, sequence: CatalogSequence, table: str, column: str) -> str:
    largest, beyond, first = ("min", "<", "+") if sequence.increment < 0 else ("max", ">", "-")
    name = literal(ident(sequence.schema, sequence.name))
    # Never back: a value that was given out may be in use by a client that has not written it yet. Who dropped the sequence
    # meanwhile has no numbers to draw.
    return (
        f"select setval(q.id, m.v) from (select to_regclass({name}) as id) q, (select {largest}({ident(column)}) as v from"
        f" {ident(catalog.schema, table)}) m where q.id is not null and m.v is not null"
        f" and m.v {beyond} coalesce(pg_sequence_last_value(q.id), m.v {first} 1)"
    )
