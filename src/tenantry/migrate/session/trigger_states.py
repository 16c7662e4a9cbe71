"""Checks that Tenantry's triggers are in the state that the run's direction requires: others switch them too, e.g. pg_restore
--disable-triggers and Rails, with all triggers of a table (DISABLE TRIGGER ALL, then ENABLE TRIGGER ALL)."""

from __future__ import annotations

from collections.abc import Callable

from tenantry.journal.journal import Connection, Journal
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.migrate.session.locks import LockedTables, capture_tables
from tenantry.migrate.session.prepare import Prepared
from tenantry.postgres import ident, literal, load_blocks
from tenantry.statements.capture import (
    fed_tables,
    guards_sql,
    source_fence,
    source_triggers,
    target_capture,
    target_triggers,
)
from tenantry.statements.triggers import triggers

_PATIENCE = 60.0


def stand_guard(connection: Connection, journal: Journal, prepared: Prepared, notice: Callable[[str], None]) -> None:
    """Restore triggers that others switched, and have both sides compared for writes made meanwhile.

    `absorb` restores change capture of the source, with a full scan of the tables.
    """
    project, run = prepared.project, prepared.run
    done = journal.done_steps(connection)
    if run is None or run.status == "contracted" or not prepared.plan.has_done("fences target", done):
        return
    if run.direction == "forward":
        _target_closed(connection, journal, prepared, notice)
        return
    _target_open(connection, journal, prepared, notice)
    if run.direction == "reverse" and _switched(connection, project.source.schema, ["tenantry_fence"]):
        _set(
            connection,
            project.source.schema,
            [table.name for table in project.source_tables],
            [*source_fence(project, on=True), *source_triggers(project, on=False)],
            notice,
        )
        notice(
            f"The fence of {project.source.schema} was disabled. It is enabled again. Writes made there meanwhile are listed in"
            " tenantry.conflict."
        )


def _target_closed(connection: Connection, journal: Journal, prepared: Prepared, notice: Callable[[str], None]) -> None:
    project = prepared.project
    if not were_switched(connection, project):
        return
    tables = [table.name for table in fed_tables(project)]
    if _switched(connection, project.target.schema, ["tenantry_fence", "tenantry_capture"]) or not _all(
        connection, project.target.schema, tables
    ):
        # The digest is kept: until both sides have been compared, it shows that there may have been writes.
        made = [text for text in target_triggers(project, prepared.environment.login)[0] if "set guards" not in text]
        _set(connection, project.target.schema, tables, [*made, *triggers(project, on=False)], notice)
        notice(
            f"Triggers of {project.target.schema} that prevent others from writing it were disabled or gone. They are installed again;"
            " both sides are compared as a whole before the cut-over."
        )
    journal.say(connection, "set_verified", verified=False)


def _target_open(connection: Connection, journal: Journal, prepared: Prepared, notice: Callable[[str], None]) -> None:
    project = prepared.project
    missed = [
        table
        for table in fed_tables(project)
        if table.name in _switched(connection, project.target.schema, ["tenantry_capture"])
        or not _all(connection, project.target.schema, [table.name])
    ]
    if not missed:
        return
    names = [table.name for table in missed]
    made = [
        text
        for text in target_triggers(project, prepared.environment.login)[0]
        if "tenantry_capture" in text and "set guards" not in text
    ]
    _set(connection, project.target.schema, names, [*made, *target_capture(project, on=True)], notice)
    with connection.transaction():
        for table in missed:
            connection.execute(
                f"insert into {JOURNAL}.target_log (table_name, new_key) select {literal(table.name)}, t.legacy_id"
                f" from {ident(table.schema, table.name)} t union all select {literal(table.name)}, null"
            )
        journal.event(connection, "captured_again", "triggers that record changes were missing", tables=names)
    notice(
        f"Triggers that record changes were missing on {', '.join(names)}. They are installed again, and these tables are compared as a"
        " whole."
    )


def _switched(connection: Connection, schema: str, triggers: list[str]) -> list[str]:
    """Return tables on which such a trigger is disabled."""
    rows = connection.execute(
        load_blocks("tenantry.migrate.session", "guard")["switched"],
        {"schema": schema, "names": [name for each in triggers for name in (each, f"{each}_truncate")]},
    ).fetchall()
    return [str(row[0]) for row in rows]


def _all(connection: Connection, schema: str, tables: list[str]) -> bool:
    """Whether all of these tables have change capture."""
    row = connection.execute(
        load_blocks("tenantry.migrate.session", "guard")["noting"], {"schema": schema, "tables": tables}
    ).fetchone()
    return row is not None and int(row[0]) >= len(tables)


def _set(
    connection: Connection, schema: str, tables: list[str], statements: list[str], notice: Callable[[str], None]
) -> None:
    capture_tables(
        connection, LockedTables(schema, tables), statements, lambda: None, patience=_PATIENCE, notice=notice
    )


def were_switched(connection: Connection, project: Project) -> bool:
    """Whether others have switched the triggers that protect the target, even off and on again, since the
    last complete comparison of both sides."""
    row = connection.execute(
        f"select guards is not null and guards is distinct from {guards_sql(project)}"
        f" from {JOURNAL}.run order by id desc limit 1"
    ).fetchone()
    return row is not None and bool(row[0])


def trust_guards(connection: Connection, project: Project) -> None:
    """Record that both sides agree: earlier switches of the triggers no longer matter."""
    connection.execute(
        f"update {JOURNAL}.run set guards = {guards_sql(project)} where id = (select max(id) from {JOURNAL}.run)"
        f" and guards is not null and guards <> {guards_sql(project)}"
    )


__all__ = ["stand_guard", "trust_guards", "were_switched"]
