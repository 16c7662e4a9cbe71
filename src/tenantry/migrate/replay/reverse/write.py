"""Writes the differences of the comparison, all rows of a table in one statement; refused statements are halved to single rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tenantry.derivation.reverse.write import SourceTable
from tenantry.journal.names import JOURNAL
from tenantry.migrate.replay.reverse.state import Failure, ReverseRound
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.postgres import literal

_AT_ONCE = 256
"""Number of refused rows from which each is tried individually."""


def write(state: ReverseRound, table: SourceTable) -> int:
    """Write the differences in the work table; return the number of written rows."""
    flags = ", ".join(f"bool_or(c[{j + 1}])" for j in range(len(table.slots)))
    row = state.connection.execute(
        f"select bool_or(ins), max(n){', ' + flags if flags else ''} from {table.work}"
    ).fetchone()
    assert row is not None
    places = [j for j, flag in enumerate(row[2:]) if flag]
    done = 0
    if places:
        done += halved(
            state, table, "update", lambda condition: table.update(places, condition), row[1],
            lambda condition: _updated(state, table, places, condition),
        )  # fmt: skip
    if row[0]:
        done += halved(
            state, table, "insert", table.insert, row[1], lambda condition: _inserted_now(state, table, condition)
        )
        done -= _left_out(state, table)
    if done:
        state.whole.discard(table.name)
    return done


def _updated(state: ReverseRound, table: SourceTable, places: Sequence[int], condition: str) -> None:
    any_of = " or ".join(f"w.c[{j + 1}]" for j in places)
    _mark(state, table, "updated", f"({any_of}) and {condition}")
    if state.corrected & {part.mapping.name for part in table.parts}:
        state.connection.execute(table.unpatch(places, condition))


def _inserted_now(state: ReverseRound, table: SourceTable, condition: str) -> None:
    # Ids in documents depend on which rows exist.
    state.whole -= state.documented
    _mark(state, table, "inserted", f"w.ins and {condition}")
    for statement in table.born_parts(inserted=True):
        state.connection.execute(statement)


def _mark(state: ReverseRound, table: SourceTable, done: str, condition: str) -> None:
    state.connection.execute(
        f"update {table.keys} k set state = {literal(done)} from {table.work} w"
        f" where k.key = w.key and {condition} and k.state is distinct from 'inserted'"
    )


def _left_out(state: ReverseRound, table: SourceTable) -> int:
    statement = table.left_out()
    if statement is None:
        return 0
    keys = [str(row[0]) for row in state.connection.execute(statement).fetchall()]
    if keys:
        state.connection.execute(f"update {table.keys} set state = null where key = any (%s)", [keys])
        for key in keys:
            state.failures[table.name, key] = Failure(
                "insert", f"the filter of the manifest leaves {table.name} rows like it out"
            )
    return len(keys)


def halved(
    state: ReverseRound,
    table: SourceTable,
    kind: str,
    statement: Callable[[str], str],
    last: int,
    then: Callable[[str], None] = lambda _condition: None,
) -> int:
    """Run a statement for all rows except refused ones; return the number of written rows.

    Args:
        statement: returns the statement that writes the rows of a condition.
        last: the highest number of a row.
        then: called with the condition of the written rows.
    """

    def attempt(low: int, high: int, condition: str) -> int:
        try:
            with state.connection.transaction():
                done = state.connection.execute(statement(condition)).rowcount
                then(condition)
                return done
        except ROW_ERRORS:
            if high - low <= _AT_ONCE:
                return _each(state, table, kind, statement, low, high, then)
            middle = (low + high) // 2
            return attempt(low, middle, _between(low, middle)) + attempt(middle, high, _between(middle, high))

    return attempt(1, last + 1, "true")


def _each(
    state: ReverseRound,
    table: SourceTable,
    kind: str,
    statement: Callable[[str], str],
    low: int,
    high: int,
    then: Callable[[str], None],
) -> int:
    """Write each row individually, within the server, so that many refused rows do not delay all others."""
    refused = state.connection.execute(
        f"select n, code, said from {JOURNAL}.try_each(%s, %s, %s)", [statement("w.n = $1"), low, high]
    ).fetchall()
    written = refused.pop()[2]
    for place, code, said in refused:
        state.refuse(table, kind, int(place), str(code), str(said))
    names = ", ".join(str(int(place)) for place, _, _ in refused)
    condition = _between(low, high) + (f" and w.n not in ({names})" if names else "")
    then(condition)
    return int(written)


def _between(low: int, high: int) -> str:
    return f"w.n >= {low} and w.n < {high}"
