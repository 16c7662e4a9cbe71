"""Ids of target rows that were deleted while applications write the target, and the keys that they had in the source.

A value may name a deleted row: the log entry of its deletion, an id in a document that nobody updates, a reference without a foreign
key. Nothing guards such values, so the source would hold the old id. Once the row is gone, only the journal can tell which one that was.
A source row in quarantine is not in the target either, and documents name it nonetheless.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.derivation.documents import tenant_of
from tenantry.derivation.ids import new_id_sql
from tenantry.derivation.keys import same_key
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import from_part, key_of, source_key
from tenantry.mapping.project import ROW_ID, Mapping, Project, Reference
from tenantry.postgres import ident, literal

INTEGERS = ("smallint", "integer", "bigint")

DELETED = f"{JOURNAL}.deleted_id"


def old_id(mapping: Mapping, key: str) -> str:
    """Return SQL of a source key as JSON: as a number if it is one."""
    first = mapping.source.column(mapping.key[0])
    if len(mapping.key) == 1 and first is not None and first.type in INTEGERS:
        return f"case when {key} ~ '^-?[0-9]+$' then to_jsonb(({key})::numeric) else to_jsonb({key}) end"
    return f"to_jsonb({key})"


def named_in_values(project: Project) -> tuple[str, ...]:
    """Return the target tables whose ids occur in documents, lists, pairs and texts, or in references without a foreign key."""
    columns = [(mapping, column) for mapping in project for column in mapping.columns]
    named = [each.parent for _, column in columns for each in column.ids]
    named += [
        column.reference.parent
        for mapping, column in columns
        if column.reference is not None and unguarded(project, mapping, column.name, column.reference)
    ]
    return tuple(dict.fromkeys(named))


def unguarded(project: Project, mapping: Mapping, column: str, ref: Reference) -> bool:
    """Whether a reference of a target column may name a deleted row: by the old id alone, with no foreign key on either side."""
    if ref.by_value or len(ref.columns) != 1 or any(parent.key != ref.by for parent in project.feeding(ref)):
        return False
    sides = ((mapping.target, column), (mapping.source, ref.columns[0]))
    return not any(name in key.columns for table, name in sides for key in table.foreign_keys)


def record_deleted(project: Project, changed: str) -> Iterator[str]:
    """Return statements that record which rows of a relation (table_name, legacy_id) the target has no more and the source still has.

    Run them before anything is written back.
    """
    for name in named_in_values(project):
        for mapping in project.by_target[name]:
            own = key_of(mapping, "c.legacy_id")
            key = f"coalesce(b.source_key, {own})"
            tenant = "null::text"
            if mapping.scoped or mapping.is_root:
                tenant = f"({tenant_of(project, mapping, 's', merged=True)})::text"
            source = ident(project.source.schema, mapping.source.name)
            yield _recorded(
                f"select {literal(name)}, ({new_id_sql(project.manifest, mapping, own)})::text, {tenant}, {old_id(mapping, key)}"
                f" from {changed} c left join {JOURNAL}.born_part b on b.mapping = {literal(mapping.name)} and b.legacy_id = c.legacy_id"
                f" join {source} s on {same_key(project.source, mapping, 's', key)}"
                f" where c.table_name = {literal(name)}{from_part(mapping, ' and', 'c')}"
                f" and not exists (select from {ident(project.target.schema, name)} t where t.legacy_id = c.legacy_id)"
            )


def record_quarantined(project: Project) -> Iterator[str]:
    """Return statements that record the source rows in quarantine: documents and lists name them as if they were in the target."""
    for name in named_in_values(project):
        for mapping in project.by_target[name]:
            tenant = "null::text"
            if mapping.scoped or mapping.is_root:
                tenant = f"({tenant_of(project, mapping, 's', merged=True)})::text"
            key = old_id(mapping, "q.source_key")
            yield _recorded(
                f"select {literal(name)}, ({new_id_sql(project.manifest, mapping, 'q.source_key')})::text, {tenant}, {key}"
                f" from {JOURNAL}.quarantine q join {ident(project.source.schema, mapping.source.name)} s"
                f" on {same_key(project.source, mapping, 's', 'q.source_key')}"
                f" where q.mapping = {literal(mapping.name)} and q.state = 'open' and not exists"
                f" (select from {DELETED} d where d.table_name = {literal(name)} and d.old_id = {key})"
            )


def record_removed(project: Project, table: str, rows: str) -> Iterator[str]:
    """Return statements that record the target rows `t` of a FROM clause, which follow the deletion of their source rows, if applications
    write the target as well."""
    if table not in named_in_values(project):
        return
    for mapping in project.by_target[table]:
        key = f"coalesce(b.source_key, {source_key(mapping)})"
        column = ROW_ID if mapping.is_root else project.manifest.tenant.column
        tenant = f"t.{ident(column)}::text" if mapping.scoped or mapping.is_root else "null::text"
        yield _recorded(
            f"select {literal(table)}, t.{ident(ROW_ID)}::text, {tenant}, {old_id(mapping, key)} from (select t.* from {rows}) t"
            f" left join {JOURNAL}.born_part b on b.mapping = {literal(mapping.name)} and b.legacy_id = t.legacy_id"
            f" where exists (select from {JOURNAL}.run r where r.direction = 'both'){from_part(mapping, ' and')}"
        )


def deleted_ids(project: Project, parent: str, child: Mapping, value: str) -> str:
    """Return a query (old_id) of the deleted row of a target table that had an id, if the target row `t` of `child` may name it: rows
    of its tenant, and, as on the way to the target, rows that lead to no tenant."""
    own = ""
    if child.scoped and project.scoped(parent):
        own = f" and (d.tenant = t.{ident(project.manifest.tenant.column)}::text) is not false"
    return f"select d.old_id from {DELETED} d where d.table_name = {literal(parent)} and d.id = {value}{own}"


def _recorded(query: str) -> str:
    """Return a statement that records the rows of a query (table, id, tenant, old id) that have all that is asked for."""
    return (
        f"insert into {DELETED} (table_name, id, tenant, old_id) select * from ({query}) z (table_name, id, tenant, old_id)"
        " where z.id is not null and z.old_id is not null on conflict (table_name, md5(id)) do update"
        " set tenant = excluded.tenant, old_id = excluded.old_id"
    )


__all__ = [
    "deleted_ids",
    "named_in_values",
    "old_id",
    "record_deleted",
    "record_quarantined",
    "record_removed",
    "unguarded",
]
