"""Compiles the list of rows that the source refuses: one line for each row and reason, with the row's latest state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import legacy_of
from tenantry.postgres import literal

if TYPE_CHECKING:
    from tenantry.derivation.reverse.write import SourceTable


def list_refused(table: SourceTable, position: int) -> str:
    """Return a statement that lists the rows of `tenantry_refused` (key, kind, reason).

    Args:
        position: the part that the listed rows belong to.
    """
    part = table.parts[position]
    places = " ".join(f"when w.legacy{i} is not null then {i}" for i in range(len(table.parts)))
    legacy = f"coalesce(w.legacy{position}, {legacy_of(part.mapping, 'f.key')})"
    row = f"(select {table.loser(position)} from {table.target_sql(part)} t where t.legacy_id = {legacy} limit 1)"
    return once_listed(
        f"select {literal(part.target)}, {legacy}, f.key, case when f.kind = 'delete' then '{{\"deleted\": true}}'::json"
        f" else coalesce({row}, '{{}}'::json) end, f.reason from tenantry_refused f"
        f" left join {table.work} w on w.key = f.key where case {places} else coalesce(w.resp, 0) end = {position}"
    )


def once_listed(query: str) -> str:
    """Return a statement that lists the rows of a query (table_name, legacy_id, source_key, loser, reason), or updates rows
    already in the list to their current state."""
    return (
        f"with new (table_name, legacy_id, source_key, loser, reason) as materialized ({query}),\n"
        f"seen as (update {JOURNAL}.conflict c set loser = n.loser, seen_at = clock_timestamp() from new n where c.direction = 'reverse'"
        " and c.table_name = n.table_name and c.legacy_id = n.legacy_id and c.reason = n.reason"
        " returning c.table_name, c.legacy_id, c.reason)\n"
        f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
        " select 'reverse', n.table_name, n.legacy_id, n.source_key, 'source', n.loser, n.reason from new n"
        " where not exists (select from seen s where s.table_name = n.table_name and s.legacy_id = n.legacy_id and s.reason = n.reason)"
    )


__all__ = ["list_refused", "once_listed"]
