"""A pilot run: some tenants first. Chooses them, describes how much they are, and continues with all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from pglast.parser import ParseError
from psycopg.types.json import Jsonb

from tenantry.derivation.keys import mapping_key
from tenantry.derivation.pilot import Inside
from tenantry.errors import JournalMismatch, NotReady, SubsetWrong
from tenantry.journal.journal import Connection, Journal, Run
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.expressions import Expressions, has_select
from tenantry.mapping.project import Subset
from tenantry.plan import Plan
from tenantry.postgres import ident, literal
from tenantry.statements.merge import merging

_SHOWN = 5
"""Steps that can be run again over their own results."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tenants of a pilot that has not begun: their source keys, and their share of the tables."""

    subset: Subset
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.subset.tenants:,} of {self.subset.of:,} tenants ({_listed(self.keys)})"


def of_run(run: Run) -> Subset | None:
    """Return the subset with which a run began."""
    if run.subset is None:
        return None
    said = run.subset
    return Subset(str(said["condition"]), said["state"], int(said["tenants"]), int(said["of"]))


def same_subset(run: Run, condition: str) -> None:
    """Check that the existing run is the requested pilot.

    Raises:
        JournalMismatch: it is another pilot, or none.
    """
    subset = of_run(run)
    if (
        subset is not None
        and subset.state == "trial"
        and " ".join(subset.condition.split()) == " ".join(condition.split())
    ):
        return
    if subset is None:
        said, hint = (
            "takes all tenants",
            "Resume it (`tenantry migrate`), or undo it (`tenantry rollback --everything`) and begin a pilot.",
        )
    elif subset.state == "rest":
        said, hint = (
            "has continued with all tenants",
            "`tenantry migrate` resumes it, `tenantry rollback --everything` undoes it.",
        )
    else:
        said = f"is {subset} ({subset.condition})"
        hint = (
            "`tenantry migrate` resumes it, `tenantry migrate --rest` continues with all other tenants. To choose others, undo it first:"
            " `tenantry rollback --everything`."
        )
    raise JournalMismatch(
        f"Run {run.id} {said}. It cannot choose other tenants before it is undone. Nothing was changed.",
        hint=hint,
        detail={"asked": condition},
    )


def choose(connection: Connection, project: Project, condition: str) -> Chosen:
    """Return the tenants that fulfil a condition over their source table.

    Raises:
        SubsetWrong: it is no condition over that table, or no tenant fulfils it.
    """
    root = _root(project)
    name = root.source.name
    # As typed in a shell, where the double quotes of names with capitals must be escaped.
    column = ident(name, root.key[0]).replace("\\", "\\\\").replace('"', '\\"')
    example = f"--only \"{column} in ('…')\""
    problems: list[str] = []
    expressions = Expressions(lambda _key, message: problems.append(message))
    right = expressions.check(condition, {name: root.source, "s": root.source}, ())
    try:
        if right and has_select(condition):
            problems.append(f"{condition!r} holds a query of its own; it may only compare columns of {name}")
    except ParseError as error:
        problems.append(f"{condition!r} is not an SQL expression: {error.args[0]}")
    if problems:
        raise SubsetWrong(
            f"--only must be a condition over {name}, the table of the tenants: {problems[0]}.",
            hint=f"Write it as {example}.",
        )
    table = ident(project.source.schema, name)
    other = f" cross join lateral (select s.*) {ident(name)}" if name != "s" else ""
    where = f" where ({root.where})" if root.where else ""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set transaction read only")
            found = [
                str(row[0])
                for row in connection.execute(
                    f"select {mapping_key(root)} from (select s.* from {table} s{where}) s{other} where ({condition}) order by 1"
                )
            ]
            if found and root.merge is not None:
                found = _with_same(connection, project, root, found)
            row = connection.execute(f"select count(*) from {table} s{where}").fetchone()
    except psycopg.Error as error:
        raise SubsetWrong(
            f"PostgreSQL refuses the condition {condition!r} over {name}: {error.diag.message_primary or error}.",
            hint=f"Write it as {example}.",
        ) from None
    assert row is not None
    if not found:
        raise SubsetWrong(
            f"No row of {name} fulfils {condition!r}, so no tenant is chosen. Nothing was changed.",
            hint=f"{name} has {row[0]:,} rows. Write the condition as {example}.",
        )
    return Chosen(Subset(condition, "trial", len(found), int(row[0])), tuple(found))


def describe(connection: Connection, project: Project, chosen: Chosen) -> str:
    """Describe the size of a pilot in one sentence; reads the tenants' tables once."""
    keys = ", ".join(literal(key) for key in chosen.keys)
    inside = Inside(project, chosen=lambda key: f"{key} = any (array[{keys}]::text[])")
    rows = total = 0
    for mapping in project:
        if inside.kinds[mapping.name] != "tenant":
            continue
        relation = inside.rows(mapping)
        row = connection.execute(
            f"select (select count(*) from {relation} s where {inside.condition(mapping)}), (select count(*) from {relation} s)"
        ).fetchone()
        assert row is not None
        rows, total = rows + int(row[0]), total + int(row[1])
    return (
        f"A pilot of {chosen}: {rows:,} of the {total:,} rows of tenants' tables, the people that they reference, and all rows that"
        " tenants share."
    )


