"""Tables that were altered since a run began: harmless changes are accepted, harmful ones are refused with a hint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from psycopg.types.json import Jsonb

from tenantry.catalog import Below, Catalog, Table, read_catalog
from tenantry.catalog.descendants import unfit_below
from tenantry.derivation.keys import mapping_key
from tenantry.errors import SchemaMissing, SourceAltered
from tenantry.journal.journal import Connection, Journal, Run
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.mapping.legacy_ids import from_part, source_key
from tenantry.migrate.session.locks import LockedTables, capture_tables
from tenantry.migrate.session.prepare import Prepared
from tenantry.migrate.session.trigger_states import stand_guard
from tenantry.plan.operations.capture import capture
from tenantry.postgres import ident, literal, load_blocks
from tenantry.statements.capture import OURS, source_fence, source_triggers


def without_ours(catalog: Catalog) -> Catalog:
    """Return a schema without Tenantry's own triggers, as it was when the run began."""
    return replace(
        catalog,
        tables=tuple(
            replace(
                table,
                triggers=tuple(trigger for trigger in table.triggers if trigger.name not in OURS),
            )
            for table in catalog.tables
        ),
    )


def absorb(connection: Connection, journal: Journal, prepared: Prepared, notice: Callable[[str], None]) -> bool:
    """Compare the source with the catalog of the run, and accept changes that do not affect the migration.

    Returns:
        Whether other partitions or children hold the rows of a source table than before, so that the preparation must be repeated.

    Raises:
        SourceAltered: a migrated table or column was dropped or changed.
    """
    project = prepared.project
    before = project.source
    try:
        now = without_ours(read_catalog(connection, before.schema))
    except SchemaMissing:
        now = replace(before, tables=())
    harm: list[str] = []
    said: list[str] = []
    present: list[Table] = []
    moved: list[tuple[Table, Table]] = []
    for table in project.source_tables:
        there = now.table(table.name)
        if there is None:
            harm.append(f"table {table.name} is gone")
            continue
        present.append(there)
        harm += _harm(table, there)
        said += _harmless(table, there)
        said += [f"{ident(*each)} is a new part of {table.name}" for each in _new(table.below, there.below)]
        said += [
            f"{ident(*each)} is no longer a part of {table.name}, and the whole table {table.name} is compared"
            for each in _new(there.below, table.below)
        ]
        moved += [(table, there)] if table.below != there.below else []
    harm += [each.why for each in unfit_below(present)]
    if harm:
        raise SourceAltered(
            f"Schema {before.schema} was altered since the run was begun: {'; '.join(harm)}. Nothing was migrated.",
            hint=_way_out(project, prepared.run),
            detail={"altered": harm},
        )
    missing = _without_capture(connection, prepared)
    if missing and prepared.plan.has_done("captures", journal.done_steps(connection), tables=missing):
        _capture_again(connection, journal, prepared, missing)
        notice(
            f"Triggers that record changes were missing on {', '.join(missing)}. They are installed again, and these tables are"
            " compared as a whole."
        )
    stand_guard(connection, journal, prepared, notice)
    for table, there in moved:
        _take_off(connection, table, there, notice)
    told = {text for row in journal.say(connection, "events") if row[1] == "altered" for text in row[3].get("what", ())}
    said = [text for text in said if text not in told] if not moved else said
    if said:
        with connection.transaction():
            for table, there in moved:
                if _new(there.below, table.below):
                    _look_again(connection, prepared, table)
            journal.say(connection, "set_source_catalog", catalog=Jsonb(_known(before, now, present).to_json()))
            journal.event(connection, "altered", "the source was altered in ways that do not affect the run", what=said)
        notice(f"The source was altered in ways that do not affect the run: {'; '.join(said)}.")
    return bool(moved)


def _way_out(project: Project, run: Run | None) -> str:
    """Return the advice for a harmful change, which depends on the run's phase."""
    source, target = project.source.schema, project.target.schema
    if run is not None and run.direction != "forward":
        return (
            f"Undo the change and run the same command again. If a table or a column was dropped, create it again with the same definition, empty:"
            f" `tenantry verify --repair` fills it from {target}, and then every command works, including `tenantry rollback`."
            f" A rollback is not possible without it. `tenantry contract` makes {target} final as it is."
        )
    return (
        "Undo the change and run the same command again. If a table was dropped, create it again with the same definition: rows that are not in"
        f" {source} any more are deleted from {target} too. Or undo the run (tenantry rollback --everything), fix the manifest, and"
        " run `tenantry migrate`."
    )


def _harm(before: Table, now: Table) -> list[str]:
    found = []
    for column in before.columns:
        there = now.column(column.name)
        if there is None:
            found.append(f"column {before.name}.{column.name} is gone")
        elif there.type != column.type:
            found.append(f"column {before.name}.{column.name} was {column.type} and is {there.type}")
        elif there.nullable and not column.nullable:
            found.append(f"column {before.name}.{column.name} may be null now")
    if now.row_key != before.row_key:
        found.append(f"the key of {before.name} is another one")
    return found


