"""Nested tenants: a membership of a tenant gives the same role in all tenants below it. Pure.

The sets are computed once for a statement, along an index on the column that names the tenant above. An inactive tenant ends
the way down: what is below it is reached by memberships there alone.
"""

from __future__ import annotations

from tenantry.manifest.model import Manifest
from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident


def with_those_below(manifest: Manifest, tenants: str) -> str:
    """Return a query of these tenants and all below them; the query itself where tenants are not nested.

    Args:
        tenants: a query of the ids of tenants.
    """
    tenant = manifest.tenant
    if tenant.parent is None:
        return tenants
    active = f" and ({tenant.active})" if tenant.active else ""
    reached = "reached"
    while reached in manifest.tables:  # the tenant table's own name would win
        reached += "_"
    table = ident(manifest.target.schema_name, tenant.table)
    # A few look-ups by the index: a join would read the whole table for a member of a tenant without others below it.
    return f"""\
        with recursive held (tenant) as (
{tenants}
            union
            select b.id
              from held as {reached}
             cross join lateral (
                   select {ident(ROW_ID)} as id from {table} where {ident(tenant.parent)} = {reached}.tenant{active} offset 0) as b)
        select h.tenant from held as h"""


def in_tenant_or_above(manifest: Manifest, held: str, tenant: str) -> str:
    """Return a condition: a membership's tenant `held` is `tenant`, or above it."""
    section = manifest.tenant
    if section.parent is None:
        return f"{held} = {tenant}"
    where = f" where ({section.active})" if section.active else ""
    table = ident(manifest.target.schema_name, section.table)
    relation = f"(select {ident(ROW_ID)} as id, {ident(section.parent)} as above from {table}{where})"
    return (
        f"{held} in (with recursive line (tenant, above) as ("
        f"select t.id, t.above from {relation} as t where t.id = {tenant}"
        f" union select t.id, t.above from {relation} as t join line as l on t.id = l.above) select l.tenant from line as l)"
    )


__all__ = ["in_tenant_or_above", "with_those_below"]
