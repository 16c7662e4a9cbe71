"""Compiles which target rows claim the place of a source row, and which tenants the source itself names."""

from __future__ import annotations

from tenantry.derivation.few import tenants_of
from tenantry.derivation.reverse.columns import Part
from tenantry.derivation.reverse.comparison import Comparison
from tenantry.derivation.reverse.derived import corrected_rows
from tenantry.derivation.reverse.examined_rows import CHANGED, native_rows, rows_to_examine
from tenantry.derivation.reverse.strangers import STRANGER, of_another_tenant
from tenantry.mapping.legacy_ids import legacy_of
from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident, literal


def claim_places(table: Comparison, part: Part) -> str:
    """Return a statement that records which target rows, of any tenant, claim the places to be examined."""
    tenant = ident(table.project.manifest.tenant.column)
    whole = ident(table.project.target.schema, part.target)
    if table.project.constant:
        whole = f"(select z.* from {whole} z where not {of_another_tenant(table.project, 'z')})"
    said = f"exists (select from {table.rows} s where {table.same_key('s', 'k')})"
    claimed = (
        f"select k.key, t.legacy_id, t.{tenant}::text as tenant, t.legacy_id = t.{ident(ROW_ID)}::text as born, {said} as said"
        f" from {table.keys} k join {whole} t on t.legacy_id = {legacy_of(part.mapping, 'k.key')} where k.now"
    )
    if part.link == "natural":
        # A target-native row has the place that its values name, and none by its id.
        claimed += f" and (t.legacy_id <> t.{ident(ROW_ID)}::text or {table.source_has(part.mapping, 't.legacy_id')})"
        known = (
            f"{rows_to_examine(table, part)} union select n.legacy_id from {STRANGER} n join {table.keys} k on n.source_key = k.key and k.now"
            f" where n.table_name = {literal(part.target)}"
        )
        claimed += (
            f" union select k.key, n.legacy_id, n.tenant, true, {said} from {table.keys} k"
            f" join ({native_rows(table, part, known, whole, f', t.{tenant}::text as tenant')}) n on n.key = k.key where k.now"
        )
    return f"insert into pg_temp.tenantry_claim {claimed}"


def forget_strangers(table: Comparison, part: Part) -> str:
    """Return a statement that forgets strangers whose rows were deleted, for the places to be examined."""
    return (
        f"delete from {STRANGER} n using {table.keys} k where k.now and n.table_name = {literal(part.target)} and n.source_key = k.key"
        f" and not exists (select from pg_temp.tenantry_claim c"
        " where c.legacy_id = n.legacy_id and c.tenant = n.tenant)"
    )


def tenants_named(table: Comparison, position: int, corrected: frozenset[str]) -> str:
    """Return a statement that records the tenants of the source rows according to the source alone."""
    mapping = table.parts[position].mapping
    told = tenants_of(table.project, mapping, corrected_rows(table, position, corrected), table.rows, corrected)
    return f"insert into pg_temp.tenantry_says {told}"


def rows_without_place(table: Comparison, part: Part) -> str:
    """Return a query (legacy_id, parent) of changed target-native rows, each with the parent they wait for in the
    source."""
    missing = " ".join(
        f"when {feed.value} is null and t.{ident(feed.asked)} is not null then {literal(feed.parent)}"
        for feed in part.natural
        if feed.parent
    )
    joins = "".join(f"\n  {join}" for join in part.joins)
    return (
        f"select t.legacy_id, case {missing} end as parent from {table.target_sql(part)} t{joins}\n"
        f" where t.legacy_id in (select c.legacy_id from {CHANGED} c where c.table_name = {literal(part.target)})"
        f" and t.legacy_id = t.{ident(ROW_ID)}::text and not {table.source_has(part.mapping, 't.legacy_id')}"
        if missing
        else ""
    )
