"""Tenants that are made from the distinct values of source columns.

`tenantry.tenant_value` says which value means which tenant. The copy and the replay fill it before they derive rows with new
values; their tenants have ids that are derived from the value. On the way back, tenants that were created in the target get a
value there, so that the source can name them.
"""

from __future__ import annotations

from collections.abc import Iterable

from tenantry.derivation.ids import id_sql
from tenantry.journal.names import JOURNAL
from tenantry.manifest.model import ValueTenants
from tenantry.mapping.project import LEGACY_ID, ROW_ID, Mapping, Project
from tenantry.mapping.values.type_names import text_length
from tenantry.postgres import ident, idents, load_sql

REGISTRY = f"{JOURNAL}.tenant_value"


def _rule(project: Project) -> ValueTenants:
    values = project.manifest.tenant.values
    assert values is not None
    return values


def make_registry() -> str:
    """Return the SQL that creates the list of values and their tenants."""
    return load_sql("tenantry.derivation", "tenant_value")


def value_key(project: Project, value: str) -> str:
    """Return SQL of what distinguishes a tenant in a value; null if the value means none."""
    up = _rule(project).up
    # The alias cannot hide a column: the expression reads `value` alone.
    return f'(select nullif(btrim(({up})::text), \'\') collate "C" from (select ({value})::text collate "default" as value) z)'


def value_columns(project: Project, mapping: Mapping) -> tuple[str, ...]:
    """Return the source columns of a mapping whose values are tenants: its own, or those of rows that lead to it."""
    own = [path for path in mapping.tenant_paths if path.by_value]
    hops = (hop for each in project for path in each.tenant_paths for hop in path.hops() if hop.onward is not None)
    led = [hop.onward for hop in hops if hop.onward and hop.onward.by_value and mapping in project.feeding(hop)]
    return tuple(dict.fromkeys(path.columns[0] for path in (*own, *led)))


def values_in(project: Project, mappings: Iterable[tuple[Mapping, str]]) -> str:
    """Return a query (key, value) of the values in some rows, each as often as it occurs.

    Args:
        mappings: with the relation of their source rows.
    """
    selects: dict[str, None] = {}
    for mapping, relation in mappings:
        for column in value_columns(project, mapping):
            where = f" where {mapping.where}" if mapping.where else ""
            value = f"s.{ident(column)}"
            selects[f"select {value_key(project, value)} as key, {value}::text as value from {relation} s{where}"] = (
                None
            )
    return f"select z.key, z.value from ({' union all '.join(selects)}) z where z.key is not null"


def all_values(project: Project) -> str:
    """Return a query (key, value) of the values in all rows of the source."""
    return values_in(project, ((each, ident(project.source.schema, each.source.name)) for each in project))


def tenants_of_values(project: Project, values: str) -> str:
    """Return a query (key, tenant, value): each tenant that the values mean, with the spelling that occurs most often."""
    tenant = id_sql(project.manifest.ids.namespace, project.manifest.tenant.table, "v.key")
    return (
        f"select v.key, {tenant} as tenant, v.value from (select distinct on (c.key) c.key, c.value from (select w.key, w.value,"
        f" count(*) as times from ({values}) w group by w.key, w.value) c order by c.key, c.times desc, c.value) v"
    )


def make_tenants(project: Project, values: str) -> tuple[str, str]:
    """Return the statements that list the values that are not listed yet, and insert their tenants.

    A tenant that its table refuses (by a check, a length or a unique name) is left out: rows with its value have no tenant.
    """
    rule, root = _rule(project), project.root_table
    held = root.column(rule.column)
    assert held is not None
    listed = f"insert into {REGISTRY} (key, tenant, value) {tenants_of_values(project, values)} on conflict do nothing"
    row = {ROW_ID: "v.tenant", rule.column: f"v.value::{held.type}"}
    if root.column(LEGACY_ID) is not None:
        row.setdefault(LEGACY_ID, "v.key")
    fits = [f"not exists (select from {ident(project.target.schema, root.name)} t where t.{ident(ROW_ID)} = v.tenant)"]
    if (length := text_length(held.type)) is not None:
        fits.append(f"length(v.value) <= {length}")
    checked = {name for check in root.checks for name in check.columns if rule.column in check.columns}
    beside = "".join(
        f", ({column.default or 'null'})::{column.type} as {ident(column.name)}"
        for column in root.columns
        if column.name in checked and column.name not in row
    )
    passes = [f"({check.expression}) is not false" for check in root.checks if rule.column in check.columns]
    made = (
        f"insert into {ident(project.target.schema, root.name)} ({idents(row)}) select {idents(row, prefix='d')} from (select"
        f" {', '.join(f'{value} as {ident(name)}' for name, value in row.items())}{beside} from {REGISTRY} v"
        f" where v.key in (select w.key from ({values}) w) and {' and '.join(fits)}) d"
        f"{' where ' + ' and '.join(passes) if passes else ''} on conflict do nothing"
    )
    return listed, made


def known_tenants(project: Project) -> str:
    """Return a relation (key, tenant, value) of the listed tenants that exist."""
    root = ident(project.target.schema, project.root_table.name)
    return f"(select v.key, v.tenant, v.value from {REGISTRY} v join {root} t on t.{ident(ROW_ID)} = v.tenant)"


def name_new_tenants(project: Project) -> str:
    """Return the statement that gives tenants that were created in the target their value in the source. The value of a
    tenant that was deleted is free."""
    rule, root = _rule(project), ident(project.target.schema, project.root_table.name)
    value = rule.down or f"t.{ident(rule.column)}"
    return (
        f"insert into {REGISTRY} as r (key, tenant, value) select distinct on (b.key) b.key, b.tenant, b.value from (select"
        f" {value_key(project, value)} as key, t.{ident(ROW_ID)} as tenant, ({value})::text as value from {root} t"
        f" where not exists (select from {REGISTRY} v where v.tenant = t.{ident(ROW_ID)})) b where b.key is not null"
        " order by b.key, b.tenant on conflict (key) do update set tenant = excluded.tenant, value = excluded.value"
        f" where not exists (select from {root} t where t.{ident(ROW_ID)} = r.tenant)"
    )


def other_tenants(project: Project, alias: str) -> str:
    """Return a condition: a row of the tenant table is not what a next run makes of its value."""
    rule = _rule(project)
    made = id_sql(project.manifest.ids.namespace, project.manifest.tenant.table, "v.key")
    return (
        f"not exists (select from {REGISTRY} v where v.tenant = {alias}.{ident(ROW_ID)} and v.tenant = {made}"
        f" and v.value = {alias}.{ident(rule.column)}::text)"
    )


__all__ = [
    "REGISTRY",
    "all_values",
    "known_tenants",
    "make_registry",
    "make_tenants",
    "name_new_tenants",
    "other_tenants",
    "tenants_of_values",
    "value_columns",
    "value_key",
    "values_in",
]
