"""Compiles the handling of strangers: target rows whose place in the source belongs to another tenant's row.

The old id of a target-native row is its id, or the key that its values make. Both are unique only within a tenant, so rows of
two tenants can claim one place in the source. The place belongs to the tenant that the source assigns, whether its row is
copied or not. A row of another tenant gets the place only if an application moved that very row (`tenantry.tenant_move`). If
the source has no such row yet, the first one to claim the place gets it. The other row is a stranger: the reverse replay and
the verification ignore it, its children wait for it, and it is listed as a conflict.

If the manifest states one tenant for the whole source, the rows of all other tenants are strangers without being listed: the
source has no place for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.derivation.ids import constant_tenant_sql
from tenantry.derivation.reverse.refused import once_listed
from tenantry.journal.names import JOURNAL
from tenantry.mapping.project import Project
from tenantry.postgres import ident, literal

if TYPE_CHECKING:
    from tenantry.derivation.reverse.columns import Part
    from tenantry.journal.journal import Connection

STRANGER = f"{JOURNAL}.stranger"
MOVE = f"{JOURNAL}.tenant_move"
ASIDE = "stranger:"
"""Prefix of strangers' old ids once applications write the source again: then the source's row no longer applies to them."""

REASON = "its place in the source is that of a row of another tenant with the same id"

TABLES = (
    "create temporary table if not exists tenantry_claim (key text, legacy_id text, tenant text, born boolean, said boolean)"
    " on commit delete rows",
    "create temporary table if not exists tenantry_says (key text, tenant text) on commit delete rows",
    "create temporary table if not exists tenantry_doubt (key text, legacy_id text, tenant text, stranger boolean) on commit delete rows",
)


def without_strangers(project: Project, name: str) -> str:
    """Return a target table without the rows to be ignored."""
    table = ident(project.target.schema, name)
    if not project.scoped(name):
        return table
    return f"(select z.* from {table} z where not {strangers_of(project, name, 'z')})"


def strangers_of(project: Project, name: str, alias: str) -> str:
    """Return a condition: a row of a target table with tenants is a stranger."""
    listed = f"exists ({_listed(project, name, alias)})"
    return f"({of_another_tenant(project, alias)} or {listed})" if project.constant else listed


def of_another_tenant(project: Project, alias: str) -> str:
    """Return a condition: a row of a target table with tenants does not belong to the one tenant that the source has."""
    return f"{alias}.{ident(project.manifest.tenant.column)} <> {constant_tenant_sql(project.manifest)}"


def strangers_in(connection: Connection, project: Project) -> frozenset[str]:
    """Return the target tables that have strangers, or may have them."""
    if project.constant:
        return frozenset(name for name in project.by_target if project.scoped(name))
    return frozenset(
        str(row[0]) for row in connection.execute(f"select distinct table_name from {STRANGER}").fetchall()
    )


def no_stranger(project: Project, name: str, alias: str) -> str:
    """Return a condition that excludes strangers, after ` and`; empty for tables without a tenant."""
    return f" and not {strangers_of(project, name, alias)}" if project.scoped(name) else ""


def _listed(project: Project, name: str, alias: str) -> str:
    tenant = ident(project.manifest.tenant.column)
    return (
        f"select from {STRANGER} n where n.table_name = {literal(name)} and n.legacy_id = {alias}.legacy_id"
        f" and n.tenant = {alias}.{tenant}::text"
    )


def _known(part: Part, alias: str) -> str:
    return f"{STRANGER} n where n.table_name = {literal(part.target)} and n.legacy_id = {alias}.legacy_id and n.tenant = {alias}.tenant"


def moved_from(name: str, alias: str, says: str) -> str:
    """Return a condition: applications moved the row (legacy_id, tenant) away from the tenant that the source assigns."""
    mine = f"v.table_name = {literal(name)} and v.legacy_id = {alias}.legacy_id"
    return (
        f"exists (with recursive m (tenant) as (select {says} union select v.tenant from m join {MOVE} v on v.old_tenant = m.tenant"
        f" and {mine}) select from m where m.tenant = {alias}.tenant)"
    )


def doubtful(project: Project, part: Part, up: str) -> str:
    """Return a query of disputed places: a claim that is not of the source row's tenant, or several claims, now or before."""
    key = f"u.{part.mapping.ours('key')}"
    tenant = f"u.{ident(project.manifest.tenant.column)}::text"
    return (
        "select from (select c.*, count(*) over (partition by c.key) as of_key, count(*) over (partition by c.legacy_id) as of_id,"
        f" {key} is not null as derived, {tenant} as says from pg_temp.tenantry_claim c left join {up} u on {key} = c.key) c"
        " where c.of_key > 1 or c.of_id > 1 or (c.said and c.born and (not c.derived or c.says is distinct from c.tenant))"
        f" or exists (select from {_known(part, 'c')}) limit 1"
    )


