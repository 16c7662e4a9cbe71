"""Checks tenants that are made from the values of source columns. Pure."""

from __future__ import annotations

from tenantry.catalog import Column, Table
from tenantry.mapping.expressions import has_select
from tenantry.mapping.project import LEGACY_ID, ROW_ID, Mapping
from tenantry.mapping.source_checks import SourceChecks
from tenantry.mapping.types import plain_column
from tenantry.mapping.values.type_names import base_type

_VALUE = Table("", "value", columns=(Column("value", "text", type_name="text"),))
_TEXTS = ("text", "character varying")


def check_tenant_values(checks: SourceChecks) -> None:
    """Report mistakes in `[tenant.values]`."""
    tenant = checks.manifest.tenant
    table, rule, values = checks.target.table(tenant.table), checks.manifest.tables.get(tenant.table), tenant.values
    if table is None or rule is None or values is None:
        return  # reported where it is named
    if tenant.constant is not None:
        checks.say(("tenant", "values"), "[tenant] constant states the one tenant of all rows; take one of the two out")
    if rule.parts():
        checks.say(
            ("tables", table.name),
            "[tenant.values] makes the tenants from values of columns, so their table has no source; take one of the two out",
        )
    column = checks.need_column(table, values.column, ("tenant", "values", "column"))
    if column is not None:
        plain = plain_column(column, checks.target)
        if plain.type_kind != "base" or base_type(plain.type) not in _TEXTS or column.generated is not None:
            checks.say(
                ("tenant", "values", "column"), f"{table.name}.{column.name} receives a text, but is {column.type}"
            )
    for each in table.columns:
        filled = each.nullable or each.default or each.identity or each.generated
        if not filled and each.name not in (ROW_ID, LEGACY_ID, values.column):
            checks.say(
                ("tenant", "values"),
                f"{table.name}.{each.name} is NOT NULL without a default, and a tenant that is made from a value has nothing"
                " else; give the column a default in the target's files, or let it be null",
            )
    for name, sql, scopes in (("up", values.up, {"": _VALUE}), ("down", values.down, {"t": table})):
        key = ("tenant", "values", name)
        if sql is not None and checks.expressions.check(sql, scopes, key) and has_select(sql):
            checks.say(key, f"{sql!r} must not read a table: what it says of a value must stay the same")


def check_tenant_columns(checks: SourceChecks, mappings: list[Mapping]) -> None:
    """Report that no path names a column whose values would be tenants."""
    tenant = checks.manifest.tenant
    if tenant.values is not None and not any(
        hop.by_value for each in mappings for path in each.tenant_paths for hop in path.hops()
    ):
        checks.say(
            ("tenant", "values"),
            f'no path leads to {tenant.table} by a value; name the columns, as in tenant = ["region -> {tenant.table}"]',
        )


__all__ = ["check_tenant_columns", "check_tenant_values"]
