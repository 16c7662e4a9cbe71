"""Reverses values that Python functions made, through their `down`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql as psql

from tenantry.derivation.reverse.write import SourceTable
from tenantry.errors import TransformFailed
from tenantry.migrate.copy.ranges import PYTHON_BATCH, apply_function
from tenantry.migrate.replay.reverse.state import ReverseRound
from tenantry.postgres import ident


def take_back(state: ReverseRound, table: SourceTable, position: int) -> None:
    """Write the reversed values of Python functions into the temporary table that the comparison joins."""
    part = table.parts[position]
    columns = part.mapping.python_columns
    wanted = ", ".join(f"t.{ident(column.name)}" for column in columns)
    names = [f"{kind}{n}" for n in range(len(columns)) for kind in ("b", "ok")]
    rows = state.connection.execute(
        f"select l.key, {wanted} from {table.link(position)} l join"
        f" {table.target_sql(part)} t on t.legacy_id = l.legacy"
    ).fetchall()
    command = psql.SQL("copy {} ({}) from stdin").format(
        psql.Identifier(table.python(position).removeprefix("pg_temp.").strip('"')),
        psql.SQL(", ").join(psql.Identifier(name) for name in ["key", *names]),
    )
    for first in range(0, len(rows), PYTHON_BATCH):
        batch = rows[first : first + PYTHON_BATCH]
        made = [_through(state, table, position, n, [row[1 + n] for row in batch]) for n in range(len(columns))]
        with state.connection.cursor() as cursor, cursor.copy(command) as pipe:
            for place, row in enumerate(batch):
                pipe.write_row([row[0], *(value for values in made for value in values[place])])


def _through(
    state: ReverseRound, table: SourceTable, position: int, n: int, values: Sequence[Any]
) -> list[tuple[Any, bool]]:
    """Pass each value through `down`, and return whether it was accepted; a refused value differs from a `down` that cannot run."""
    part = table.parts[position]
    column = part.mapping.python_columns[n]
    assert column.python is not None
    where = f"{part.mapping.name}.{column.name}"
    try:
        return [(value, True) for value in apply_function(column.python.down, values, where)]
    except TransformFailed:
        sample = state.connection.execute(
            f"select s.{ident(column.source or column.name)} from {table.sql} s"
            f" where s.{ident(column.source or column.name)} is not null limit 1"
        ).fetchone()
        if sample is None:
            raise
        apply_function(column.python.down, apply_function(column.python.up, [sample[0]], where), where)
    made: list[tuple[Any, bool]] = []
    for value in values:
        try:
            made.append((apply_function(column.python.down, [value], where)[0], True))
        except TransformFailed:
            made.append((None, False))
    return made