def _harmless(before: Table, now: Table) -> list[str]:
    found = [
        f"column {before.name}.{column.name} is new and is not migrated"
        for column in now.columns
        if before.column(column.name) is None
    ]
    old, new = {index.name for index in before.indexes}, {index.name for index in now.indexes}
    found += [f"index {name} is new" for name in sorted(new - old)] + [
        f"index {name} is gone" for name in sorted(old - new)
    ]
    keys, present = {each.name for each in before.constraints}, {each.name for each in now.constraints}
    found += [f"constraint {name} is new" for name in sorted(present - keys)]
    found += [f"constraint {name} is gone" for name in sorted(keys - present)]
    return found


def _without_capture(connection: Connection, prepared: Prepared) -> list[str]:
    """Return source tables with a partition or child whose changes are not captured."""
    project = prepared.project
    rows = connection.execute(
        load_blocks("tenantry.migrate.session", "guard")["without_capture"],
        {"schema": project.source.schema, "tables": [table.name for table in project.source_tables]},
    ).fetchall()
    return [str(row[0]) for row in rows]


def _known(before: Catalog, now: Catalog, read: Sequence[Table]) -> Catalog:
    """Return the source as it was planned, with the partitions and children that now hold its rows.

    New tables and columns are ignored: nothing reads them, the manifest of an existing run need not name
    them, and a target column that has the same name by chance stays without a source.
    """
    was_below = {(each.schema, each.name) for table in before.tables for each in table.below}
    is_below = {(each.schema, each.name) for table in read for each in table.below}
    there = {table.name: table for table in read}
    kept = [
        _planned(table, there[table.name]) if table.name in there else table
        for table in before.tables
        if (table.schema, table.name) in is_below or (table.schema, table.name) not in was_below
    ]
    names = {table.name for table in kept}
    new = [table for table in now.tables if (table.schema, table.name) in is_below and table.name not in names]
    return replace(before, tables=(*kept, *new))


def _planned(before: Table, now: Table) -> Table:
    """Return a table as it was planned, with its current partitions and children, and without foreign keys that were dropped."""
    present = {each.name: each for each in now.constraints}
    return replace(
        before,
        below=now.below,
        constraints=tuple(
            each
            if each.kind != "foreign"
            else replace(
                each,
                validated=each.validated and each.name in present and present[each.name].validated,
                enforced=each.enforced and each.name in present and present[each.name].enforced,
            )
            for each in before.constraints
        ),
    )


def _new(before: Sequence[Below], now: Sequence[Below]) -> list[tuple[str, str]]:
    known = {(each.schema, each.name) for each in before}
    return [(each.schema, each.name) for each in now if (each.schema, each.name) not in known]


def _take_off(connection: Connection, table: Table, there: Table, notice: Callable[[str], None]) -> None:
    """Drop Tenantry's triggers from a table that was separated from its parent, e.g. a detached partition."""
    gone = _new(there.below, table.below)
    left = connection.execute(
        load_blocks("tenantry.migrate.session", "guard")["left_over"], {"tables": Jsonb(gone), "ours": list(OURS)}
    ).fetchall()
    for schema, name in left:
        relation = ident(str(schema), str(name))
        capture_tables(
            connection,
            LockedTables(str(schema), [str(name)]),
            [f"drop trigger if exists {trigger} on {relation}" for trigger in OURS],
            lambda: None,
            patience=60.0,
            notice=notice,
        )


def _look_again(connection: Connection, prepared: Prepared, table: Table) -> None:
    """Handle rows that disappeared with their partition or child, whose keys no trigger has captured.

    While applications write the source, they are deleted from the target like deleted rows. After the cut-over the target
    decides: rows that the source has lost are written back into it, or listed as kept if it has no place for them.
    """
    if prepared.run is None or prepared.run.direction != "reverse":
        connection.execute(f"insert into {JOURNAL}.source_log (table_name) values (%s)", [table.name])
    if prepared.run is None or prepared.run.direction == "forward":
        return
    for mapping in prepared.project.of_source(table.name):
        connection.execute(
            f"insert into {JOURNAL}.target_log (table_name, old_key, new_key) select {literal(mapping.target.name)}, t.legacy_id,"
            f" t.legacy_id from {ident(prepared.project.target.schema, mapping.target.name)} t where not exists (select from"
            f" {ident(table.schema, table.name)} s where {mapping_key(mapping)} = {source_key(mapping)})"
            f"{from_part(mapping, ' and')}"
        )


def _capture_again(connection: Connection, journal: Journal, prepared: Prepared, tables: list[str]) -> None:
    source = without_ours(read_catalog(connection, prepared.project.source.schema))
    project = replace(prepared.project, source=source)
    for step in capture(project, prepared.environment, ""):
        if step.table not in tables:
            continue
        with connection.transaction():
            for statement in step.sql:
                connection.execute(statement)
            if prepared.run is not None and prepared.run.direction == "reverse":
                # A step makes triggers in their state before the cut-over.
                for statement in (*source_fence(project, on=True), *source_triggers(project, on=False)):
                    connection.execute(statement)
            # Deriving the whole table again finds all missed changes.
            connection.execute("insert into tenantry.source_log (table_name) values (%s)", [step.table])
            journal.event(connection, "captured_again", "triggers that record changes were missing", table=step.table)
