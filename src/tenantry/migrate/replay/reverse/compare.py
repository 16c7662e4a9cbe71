"""Compares rows of the target with their derivation from the source; rows on which the manifest's SQL fails are left out."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.derivation.reverse.compare import compare_rows
from tenantry.derivation.reverse.derived import derive_rows
from tenantry.derivation.reverse.examined_rows import read_rows
from tenantry.derivation.reverse.write import SourceTable
from tenantry.migrate.replay.reverse.python import take_back
from tenantry.migrate.replay.reverse.state import Counts, Failure, ReverseRound, reason
from tenantry.migrate.replay.reverse.strangers import look_for_strangers
from tenantry.migrate.replay.row_errors import ROW_ERRORS

_ANALYZE_FROM = 100
"""Number of rows from which the temporary tables are analyzed."""


def open_table(state: ReverseRound, table: SourceTable) -> None:
    if table.name in state.made:
        return
    for statement in (*table.make_tables(), *table.clear_tables(all_keys=True)):
        state.connection.execute(statement)
    state.made[table.name] = table
    state.counts[table.name] = Counts()


def examine(state: ReverseRound, table: SourceTable, keys: Sequence[str] | None = None) -> None:
    """Compare the rows of these keys, or the marked rows; rows on which the manifest's SQL fails are left out."""
    if keys is not None:
        state.connection.execute(f"update {table.keys} set now = key = any (%s)", [list(keys)])
    refused = state.refused.setdefault(table.name, set())
    if refused:
        state.connection.execute(f"update {table.keys} set now = false where key = any (%s)", [list(refused)])
    try:
        with state.connection.transaction():
            _compare(state, table)
        return
    except ROW_ERRORS:
        marked = [str(row[0]) for row in state.connection.execute(f"select key from {table.keys} where now").fetchall()]
    _find_refused(state, table, marked)
    state.connection.execute(f"update {table.keys} set now = key = any (%s)", [[k for k in marked if k not in refused]])
    _compare(state, table)


def _find_refused(state: ReverseRound, table: SourceTable, keys: Sequence[str]) -> None:
    """Halve the rows until the ones whose comparison fails are found."""
    try:
        with state.connection.transaction(force_rollback=True):
            state.connection.execute(f"update {table.keys} set now = key = any (%s)", [list(keys)])
            _compare(state, table)
    except ROW_ERRORS as error:
        if len(keys) == 1:
            state.refused[table.name].add(keys[0])
            state.failures[table.name, keys[0]] = Failure("value", reason(table, error))
            return
        middle = len(keys) // 2
        _find_refused(state, table, keys[:middle])
        _find_refused(state, table, keys[middle:])


def _compare(state: ReverseRound, table: SourceTable) -> None:
    execute = state.connection.execute
    for statement in table.clear_tables(all_keys=False):
        execute(statement)
    large = state.count(f"{table.keys} where now") >= _ANALYZE_FROM
    if large:
        execute(f"analyze {table.keys}")
    rows, *links = read_rows(table)
    execute(rows)
    if large:
        execute(f"analyze {table.rows}")
    for position in range(len(table.parts)):
        execute(derive_rows(table, position, state.corrected))
    if look_for_strangers(state, table):
        rows, *links = read_rows(table)
    for statement in links:
        execute(statement)
    for position, part in enumerate(table.parts):
        if large and part.link != "same":
            execute(f"analyze {table.link(position)}")
        if part.mapping.python_columns:
            take_back(state, table, position)
    execute(compare_rows(table))
    if state.both and (contested := state.strangers.get(table.name)):
        # In the dual-write window the source's changed row wins: it is about to be replayed.
        execute(
            f"delete from {table.work} w using tenantry_entry e where e.table_name = %s and e.key = w.key and w.key = any (%s)",
            [table.name, sorted(contested)],
        )
    for statement in table.collect_gone():
        execute(statement)
