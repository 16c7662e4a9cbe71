"""Checks a constant tenant, which owns everything in the source, against the target. Pure."""

from __future__ import annotations

from tenantry.errors import nearest
from tenantry.mapping.check_access import TargetChecks, did_you_mean
from tenantry.mapping.constants import unfit
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.mapping.types import enum_labels, plain_column


def check_constant(checks: TargetChecks) -> None:
    """Report mistakes in `[tenant] constant`, or that no tenants are defined."""
    manifest = checks.manifest
    tenant = manifest.tenant
    table, rule = checks.target.table(tenant.table), manifest.tables.get(tenant.table)
    if table is None or rule is None:
        return  # reported where it is named
    if tenant.constant is None:
        if tenant.values is None and not rule.parts() and any(each.parts() for each in manifest.tables.values()):
            checks.say(
                ("tables", table.name),
                f'where do the tenants come from? Name their source table (from = "…"), or state the one tenant that everything'
                f" belongs to: [tenant] constant = {{ … }}, the columns of its row in {table.name}; or make them from the values of a"
                " column: [tenant.values]",
            )
        return
    if rule.parts():
        checks.say(
            ("tables", table.name),
            "[tenant] constant states the one tenant of this database, so its table has no source; take one of the two out",
        )
    for name, value in tenant.constant.items():
        key = ("tenant", "constant", name)
        column = table.column(name)
        if column is None:
            near = nearest(name, [each.name for each in table.columns])
            checks.say(key, f"{table.name} has no column {name!r}" + did_you_mean(near))
        elif column.generated is not None or column.identity == "always":
            checks.say(key, f"the server fills {table.name}.{name}; take it out")
        elif wrong := unfit(value, plain_column(column, checks.target).type, enum_labels(column, checks.target)):
            checks.say(key, wrong)
    for column in table.columns:
        filled = (
            column.nullable
            or column.default
            or column.identity
            or column.generated
            or column.name in (ROW_ID, LEGACY_ID)
        )
        if not filled and column.name not in tenant.constant:
            checks.say(
                ("tenant", "constant"),
                f"{table.name}.{column.name} is NOT NULL without a default; state its value, {column.name} = …",
            )
    for name, each in manifest.tables.items():
        for label, part in each.parts().items():
            if name == table.name:
                continue
            for which, ways in (("tenant", part.tenant), ("fallback", part.fallback)):
                if ways:
                    checks.say(
                        ("tables", name, *(("sources", label) if label else ()), which),
                        f"[tenant] constant states the tenant of all rows, so they need no path to it; take {which} out",
                    )


__all__ = ["check_constant"]