def find_strangers(project: Project, part: Part, looked_at: str) -> list[str]:
    """Return statements that decide again which tenant owns each claimed place; `tenantry_says` holds the source's answer.

    Args:
        looked_at: the table (table_name, legacy_id) of the target rows to be examined.
    """
    name, table = literal(part.target), ident(project.target.schema, part.target)
    column = ident(project.manifest.tenant.column)
    mapping = literal(part.mapping.name)
    known = f"exists (select from {_known(part, 'c')})"
    held = f"exists (select from {JOURNAL}.born_part b where b.mapping = {mapping} and b.legacy_id = c.legacy_id and b.tenant = c.tenant)"
    # If several tenants have one id, each gets the places that its values name; the source decides places named by the id
    # itself.
    other = (
        f"select from {table} o where o.legacy_id = c.legacy_id and o.{column}::text <> c.tenant and (exists (select from"
        f" {JOURNAL}.born_part b where b.mapping = {mapping} and b.legacy_id = c.legacy_id and b.tenant = o.{column}::text)"
        f" or not {held} and ({known}, c.tenant) > (exists (select from {STRANGER} n where n.table_name = {name}"
        f" and n.legacy_id = o.legacy_id and n.tenant = o.{column}::text), o.{column}::text))"
    )
    second = f"(c.key <> c.legacy_id and exists ({other}))" if part.natural else "false"
    return [
        "delete from pg_temp.tenantry_doubt",
        "insert into pg_temp.tenantry_doubt select z.key, z.legacy_id, z.tenant, not z.allowed or z.tenant <> first_value(z.tenant)"
        " over (partition by z.key order by z.allowed desc, z.exact desc, z.born, z.held desc, z.known, z.tenant) from (select c.*,"
        f" {known} as known, {held} as held, w.tenant is not distinct from c.tenant as exact,"
        f" not exists (select from {_known(part, 'c')} and n.source_key is null) and not {second}"
        f" and (not c.born or not c.said or w.tenant is null or w.tenant = c.tenant or {moved_from(part.target, 'c', 'w.tenant')})"
        " as allowed from pg_temp.tenantry_claim c left join pg_temp.tenantry_says w on w.key = c.key) z",
        # A row that gets a place is examined.
        f"insert into {looked_at} select distinct {name}, d.legacy_id from pg_temp.tenantry_doubt d join {STRANGER} n"
        f" on n.table_name = {name} and n.legacy_id = d.legacy_id and n.tenant = d.tenant where not d.stranger on conflict do nothing",
        f"delete from {STRANGER} n using pg_temp.tenantry_doubt d where n.table_name = {name} and n.legacy_id = d.legacy_id"
        " and n.tenant = d.tenant and n.source_key is not null",
        f"insert into {STRANGER} (table_name, legacy_id, tenant, source_key) select distinct on (d.legacy_id, d.tenant) {name},"
        " d.legacy_id, d.tenant, d.key from pg_temp.tenantry_doubt d where d.stranger on conflict do nothing",
    ]


def stranger_keys(part: Part, keys: str) -> str:
    """Return a query of the places that strangers claim, among those to be examined."""
    return f"select k.key from {keys} k join {STRANGER} n on n.table_name = {literal(part.target)} and n.source_key = k.key"


def put_aside(project: Project) -> list[str]:
    """Return statements for the switch back: strangers get old ids that no source row has, and become target-only rows."""
    tenant = ident(project.manifest.tenant.column)
    return [
        f"with gone as (delete from {STRANGER} n where n.table_name = {literal(name)}"
        " and n.source_key is not null returning n.legacy_id, n.tenant),\n"
        # Generated by the server: nothing can have assigned it to a source row before.
        f"renamed as (update {ident(project.target.schema, name)} t set legacy_id = {literal(ASIDE)} || gen_random_uuid()::text"
        f" from gone g where t.legacy_id = g.legacy_id and t.{tenant}::text = g.tenant returning t.legacy_id, g.tenant)\n"
        f"insert into {STRANGER} (table_name, legacy_id, tenant) select {literal(name)}, r.legacy_id, r.tenant from renamed r"
        for name in project.by_target
        if project.scoped(name)
    ]


def list_strangers(project: Project, part: Part, shown: str) -> str:
    """Return a statement that lists the strangers of the examined keys as conflicts, each row once.

    Args:
        shown: SQL of the target's row `t` as JSON, without secrets.
    """
    name, tenant = literal(part.target), ident(project.manifest.tenant.column)
    return once_listed(
        f"select {name}, t.legacy_id, c.key, {shown}, {literal(REASON)} from pg_temp.tenantry_claim c"
        f" join {ident(project.target.schema, part.target)} t on t.legacy_id = c.legacy_id and t.{tenant}::text = c.tenant"
        f" where {strangers_of(project, part.target, 't')}"
    )


__all__ = [
    "MOVE",
    "REASON",
    "STRANGER",
    "TABLES",
    "doubtful",
    "find_strangers",
    "list_strangers",
    "moved_from",
    "no_stranger",
    "of_another_tenant",
    "put_aside",
    "stranger_keys",
    "strangers_in",
    "strangers_of",
    "without_strangers",
]
