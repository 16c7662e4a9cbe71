"""Target-only rows without a source form: counts them, and moves them into a separate schema before the target is dropped.

An existing schema is never changed: it may belong to the user or contain what an earlier rollback kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from tenantry.derivation.ids import constant_tenant_sql
from tenantry.derivation.reverse.strangers import STRANGER, of_another_tenant, strangers_of
from tenantry.derivation.tenant_values import other_tenants
from tenantry.errors import NotReady
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.mapping.project import ROW_ID
from tenantry.migrate.run.handle import RunHandle
from tenantry.postgres import ident, literal, load_blocks, short_name, verbatim


@dataclass(frozen=True, slots=True)
class Kept:
    """What was archived.

    Attributes:
        schema: the schema that holds it; empty if there was nothing.
        rows: the number of rows kept, by table.
        conflicts: number of changes that were not applied, and the table that lists them.
    """

    schema: str = ""
    rows: tuple[tuple[str, int], ...] = ()
    conflicts: int = 0
    conflicts_table: str = ""


def kept_rows(connection: Connection, project: Project) -> tuple[tuple[str, int], ...]:
    """Return what is only in the target: rows of new tables (including tables created there since) and rows that could not be
    replayed into the source."""
    found: list[tuple[str, int]] = []
    counts: dict[str, int] = {}
    for name in _whole_tables(connection, project)[0]:
        count = connection.execute(
            f"select count(*) from {ident(project.target.schema, name)} t{_but_stated(project, name)}"
        ).fetchone()
        assert count is not None
        if count[0]:
            found.append((name, int(count[0])))
    if project.constant:
        # Rows of other tenants, which the source does not have.
        for name in project.by_target:
            if project.scoped(name):
                others = f"{ident(project.target.schema, name)} t where {of_another_tenant(project, 't')}"
                count = connection.execute(f"select count(*) from {others}").fetchone()
                assert count is not None
                if count[0]:
                    counts[name] = int(count[0])
    for name, number in connection.execute(
        f"select z.table_name, count(*) from (select k.table_name from {JOURNAL}.kept k where k.column_name = ''"
        f" union all select n.table_name from {STRANGER} n) z group by 1 order by 1"
    ):
        counts[str(name)] = counts.get(str(name), 0) + int(number)
    return (*found, *sorted(counts.items()))


def _but_stated(project: Project, name: str) -> str:
    """Of the tenant table: all rows but those that Tenantry made from the manifest's constant or from values, and that nobody changed:
    a next run makes them again."""
    stated = project.manifest.tenant.constant
    if project.manifest.tenant.values is not None and name == project.manifest.tenant.table:
        return f" where {other_tenants(project, 't')}"
    if stated is None or name != project.manifest.tenant.table:
        return ""
    same = [f"t.{ident(ROW_ID)} = {constant_tenant_sql(project.manifest)}"]
    same += [
        f"t.{ident(column.name)}::text = {literal(str(stated[column.name]))}::{column.type}::text"
        for column in project.root_table.columns
        if column.name in stated and column.name != ROW_ID
    ]
    return f" where ({' and '.join(same)}) is not true"


def _whole_tables(connection: Connection, project: Project) -> tuple[list[str], list[str]]:
    """Return target tables without a source, including those created there since, and those of the latter that cannot be read."""
    rows = connection.execute(
        load_blocks("tenantry.migrate.switch", "target_only")["tables_of_target"], {"schema": project.target.schema}
    ).fetchall()
    planned = {table.name for table in project.new_tables}
    known = {table.name for table in project.target.tables}
    return (
        [name for name, readable in rows if name in planned or (name not in known and readable)],
        [name for name, readable in rows if name not in known and not readable],
    )


def _or_stranger(project: Project, name: str) -> str:
    return f" or {strangers_of(project, name, 't')}" if project.scoped(name) else ""


def put_away(live: RunHandle) -> Kept:
    """Move rows without a source form, and changes that were not applied, into a separate schema before the target is dropped.

    Raises:
        NotReady: the target has a table, created by another login, that cannot be read and so cannot be kept.
    """
    project = live.project
    if not live.prepared.plan.has_done("creates target", live.journal.done_steps(live.main)):
        return Kept()
    whole, unreadable = _whole_tables(live.main, project)
    if unreadable:
        said = ", ".join(f"{project.target.schema}.{name}" for name in unreadable)
        raise NotReady(
            f"The target has {said}, which Tenantry did not create. Its rows cannot all be read, so they cannot be kept."
            " No step was undone.",
            hint="Ask its owner to move it to another schema (alter table … set schema …), to drop it, or to let the migrator read it."
            " Then run `tenantry rollback --everything` again.",
        )
    rows = kept_rows(live.main, project)
    row = live.main.execute(
        f"select (select count(*) from {JOURNAL}.kept where column_name <> ''), (select count(*) from {JOURNAL}.conflict)"
    ).fetchone()
    assert row is not None
    cells, conflicts = int(row[0]), int(row[1])
    if not rows and not cells and not conflicts:
        return Kept()
    names = {name for name, _ in rows}
    of_cells, of_conflicts = _free("tenantry_cells", names), _free("tenantry_conflicts", names)
    with live.main.transaction():
        schema = _schema(live)
        for name, _ in rows:
            target, there = ident(project.target.schema, name), ident(schema, name)
            where = (
                ""
                if name in whole
                else f" t where t.legacy_id in (select k.legacy_id from {JOURNAL}.kept k where k.table_name = {literal(name)}"
                f" and k.column_name = ''){_or_stranger(project, name)}"
            )
            live.main.execute(f"create table {there} as select * from {target}{where}")
        cells_table = ident(schema, of_cells)
        live.main.execute(
            f"create table {cells_table} as select k.*, null::json as value from {JOURNAL}.kept k where k.column_name <> '';"
            # A publication FOR ALL TABLES refuses updates of a table without a key.
            f" alter table {cells_table} replica identity full"
        )
        for mapping in project:
            target = ident(project.target.schema, mapping.target.name)
            hidden = [column.name for column in mapping.columns if mapping.is_secret(column)]
            live.main.execute(
                f"update {verbatim(cells_table)} c set value = to_json(t.*) -> c.column_name from {verbatim(target)} t"
                f" where c.table_name = {verbatim(literal(mapping.target.name))} and t.legacy_id = c.legacy_id"
                " and not c.column_name = any (%s)",
                [hidden],
            )
        live.main.execute(f"create table {ident(schema, of_conflicts)} as select * from {JOURNAL}.conflict")
    live.observer.notice(f"Rows without a source form, and changes that were not applied, are kept in schema {schema}.")
    return Kept(schema, rows, conflicts, of_conflicts)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _schema(live: RunHandle) -> str:
    """Create a schema with an unused name. Drops the schema of the same rollback's interrupted call, unless it is already used by
    others."""
    run = live.run
    mark = f"Tenantry: what had no source form when the run of {run.started_at.isoformat()} was rolled back; drop it when you like."
    number = 1
    while True:
        name = short_name(live.project.target.schema, "kept", *([str(number)] if number > 1 else []))
        found = live.main.execute(
            load_blocks("tenantry.migrate.switch", "target_only")["schema"], {"name": name, "mark": mark}
        ).fetchone()
        if found is not None and found[0]:
            try:
                with live.main.transaction():
                    for (table,) in live.main.execute(
                        load_blocks("tenantry.migrate.switch", "target_only")["tables"], {"name": name}
                    ).fetchall():
                        live.main.execute(f"drop table {ident(name, str(table))}")
                    live.main.execute(f"drop schema {ident(name)}")
                found = None
            except psycopg.errors.DependentObjectsStillExist:
                pass
        if found is None:
            break
        number += 1
    quoted = ident(name)
    live.main.execute(
        f"create schema {quoted}; comment on schema {quoted} is {literal(mark)}; revoke all on schema {quoted} from public"
    )
    return name


__all__ = ["Kept", "kept_rows", "put_away"]
