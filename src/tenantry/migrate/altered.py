"""Tables that were altered since a run was begun: what does no harm is taken over, what does is refused, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from psycopg.types.json import Jsonb

from tenantry.catalog import Catalog, Table, read_catalog
from tenantry.errors import SourceAltered
from tenantry.migrate.journal import Connection, Journal
from tenantry.migrate.prepare import Prepared
from tenantry.plan.operations.capture import OURS, capture


def without_ours(catalog: Catalog) -> Catalog:
    """A schema without Tenantry's own triggers, as it was when the run was begun."""
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


def absorb(connection: Connection, journal: Journal, prepared: Prepared, notice: Callable[[str], None]) -> None:
    """Compare the source with the catalog of the run, and take over what a migration of the tables does not depend on.

    Raises:
        SourceAltered: a table or column that is carried over is gone or different.
    """
    project = prepared.project
    before = project.source
    now = without_ours(read_catalog(connection, before.schema))
    harm: list[str] = []
    said: list[str] = []
    for table in project.source_tables:
        there = now.table(table.name)
        if there is None:
            harm.append(f"table {table.name} is gone")
            continue
        harm += _harm(table, there)
        said += _harmless(table, there)
        known = {part.name for part in before.tables if part.partition_of == (table.schema, table.name)}
        new = [part.name for part in now.tables if part.partition_of == (table.schema, table.name)]
        said += [f"partition {name} of {table.name} is new" for name in new if name not in known]
    if harm:
        raise SourceAltered(
            f"Schema {before.schema} was altered since the run was begun: {'; '.join(harm)}.",
            hint="Undo the change and run the same command again; or undo the run (tenantry rollback --everything), mend the"
            " manifest, and begin anew.",
            detail={"altered": harm},
        )
    missing = _without_capture(connection, prepared)
    if missing and {f"capture.table:{name}" for name in missing} & journal.done_steps(connection):
        _capture_again(connection, journal, prepared, missing)
        notice(
            f"Triggers that note changes were missing on {', '.join(missing)}: they stand again, and these tables are"
            " looked at as a whole."
        )
    if said:
        journal.say(connection, "set_source_catalog", catalog=Jsonb(now.to_json()))
        journal.event(connection, "altered", "the source was altered in ways that do no harm", what=said)
        notice(f"The source was altered meanwhile, in ways that do no harm: {'; '.join(said)}.")


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
        f"column {before.name}.{column.name} is new and is not carried over"
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
    """Source tables of which a leaf does not note changes."""
    project = prepared.project
    rows = connection.execute(
        "select distinct coalesce(r.relname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " left join lateral (select p.relname from pg_partition_ancestors(c.oid) a join pg_class p on p.oid = a.relid"
        "  where c.relispartition order by a.relid = pg_partition_root(c.oid) desc limit 1) r on true"
        " where n.nspname = %s and c.relkind = 'r' and coalesce(r.relname, c.relname) = any (%s) and"
        " (select count(*) from pg_trigger t where t.tgrelid = c.oid and t.tgenabled = 'A'"
        "  and t.tgname in ('tenantry_capture', 'tenantry_capture_truncate')) < 2",
        [project.source.schema, [table.name for table in project.source_tables]],
    ).fetchall()
    return [str(row[0]) for row in rows]


def _capture_again(connection: Connection, journal: Journal, prepared: Prepared, tables: list[str]) -> None:
    source = read_catalog(connection, prepared.project.source.schema)
    project = replace(prepared.project, source=source)
    for step in capture(project, prepared.environment, ""):
        if step.table not in tables:
            continue
        with connection.transaction():
            for statement in step.sql:
                connection.execute(statement)
            # Whatever was missed is found by looking at the whole table.
            connection.execute("insert into tenantry.source_log (table_name) values (%s)", [step.table])
            journal.event(connection, "captured_again", "triggers that note changes were missing", table=step.table)
