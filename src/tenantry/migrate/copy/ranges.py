"""Copies one key range in one transaction, and finds the row that makes a range fail."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql as psql

from tenantry.catalog import Column as CatalogColumn
from tenantry.derivation.derived import within
from tenantry.derivation.ids import key_parts
from tenantry.derivation.keys import equal, mapping_key, operator
from tenantry.derivation.pilot import restriction
from tenantry.derivation.rows import python_table
from tenantry.errors import TransformFailed
from tenantry.journal.journal import Chunk, Connection, Journal, statement
from tenantry.journal.names import JOURNAL
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.postgres import ident, idents, literal
from tenantry.statements.copy import RUN

PYTHON_BATCH = 5_000
"""Rows per call of a Python transform; limits its memory."""

CHUNK_ROWS = 10_000
"""Rows of the smallest range; neighbouring ranges are copied together until a statement takes the wanted time."""
MOST_CHUNKS = 4_096
_SAMPLE_ROWS = 200
"""Sampled rows per border of a range."""


@dataclass(frozen=True, slots=True)
class Copied:
    """The counts of a chunk's statement."""

    source: int
    target: int
    quarantined: int
    changed: int


def range_condition(mapping: Mapping, low: str | None, high: str | None, alias: str = "s") -> str:
    """Return low < key <= high over the source's key columns, in the order of its index, so that the index can be used."""
    held = [column for name in mapping.key if (column := mapping.source.column(name)) is not None]
    conditions = []
    if low is not None:
        conditions.append(_beyond(held, alias, ">", ">", key_parts(mapping.key, low)))
    if high is not None:
        conditions.append(_beyond(held, alias, "<", "<=", key_parts(mapping.key, high)))
    return " and ".join(conditions) or "true"


def _beyond(held: Sequence[CatalogColumn], alias: str, strictly: str, at_last: str, texts: Sequence[str]) -> str:
    values = [f"{literal(text)}::{column.type}" for column, text in zip(held, texts, strict=True)]
    names = [f"{alias}.{ident(column.name)}" for column in held]
    if len(held) == 1:
        return f"{names[0]} {operator(held[0], at_last)} {values[0]}"
    if all(operator(column, at_last) == at_last for column in held):
        return f"({', '.join(names)}) {at_last} ({', '.join(values)})"
    # Row comparison needs one operator for all columns, which types of extensions do not share.
    ways = []
    for place, column in enumerate(held):
        last = at_last if place == len(held) - 1 else strictly
        before = [equal(held[n], names[n], values[n]) for n in range(place)]
        ways.append(" and ".join([*before, f"{names[place]} {operator(column, last)} {values[place]}"]))
    return f"({' or '.join(f'({way})' for way in ways)})"