def begin(connection: Connection, chosen: Chosen) -> None:
    """Record the tenants in the journal, in the transaction that begins the run."""
    connection.execute(f"insert into {JOURNAL}.only select unnest(%s::text[])", [list(chosen.keys)])


def begin_rest(connection: Connection, journal: Journal, project: Project, plan: Plan, run: Run) -> None:
    """Turn a pilot into a complete run, in one transaction: drop keys and indexes of the target, and mark every copy step as not
    done, to copy the missing rows.

    Raises:
        NotReady: the run is no pilot, or is not finished.
    """
    subset = of_run(run)
    if subset is None:
        raise NotReady(
            f"Run {run.id} takes all tenants, so there are no others for --rest.",
            hint="If it is not ready, `tenantry migrate` resumes it.",
        )
    if subset.state == "rest":
        return
    if run.status != "ready":
        raise NotReady(
            f"The pilot is not finished: run {run.id} is {run.status}, in phase {run.phase}.",
            hint="`tenantry migrate` resumes the pilot. When it is ready, `tenantry migrate --rest` continues with all others.",
        )
    done = journal.done_steps(connection)
    steps = [step for step in plan if step.rerun == "rest"]
    again = [step for step in steps if step.undo_first and step.id in done]
    with connection.transaction():
        # Only the run uses the target, except people who read it: wait for them.
        connection.execute("set local lock_timeout = 0")
        connection.execute("set constraints all immediate")
        for statement in _derived_again(project):
            connection.execute(statement)
        for step in reversed(again):
            for statement in step.undo:
                connection.execute(statement)
        journal.say(connection, "forget_chunks")
        journal.say(connection, "reopen_steps", steps=[step.id for step in steps])
        journal.say(connection, "set_verified", verified=False)
        journal.say(connection, "set_subset", subset=Jsonb({**(run.subset or {}), "state": "rest"}))
        journal.say(connection, "set_status", status="running")
        journal.event(
            connection,
            "rest",
            f"after the pilot of {subset.tenants} tenants all other tenants are migrated",
            tenants=subset.tenants,
        )


def _derived_again(project: Project) -> list[str]:
    """Return statements that mark rows which the pilot could not derive completely: rows in quarantine, and rows whose reference to
    another tenant's row had to be left empty."""
    inside = Inside(project)
    log = f"insert into {JOURNAL}.source_log (table_name, new_key)"
    statements = [f"{log} select distinct source_table, source_key from {JOURNAL}.quarantine where state = 'open'"]
    for mapping in project:
        if mapping.scoped:
            continue
        for ref in mapping.references:
            if inside.kind(ref.parent) == "tenant":
                where = [inside.beyond(mapping, ref), *filter(None, [inside.condition(mapping)])]
                statements.append(
                    f"{log} select {literal(mapping.source.name)}, {mapping_key(mapping)} from {inside.rows(mapping)} s"
                    f" where {' and '.join(where)}"
                )
    return statements


def _root(project: Project) -> Mapping:
    roots = [mapping for mapping in project if mapping.is_root]
    if not roots:
        if project.manifest.tenant.values is not None:
            raise SubsetWrong(
                "Tenants are made from values ([tenant.values]), so --only has no table of tenants to choose from.",
                hint="Migrate all tenants at once. `tenantry rehearse` tries everything on a copy.",
            )
        raise SubsetWrong(
            "Everything in the source belongs to one tenant ([tenant] constant), so --only has nothing to choose from.",
            hint="Migrate the tenant. `tenantry rehearse` tries everything on a copy.",
        )
    if len(roots) > 1:
        raise SubsetWrong(
            f"Tenants come from several tables ({', '.join(each.source.name for each in roots)}), so --only cannot choose some.",
            hint="Migrate all tenants at once. `tenantry rehearse` tries everything on a copy.",
        )
    return roots[0]


def _with_same(connection: Connection, project: Project, root: Mapping, keys: Sequence[str]) -> list[str]:
    """Add tenants that are merged with a chosen one."""
    listed = ", ".join(literal(key) for key in keys)
    key, same = root.ours("key"), root.ours("same")
    tail = (
        f"select a.{key} from hashed a where a.{same} in"
        f" (select b.{same} from hashed b where b.{key} = any (array[{listed}]::text[]))"
    )
    more = [str(row[0]) for row in connection.execute(merging(project, root, tail))]
    return sorted({*keys, *more})


def _listed(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:_SHOWN])
    return f"{shown}, …" if len(keys) > _SHOWN else shown


__all__ = ["Chosen", "begin", "begin_rest", "choose", "describe", "of_run", "same_subset"]
