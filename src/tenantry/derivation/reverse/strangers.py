"""Rows of the target whose old id is that of another tenant's row, compiled.

Old ids of rows that are born in the target are their ids, which are unique within a tenant only: where somebody states ids,
rows of two tenants can have the same one, and the source has one place for it. That belongs to the tenant that the source says,
or, where the source has no such row yet, to the one who came first. The other row is a stranger there: neither the way back nor
the verification sees it, and it is listed as a conflict.
"""

from __future__ import annotations

from tenantry.derivation.reverse.columns import Part
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import legacy_of
from tenantry.mapping.project import Project
from tenantry.postgres import ident, literal

STRANGER = f"{JOURNAL}.stranger"
ASIDE = "stranger:"
"""Before the old ids of strangers once applications write the source again: what that says of its row is not said of them."""

REASON = "its place in the source is that of a row of another tenant with the same id"


def without_strangers(project: Project, name: str) -> str:
    """A target table as what may be seen of it."""
    table = ident(project.target.schema, name)
    if not project.scoped(name):
        return table
    return f"(select z.* from {table} z where not exists ({_listed(project, name, 'z')}))"


def strangers_of(project: Project, name: str, alias: str) -> str:
    """A condition: a row of a target table with tenants is a stranger in its place."""
    return f"exists ({_listed(project, name, alias)})"


def _listed(project: Project, name: str, alias: str) -> str:
    tenant = ident(project.manifest.tenant.column)
    return (
        f"select from {STRANGER} n where n.table_name = {literal(name)} and n.legacy_id = {alias}.legacy_id"
        f" and n.tenant = {alias}.{tenant}::text"
    )


def _candidates(project: Project, part: Part, keys: str) -> str:
    return f"{keys} k join {ident(project.target.schema, part.target)} t on t.legacy_id = {legacy_of(part.mapping, 'k.key')}"


def doubtful(project: Project, part: Part, keys: str) -> str:
    """A query: an old id of the keys that are looked at stands in several tenants, or did."""
    name = literal(part.target)
    return (
        f"(select t.legacy_id from {_candidates(project, part, keys)} where k.now group by 1 having count(*) > 1 limit 1)"
        f" union all (select n.legacy_id from {STRANGER} n join {keys} k on n.legacy_id = {legacy_of(part.mapping, 'k.key')}"
        f" where n.table_name = {name} and k.now limit 1)"
    )


def find_strangers(project: Project, part: Part, keys: str, up: str) -> list[str]:
    """Statements that decide again whose the places of these keys are.

    Args:
        up: what the source says, of the source rows that there are.
    """
    name = literal(part.target)
    tenant = ident(project.manifest.tenant.column)
    legacy = legacy_of(part.mapping, "k.key")
    key = f"u.{part.mapping.ours('key')}"
    return [
        "create temporary table if not exists tenantry_doubt (legacy_id text, tenant text, stranger boolean) on commit delete rows",
        "delete from pg_temp.tenantry_doubt",
        f"insert into pg_temp.tenantry_doubt select z.legacy_id, z.tenant, case when starts_with(z.legacy_id, {literal(ASIDE)}) then true"
        " when z.said then z.tenant is distinct from z.says"
        " else row_number() over (partition by z.legacy_id order by z.known, z.tenant) > 1 end"
        f" from (select t.legacy_id, t.{tenant}::text as tenant, u.{tenant}::text as says, {key} is not null as said,"
        f" {strangers_of(project, part.target, 't')} as known, count(*) over (partition by t.legacy_id) as n"
        f" from {_candidates(project, part, keys)} left join {up} u on {key} = k.key where k.now) z"
        " where z.n > 1 or z.known",
        f"delete from {STRANGER} n using {keys} k where k.now and n.table_name = {name} and n.legacy_id = {legacy}",
        f"insert into {STRANGER} select {name}, d.legacy_id, d.tenant from pg_temp.tenantry_doubt d where d.stranger",
    ]


def put_aside(project: Project) -> list[str]:
    """Statements of the turn back: strangers get old ids that no row of the source has, and stay what only the target has."""
    tenant = ident(project.manifest.tenant.column)
    return [
        f"with gone as (delete from {STRANGER} n where n.table_name = {literal(name)}"
        f" and not starts_with(n.legacy_id, {literal(ASIDE)}) returning n.legacy_id, n.tenant),\n"
        f"renamed as (update {ident(project.target.schema, name)} t set legacy_id = {literal(ASIDE)} || g.tenant || ':' ||"
        f" t.legacy_id from gone g where t.legacy_id = g.legacy_id and t.{tenant}::text = g.tenant"
        " returning t.legacy_id, g.tenant)\n"
        f"insert into {STRANGER} select {literal(name)}, r.legacy_id, r.tenant from renamed r on conflict do nothing"
        for name in project.by_target
        if project.scoped(name)
    ]


def list_strangers(project: Project, part: Part, keys: str, shown: str) -> str:
    """A statement that lists the strangers of the keys that were looked at as conflicts, each state of a row once.

    Args:
        shown: SQL of the target's row `t` as JSON, without secrets.
    """
    name = literal(part.target)
    reason = literal(REASON)
    return (
        f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
        f" select 'reverse', {name}, z.legacy_id, z.key, 'source', z.loser, {reason} from (select t.legacy_id, k.key,"
        f" {shown} as loser from {_candidates(project, part, keys)}"
        f" where {strangers_of(project, part.target, 't')}) z where not exists (select from {JOURNAL}.conflict c"
        f" where c.direction = 'reverse' and c.table_name = {name} and c.legacy_id = z.legacy_id"
        f" and c.loser::text = z.loser::text and c.reason = {reason})"
    )


__all__ = [
    "REASON",
    "STRANGER",
    "doubtful",
    "find_strangers",
    "list_strangers",
    "put_aside",
    "strangers_of",
    "without_strangers",
]