def plan_chunks(
    connection: Connection, project: Project, mapping: Mapping, chunk_rows: int = CHUNK_ROWS
) -> tuple[list[Chunk], int]:
    """Return key ranges of about equal size, from a sample of pages, and the exact number of rows to read."""
    table = ident(project.source.schema, mapping.source.name)
    row = connection.execute(f"select count(*) from {table}").fetchone()
    assert row is not None
    count = int(row[0])
    wanted = count
    if (some := restriction(project, mapping)) is not None:
        row = connection.execute(f"select count(*) from {table} s where {some}").fetchone()
        assert row is not None
        wanted = int(row[0])
    pieces = min(MOST_CHUNKS, -(-count // chunk_rows))
    if pieces <= 1:
        return [Chunk(0, None, None)], wanted
    percent = min(100.0, 100.0 * pieces * _SAMPLE_ROWS / count)
    order = idents(mapping.key, prefix="s")
    bounds = [
        str(found[0])
        for found in connection.execute(
            f"select z.k from (select {mapping_key(mapping)} as k, row_number() over (order by {order}) as n, count(*) over () as c"
            f" from {table} s tablesample system ({percent}) repeatable (1)) z"
            f" where z.c >= {pieces} and z.n % (z.c / {pieces}) = 0 order by z.n limit {pieces - 1}"
        )
    ]
    edges: list[str | None] = [None, *bounds, None]
    return [Chunk(i, edges[i], edges[i + 1]) for i in range(len(edges) - 1)], wanted


def copy_chunks(
    connection: Connection,
    journal: Journal,
    project: Project,
    mapping: Mapping,
    template: str,
    chunks: Sequence[Chunk],
    check: Callable[[Connection], None],
) -> Copied | None:
    """Copy neighbouring ranges together and mark them as done, in one transaction; return None if another process has done so.

    Args:
        check: called last; it raises if nothing of this may be kept.
    """
    condition = range_condition(mapping, chunks[0].low, chunks[-1].high)
    started = time.monotonic()
    with connection.transaction():
        if mapping.python_columns:
            some = restriction(project, mapping)
            run_python(connection, project, mapping, condition if some is None else f"{condition} and {some}")
        row = connection.execute(within(template, condition)).fetchone()
        assert row is not None
        copied = Copied(*(int(value) for value in row))
        marked = journal.say(
            connection,
            "chunks_done",
            mapping=mapping.name,
            position=chunks[0].position,
            positions=[chunk.position for chunk in chunks],
            source=copied.source,
            target=copied.target,
            quarantined=copied.quarantined,
            changed=copied.changed,
            seconds=time.monotonic() - started,
        ).rowcount
        if marked != len(chunks):
            raise psycopg.Rollback
        check(connection)
    return copied if marked == len(chunks) else None


def split_chunk(
    connection: Connection, journal: Journal, project: Project, mapping: Mapping, chunk: Chunk
) -> list[Chunk]:
    """Return the two halves of a failed range; empty if it holds one row."""
    condition = range_condition(mapping, chunk.low, chunk.high)
    where = f"{condition} and ({mapping.where})" if mapping.where else condition
    table = ident(project.source.schema, mapping.source.name)
    order = idents(mapping.key, prefix="s")
    middle = connection.execute(
        f"select z.k from (select {mapping_key(mapping)} as k, row_number() over (order by {order}) as n, count(*) over () as c"
        f" from {table} s where {where}) z where z.n = z.c / 2 and z.c > 1"
    ).fetchone()
    if middle is None:
        return []
    rows = journal.say(
        connection, "split_chunk", mapping=mapping.name, position=chunk.position, middle=middle[0]
    ).fetchall()
    return [Chunk(*row) for row in rows]


def refuse_row(
    connection: Connection, journal: Journal, project: Project, mapping: Mapping, chunk: Chunk, error: psycopg.Error
) -> Copied:
    """Put a refused range of one row into the quarantine, with the server's message."""
    condition = range_condition(mapping, chunk.low, chunk.high)
    where = f"{condition} and ({mapping.where})" if mapping.where else condition
    said = (
        "the server's message is withheld: the table holds secrets" if mapping.secrets else error.diag.message_primary
    )
    with connection.transaction():
        connection.execute(
            f"insert into {JOURNAL}.quarantine (run_id, mapping, source_table, source_key, original, problems, reason,"
            f" column_name, detail) select {RUN}, {literal(mapping.name)}, {literal(mapping.source.name)},"
            f" {mapping_key(mapping)}, {JOURNAL}.row_json(s.*), 'row_refused', 'row_refused', {literal(error.diag.column_name)},"
            f" {literal(said)} from {ident(project.source.schema, mapping.source.name)} s where {where}"
        )
        journal.say(
            connection,
            "chunks_done",
            mapping=mapping.name,
            position=chunk.position,
            positions=[chunk.position],
            source=1,
            target=0,
            quarantined=1,
            changed=0,
            seconds=0.0,
        )
    return Copied(1, 0, 1, 0)


# -- Python transforms ---------------------------------------------------------------------------------------------------


def load_function(name: str) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return the function that a `module:function` of the manifest names.

    Raises:
        TransformFailed: it cannot be imported.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise TransformFailed(
            f"The Python transform {name!r} cannot be loaded: {error}.",
            hint='Write it as "module:function", and install its package in the same environment as Tenantry.',
        ) from None
    return found  # type: ignore[no-any-return]


def apply_function(name: str, values: Sequence[Any], where: str) -> list[Any]:
    """Apply a transform to a batch; nulls are not passed to it.

    Raises:
        TransformFailed: it raised, or returned another number of values; the message never contains values.
    """
    function = load_function(name)
    given = [value for value in values if value is not None]
    try:
        made = list(function(given)) if given else []
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything
        text = str(error)
        hides = any(isinstance(value, str) and value and value in text for value in given)
        raise TransformFailed(
            f"The Python transform {name} failed on {where}: {type(error).__name__}" + ("" if hides else f": {text}"),
            hint="Fix the function or its configuration, then run the same command again: it resumes from the journal.",
        ) from None
    if len(made) != len(given):
        raise TransformFailed(
            f"The Python transform {name} returned {len(made)} values for {len(given)} on {where}.",
            hint="It must return one value for each value that it gets, in the same order.",
        )
    results = iter(made)
    return [None if value is None else next(results) for value in values]


def run_python(
    connection: Connection, project: Project, mapping: Mapping, condition: str, *, relation: str | None = None
) -> None:
    """Fill the temporary table that the derivation joins: the key, and the columns that Python computes."""
    columns, key = mapping.python_columns, mapping.ours("key")
    temporary = python_table(mapping).split(".")[-1]
    fields = ", ".join(f"{ident(column.name)} {column.type}" for column in columns)
    connection.execute(
        f"create temporary table if not exists {temporary} ({key} text primary key, {fields}) on commit delete rows"
    )
    # The same rows may be derived again within one transaction.
    connection.execute(f"delete from {temporary}")
    table = relation or ident(project.source.schema, mapping.source.name)
    inputs = ", ".join(f"s.{ident(column.source or '')}" for column in columns)
    query = f"select {mapping_key(mapping)}, {inputs} from {table} s where {condition}"
    with connection.cursor(name="tenantry_python") as cursor:
        cursor.itersize = PYTHON_BATCH
        cursor.execute(query)
        while batch := cursor.fetchmany(PYTHON_BATCH):
            _copy_batch(connection, temporary, columns, batch, mapping)


def _copy_batch(
    connection: Connection,
    temporary: str,
    columns: Sequence[MappedColumn],
    batch: Sequence[tuple[Any, ...]],
    mapping: Mapping,
) -> None:
    made: list[Iterable[Any]] = [[row[0] for row in batch]]
    for position, column in enumerate(columns, start=1):
        assert column.python is not None
        values = [row[position] for row in batch]
        made.append(apply_function(column.python.up, values, f"{mapping.name}.{column.name}"))
    names = psql.SQL(", ").join(
        psql.Identifier(name) for name in [mapping.ours("key"), *(column.name for column in columns)]
    )
    with connection.cursor() as cursor:
        command = psql.SQL("copy {} ({}) from stdin").format(psql.Identifier(temporary.strip('"')), names)
        with cursor.copy(command) as pipe:
            for row in zip(*made, strict=True):
                pipe.write_row(row)


__all__ = ["Copied", "copy_chunks", "plan_chunks", "range_condition", "refuse_row", "split_chunk", "statement"]
