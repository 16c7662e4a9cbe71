"""Samples tables: bounded reads, as text, each with a statement timeout and a savepoint of its own; works on a standby,
too."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import errors as pg

from tenantry.catalog import Catalog, Column, Table
from tenantry.mapping.types import element, plain_column
from tenantry.mapping.values import type_names
from tenantry.mapping.values.type_names import INTEGERS, TEXTS
from tenantry.postgres import ident

Connection = psycopg.Connection[Any]

ROWS = 1000
"""Rows per sample."""
MOST_VALUES = 100
"""Distinct values per place that are looked up."""
LARGE = 20_000
"""Tables with more rows than this are sampled by pages."""
LONGEST = 20_000
"""Maximum length of a value in characters; longer documents are not sampled."""
TIMEOUT = "5s"

DOCUMENTS = frozenset(("json", "jsonb"))


def base_type(catalog: Catalog, column: Column) -> str:
    """Return the type below domains, without its length: `character varying(30)` is `character varying`. Arrays end in
    `[]`."""
    plain = plain_column(column, catalog)
    if plain.type.endswith("[]"):
        return f"{base_type(catalog, element(plain, catalog))}[]"
    return "citext" if plain.type_name == "citext" else type_names.base_type(plain.type)


def may_hold_ids(kind: str) -> bool:
    """Whether a column of this base type may hold ids."""
    plain = kind.removesuffix("[]")
    return plain in TEXTS or plain in INTEGERS or plain in ("uuid", "numeric") or (kind in DOCUMENTS)


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows of a table: by column the values as text, None for null, arrays and documents as JSON.

    Attributes:
        rows: PostgreSQL's estimate, or the number of rows if the whole table was read.
        said: why it could not be read.
    """

    table: str
    columns: tuple[str, ...]
    values: tuple[tuple[str | None, ...], ...] = ()
    rows: int = -1
    said: str = ""
    whole: bool = False
    """Whether every row was read."""
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By column: more distinct values, if the sample had hardly any that is not null."""

    def column(self, name: str) -> list[str | None]:
        at = self.columns.index(name) if name in self.columns else -1
        return [row[at] for row in self.values] if at >= 0 else []

    def distinct(self, name: str) -> list[str]:
        """Return the distinct values of a column in the order of reading, without empty texts."""
        found = dict.fromkeys(value for value in self.column(name) if value)
        return [*found, *(value for value in self.more.get(name, ()) if value not in found)]


def sample_tables(
    connection: Connection,
    catalog: Catalog,
    tables: Sequence[Table],
    *,
    rows: int = ROWS,
    progress: Callable[[str], None] = lambda _name: None,
) -> dict[str, Sample]:
    """Sample each table. The caller must have opened a read-only transaction."""
    found = {}
    for table in tables:
        progress(table.name)
        found[table.name] = _sample(connection, catalog, table, rows)
    return found


def _sample(connection: Connection, catalog: Catalog, table: Table, rows: int) -> Sample:
    kinds = {column.name: base_type(catalog, column) for column in table.columns}
    wanted = [
        column for column in table.columns if may_hold_ids(kinds[column.name]) or column.type_kind in ("enum", "domain")
        or kinds[column.name].startswith(("timestamp", "date", "boolean"))
    ]  # fmt: skip
    names = tuple(column.name for column in wanted)
    if not wanted:
        return Sample(table.name, ())
    relation = ident(catalog.schema, table.name)
    listed = ", ".join(_as_text(column, kinds[column.name]) for column in wanted)
    estimate = table.row_estimate
    part = ""
    if estimate > LARGE and table.kind != "foreign":
        # A page holds many rows that were written together: several times as many are read as are used.
        part = f" tablesample system ({min(100.0, 100.0 * 20 * rows / estimate):.6f}) repeatable (1)"
    order = f" order by random() limit {rows}" if part else f" limit {rows}"
    read = read_rows(connection, f"select {listed} from {relation} s{part}{order}")
    if isinstance(read, str):
        return Sample(table.name, names, said=read, rows=estimate)
    if part and not read:
        read = read_rows(connection, f"select {listed} from {relation} s limit {rows}")
        read = [] if isinstance(read, str) else read
    whole = not part and len(read) < rows
    sample = Sample(table.name, names, tuple(tuple(row) for row in read), len(read) if whole else estimate, whole=whole)
    if not whole:
        for column in wanted:
            if may_hold_ids(kinds[column.name]) and len(sample.distinct(column.name)) < 5:
                sample.more[column.name] = _rare(connection, relation, column, kinds[column.name])
    return sample


def _as_text(column: Column, kind: str) -> str:
    name = f"s.{ident(column.name)}"
    if kind.endswith("[]"):
        return f"case when cardinality({name}) <= 1000 then to_json({name})::text end"
    text = f"{name}::text"
    if kind in INTEGERS or kind == "uuid" or column.type_kind == "enum":
        return text
    return f"case when octet_length({text}) <= {LONGEST} then {text} end"


def _rare(connection: Connection, relation: str, column: Column, kind: str) -> tuple[str, ...]:
    """Return values of a column that is nearly always null."""
    read = read_rows(
        connection,
        f"select v from (select {_as_text(column, kind)} as v from {relation} s where s.{ident(column.name)} is not null"
        f" limit {MOST_VALUES}) w group by v",
    )
    return () if isinstance(read, str) else tuple(str(row[0]) for row in read if row[0])


def read_rows(connection: Connection, statement: str, values: object = None) -> list[Any] | str:
    """Return the rows, or the kind of the server's error. An error's text may quote a value, so only its kind is returned."""
    try:
        with connection.transaction():
            connection.execute("select set_config('statement_timeout', %s, true)", [TIMEOUT], prepare=False)
            return connection.execute(statement, values, prepare=False).fetchall()  # type: ignore[call-overload,no-any-return]
    except pg.QueryCanceled:
        return f"took longer than {TIMEOUT}"
    except pg.InsufficientPrivilege:
        return "the login may not read it"
    except (pg.DataError, pg.OperationalError, pg.InternalError, pg.ProgrammingError) as error:
        if connection.closed:
            raise
        return f"could not be read (SQLSTATE {error.sqlstate})"


def looked_up(connection: Connection, relation: str, column: str, kind: str, values: Sequence[str]) -> set[str]:
    """Return which of some values a key column has. Values that its type cannot hold are not looked up."""
    cast = "uuid" if kind == "uuid" else "numeric" if kind in INTEGERS or kind == "numeric" else "text"
    plain = kind if kind in INTEGERS or kind in ("uuid", "numeric") else "text"
    found: set[str] = set()
    for at in range(0, len(values), 20_000):
        part = list(values[at : at + 20_000])
        name = f"p.{ident(column)}"
        key = name if plain != "text" else f"{name}::text"
        match = f"{key} = v.value::{cast}::{plain}" if plain != "text" else f"{key} = v.value"
        read = read_rows(
            connection,
            f"select v.value from unnest(%s::text[]) v (value) where exists (select from {relation} p where {match})",
            [part],
        )
        if not isinstance(read, str):
            found.update(str(row[0]) for row in read)
    return found


def parsed(value: str | None) -> object:
    """Parse the document of a JSON text; None if it is not JSON."""
    if not value or value.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(value)
    except ValueError:
        return None
