"""Passes over the tables, parents first, and again for rows that waited for a parent or were refused."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from tenantry.derivation.reverse.columns import waiting
from tenantry.derivation.reverse.examined_rows import add_keys, changed_keys, draw_numbers
from tenantry.derivation.reverse.write import SourceTable
from tenantry.migrate.replay.reverse.compare import examine, open_table
from tenantry.migrate.replay.reverse.state import Failure, ReverseRound
from tenantry.migrate.replay.reverse.write import write
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.postgres import about


def pass_over(state: ReverseRound, targets: set[str]) -> None:
    """Insert and update rows of the source tables that feed these target tables, parents first; then again the rows
    whose parent did not exist yet."""
    waits: dict[str, list[str]] = {}
    for table in state.tables:
        if not targets & {part.target for part in table.parts}:
            continue
        new = table.name not in state.made
        open_table(state, table)
        state.connection.execute(f"update {table.keys} set now = false where now")
        with about(f"the way back into {table.sql}"):
            for part in table.parts:
                if part.drawn:
                    state.connection.execute(draw_numbers(table, part))
            for texts in changed_keys(table):
                state.connection.execute(add_keys(table, texts))
            examine(state, table)
            written = write(state, table)
        if written == 0 and new:
            state.whole.add(table.name)
        else:
            state.whole.discard(table.name)
        waits[table.name] = _waiting_keys(state, table)
    progress = True
    while progress:
        progress = False
        for table in state.tables:
            keys = waits.get(table.name)
            if keys:
                examine(state, table, keys)
                state.whole.discard(table.name)
                progress = write(state, table) > 0 or progress
                waits[table.name] = _waiting_keys(state, table)


def pass_waiting(state: ReverseRound) -> None:
    """Write rows that an earlier round kept in the target because the source lacked a parent that it now has."""
    while True:
        reasons = [
            waiting(part.target) for table in state.made.values() if _has_inserted(state, table) for part in table.parts
        ]
        again = state.connection.execute(state.blocks["waiting"], {"reasons": reasons}).fetchall() if reasons else []
        if not again:
            return
        pass_over(state, {str(row[0]) for row in again})


def _waiting_keys(state: ReverseRound, table: SourceTable) -> list[str]:
    rows = state.connection.execute(f"select key from {table.work} where waits is not null").fetchall()
    return [str(row[0]) for row in rows]


def _has_inserted(state: ReverseRound, table: SourceTable) -> bool:
    found = state.connection.execute(f"select from {table.keys} where state = 'inserted' limit 1").fetchone()
    return found is not None


def retry(state: ReverseRound) -> None:
    """Retry refused rows: the obstacle may be gone by now."""
    progress = True
    while progress:
        progress = False
        for table in state.tables:
            keys = [
                key for (name, key), failure in state.failures.items() if name == table.name and failure.kind != "value"
            ]
            for key in keys:
                del state.failures[table.name, key]
            keys += state.strangers.get(table.name, set()) - set(keys)
            if not keys:
                continue
            examine(state, table, keys)
            state.whole.discard(table.name)
            progress = write(state, table) > 0 or progress


def look_again(state: ReverseRound) -> None:
    """Examine inserted rows again whose tenant other rows decide, or a fallback: a row that the source places in another tenant than the
    target has no place there, and is taken out."""
    elsewhere = {
        mapping.target.name
        for mapping in state.project
        if any(
            path.fallback or path.backward or path.by_value or path.onward or path.only for path in mapping.tenant_paths
        )
    }
    for mapping in state.project:
        # Parents come first.
        if any(path.parent in elsewhere for path in mapping.tenant_paths):
            elsewhere.add(mapping.target.name)
    for table in state.tables:
        if table.name not in state.made or not elsewhere & {part.target for part in table.parts}:
            continue
        inserted = state.connection.execute(f"select key from {table.keys} where state = 'inserted'").fetchall()
        if inserted:
            examine(state, table, [str(row[0]) for row in inserted])
            state.whole.discard(table.name)
            for (key,) in state.connection.execute(
                f"select d.key from {table.gone} d join {table.keys} k on k.key = d.key where k.state = 'inserted'"
            ).fetchall():
                state.failures[table.name, str(key)] = Failure(
                    "insert",
                    "it would belong to another tenant there, since the source cannot hold what places it in its own",
                )


def park(state: ReverseRound) -> None:
    """Write rows that exchange unique values: give all of them unused values, then their own."""
    for table in state.tables:
        keys = [
            key
            for (name, key), failure in state.failures.items()
            if name == table.name and failure.kind == "update" and failure.unique
        ]
        while len(keys) > 1:
            refused = _exchange(state, table, keys)
            if not refused:
                for key in keys:
                    del state.failures[table.name, key]
                break
            if refused == set(keys):
                break
            keys = [key for key in keys if key not in refused]


def _exchange(state: ReverseRound, table: SourceTable, keys: Sequence[str]) -> set[str]:
    """Exchange the values of some rows, and return the rows that are still refused; rows change only if there are none."""
    examine(state, table, keys)
    state.whole.discard(table.name)
    before = dict(state.failures)
    refused: set[str] = set()
    try:
        with state.connection.transaction():
            for statement in table.park():
                state.connection.execute(statement)
            write(state, table)
            refused = {
                key
                for (name, key), failure in state.failures.items()
                if name == table.name and before.get((name, key)) is not failure
            }
            if refused:
                raise psycopg.Rollback
    except ROW_ERRORS:
        refused = set(keys)
    for key in refused:
        state.failures[table.name, key] = before[table.name, key]
    return refused
