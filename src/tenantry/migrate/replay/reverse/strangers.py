"""Decides which tenant owns a source row that rows of several tenants claim by the same legacy id."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.derivation.reverse.claims import claim_places, forget_strangers, tenants_named
from tenantry.derivation.reverse.examined_rows import CHANGED
from tenantry.derivation.reverse.strangers import (
    MOVE,
    doubtful,
    find_strangers,
    list_strangers,
    stranger_keys,
    strangers_in,
)
from tenantry.derivation.reverse.write import SourceTable
from tenantry.migrate.replay.reverse.state import ReverseRound


def look_for_strangers(state: ReverseRound, table: SourceTable) -> bool:
    """Decide about legacy ids that rows of several tenants, or of another tenant than the source's, claim. Return True if some rows
    are, or were, strangers."""
    execute = state.connection.execute
    found = False
    for position, part in enumerate(table.parts):
        if not state.project.scoped(part.target):
            continue
        execute("delete from pg_temp.tenantry_claim")
        execute(claim_places(table, part))
        if part.target in table.strangers:
            execute(forget_strangers(table, part))
        if execute(doubtful(state.project, part, table.up(position))).fetchone() is None:
            continue
        found = True
        execute("delete from pg_temp.tenantry_says")
        execute(tenants_named(table, position, state.corrected))
        for statement in find_strangers(state.project, part, CHANGED):
            execute(statement)
        keys = {str(row[0]) for row in execute(stranger_keys(part, table.keys)).fetchall()}
        state.strangers.setdefault(table.name, set()).update(keys)
    if found:
        see_strangers(state, [table])
    return found


def see_strangers(state: ReverseRound, tables: Sequence[SourceTable]) -> None:
    found = strangers_in(state.connection, state.project)
    for table in tables:
        table.strangers = found


def list_found_strangers(state: ReverseRound) -> None:
    for name in state.strangers:
        table = state.made[name]
        state.connection.execute(f"update {table.keys} set now = true where not now")
        state.connection.execute(f"delete from {table.rows}")
        for position, part in enumerate(table.parts):
            if state.project.scoped(part.target):
                state.connection.execute("delete from pg_temp.tenantry_claim")
                state.connection.execute(claim_places(table, part))
                statement = list_strangers(state.project, part, table.loser(position))
                state.counts[name].conflicts += state.connection.execute(statement).rowcount


def forget_moves(state: ReverseRound) -> None:
    """Forget moves of applications that the source now has, unless it refused some."""
    refused = {part.target for name, _ in state.failures for part in state.made[name].parts}
    state.connection.execute(
        f"delete from {MOVE} m using {CHANGED} c where m.table_name = c.table_name and m.legacy_id = c.legacy_id"
        " and m.table_name <> all (%s)",
        [sorted(refused)],
    )
