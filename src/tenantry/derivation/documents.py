"""Ids inside JSON documents: the rows they refer to, and the tenants of those rows.

A document must not refer to a row of another tenant. Such an id is treated like one that refers to no row, as `stale`
decides. Every document may refer to rows without a tenant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tenantry.derivation.ids import constant_tenant_sql, key_sql, new_id_sql
from tenantry.derivation.keys import exact, same_key
from tenantry.derivation.tenant_values import all_values, known_tenants, tenants_of_values, value_key
from tenantry.journal.names import JOURNAL
from tenantry.mapping.project import MappedColumn, Mapping, Project
from tenantry.mapping.shapes import Pair
from tenantry.mapping.values.type_names import is_text
from tenantry.postgres import ident, literal


def known_ids(
    project: Project,
    document: str,
    path: str,
    parent: str,
    tenant: str,
    alias: str,
    placed: Callable[[Mapping, str], str] | None,
) -> str:
    """Join `alias` with `ids`: one jsonb object of old to new ids, limited to ids that the document may refer to.

    Args:
        path: jsonpath of the ids in the document.
        tenant: SQL of the document's tenant; empty if it has none.
        placed: given a mapping and the SQL of its key, returns SQL over the row `s`: that mapping's row represents it in the
            target. None: the journal is not read.
    """
    selects = []
    for place, feeding in enumerate(project.by_target[parent]):
        key = _key(feeding, "s")
        survivor = key
        if feeding.merge is not None and placed is not None:
            survivor = (
                f"coalesce((select m.into_key from {JOURNAL}.merged m where m.mapping = {literal(feeding.name)}"
                f" and m.source_key = {key}), {key})"
            )
        new = new_id_sql(project.manifest, feeding, survivor)
        standing = f"({feeding.where})" if feeding.where else ""
        if placed is not None:
            standing = placed(feeding, key)
        conditions = [names_key(project, feeding, "s", "v.node #>> '{}'"), standing]
        if tenant:
            conditions.append(may_name(project, feeding, "s", tenant, merged=placed is not None))
        where = " and ".join(each for each in conditions if each)
        selects.append(
            f"select {key} as old, {new} as new, {place} as place"
            f" from {ident(project.source.schema, feeding.source.name)} s where {where}"
        )
    # The planner expects a thousand rows of jsonb_path_query, and ten elements of an array: with the former it would read a
    # small parent table as a whole for each row, with its tenants.
    nodes = f"unnest(array(select jsonb_path_query({document}, {literal(path)}::jsonpath)))"
    return (
        "left join lateral (select jsonb_object_agg(i.old, i.new order by i.place desc) as ids"
        f" from {nodes} v (node)"
        f" cross join lateral ({' union all '.join(selects)}) i) {alias} on true"
    )


def names_key(project: Project, mapping: Mapping, alias: str, text: str) -> str:
    """Return a condition that a text names a mapping's source row by its key, using the key's index where the server can."""
    columns = [column for name in mapping.key if (column := mapping.source.column(name)) is not None]
    if is_text(columns[0]) or not all(exact(column, project.source) for column in columns):
        return f"{_key(mapping, alias)} = {text}"
    return same_key(project.source, mapping, alias, f"({text})")


def held_ids(project: Project, mapping: Mapping, column: MappedColumn) -> str:
    """Return the document of the ids that a column holds in the target row `t`."""
    shape = column.shape
    assert shape is not None
    if not isinstance(shape, Pair):
        return shape.held()
    return shape.named([_has_type(project, mapping, shape.type_column, name) for name in shape.types])


def _has_type(project: Project, mapping: Mapping, type_column: str, name: str) -> str:
    """Return a condition that the target row `t` may come from a source row with this type."""
    for column in mapping.columns:
        if column.source != type_column:
            continue
        if column.kind == "value" and column.down is not None and "tenant." not in column.down:
            return f"({column.down})::text = {literal(name)}"
        if column.reference is not None and column.reference.columns == (type_column,):
            news = [
                new_id_sql(project.manifest, parent, literal(name))
                for parent in project.feeding(column.reference)
                if column.reference.by == parent.key
            ]
            if news:
                return f"t.{ident(column.name)} in ({', '.join(news)})"
    return "true"


def may_name(project: Project, parent: Mapping, alias: str, tenant: str, *, merged: bool) -> str:
    """Return a condition: a mapping's row belongs to this tenant or to none; empty if its rows have no tenant."""
    if not parent.is_root and not parent.scoped:
        return ""
    return f"({tenant_of(project, parent, alias, merged=merged)} = {tenant}) is not false"


def tenant_of(project: Project, mapping: Mapping, alias: str, *, merged: bool, depth: int = 0) -> str:
    """Return SQL of a source row's tenant: the first path that leads to one decides.

    Args:
        merged: replace a merged tenant with the one that was kept, according to the journal.
    """
    if mapping.is_root:
        key = _key(mapping, alias)
        if mapping.merge is not None and merged:
            key = (
                f"coalesce((select m.into_key from {JOURNAL}.merged m where m.mapping = {literal(mapping.name)}"
                f" and m.source_key = {key}), {key})"
            )
        return new_id_sql(project.manifest, mapping, key)
    if mapping.scoped and not mapping.tenant_paths:
        return constant_tenant_sql(project.manifest)
    found = []
    for path in mapping.tenant_paths:
        if path.by_value:
            key = value_key(project, f"{alias}.{ident(path.columns[0])}")
            known = known_tenants(project) if merged else f"({tenants_of_values(project, all_values(project))})"
            found.append(f"(select v.tenant from {known} v where v.key = {key})")
        for parent in project.feeding(path):
            row = f"tenantry_z{depth}"
            table = ident(project.source.schema, parent.source.name)
            rows = f"(select s.* from {table} s where {parent.where})" if parent.where else table
            same = " and ".join(
                _equal(mapping, f"{alias}.{ident(here)}", here, parent, f"{row}.{ident(there)}", there)
                for here, there in zip(path.columns, path.by, strict=True)
            )
            same = f"{path.holds(alias)} and {same}" if path.only else same
            if path.onward is not None:
                parent = replace(parent, scoped=True, tenant_paths=(path.onward,))  # noqa: PLW2901
            above = tenant_of(project, parent, row, merged=merged, depth=depth + 1)
            found.append(f"(select {above} from {rows} {row} where {same} limit 1)")
    return f"coalesce({', '.join(found)})" if found else "null::uuid"


def _equal(child: Mapping, mine: str, here: str, parent: Mapping, other: str, there: str) -> str:
    one, two = child.source.column(here), parent.source.column(there)
    same = one is not None and two is not None and one.type == two.type
    return f"{mine} = {other}" if same else f"{mine}::text = {other}::text"


def _key(mapping: Mapping, alias: str) -> str:
    first = mapping.source.column(mapping.key[0])
    assert first is not None
    return key_sql(alias, mapping.key, is_text=is_text(first) and first.type == "text")


__all__ = ["held_ids", "known_ids", "may_name", "names_key", "tenant_of"]
