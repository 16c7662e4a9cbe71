"""Writes the sample into a database: the schema, then the rows by COPY."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.resources import files
from typing import Any

from psycopg import Connection, sql

from clinic.migration.legacy.defects import Planted
from clinic.migration.legacy.generate import generate
from clinic.migration.legacy.shape import COLUMNS, Row

Progress = Callable[[str, int, int], None]
"""Called with a table, its number of rows so far, and its total."""

_REPORT_EVERY = 10_000


class LegacyError(Exception):
    """The schema is not ready for loading; `hint` says how to fix that."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class TablesMissingError(LegacyError):
    """Tables of the source schema do not exist."""

    def __init__(self, schema: str, tables: list[str]) -> None:
        super().__init__(
            f"schema {schema}: expected the ten source tables, found no {', '.join(tables)}",
            "call clinic.migration.legacy.create_schema first",
        )
        self.schema, self.tables = schema, tables


class TablesExistError(LegacyError):
    """Tables of the source schema already exist."""

    def __init__(self, schema: str, tables: list[str]) -> None:
        super().__init__(
            f"schema {schema}: expected none of the source tables, found {', '.join(tables)}",
            "choose another schema, or load into the existing tables if they are empty",
        )
        self.schema, self.tables = schema, tables


class TablesFilledError(LegacyError):
    """Tables of the source schema already hold rows."""

    def __init__(self, schema: str, tables: list[str]) -> None:
        super().__init__(
            f"schema {schema}: expected empty source tables, found rows in {', '.join(tables)}",
            "load into a fresh schema or database; existing rows are never mixed with a sample",
        )
        self.schema, self.tables = schema, tables


def create_schema(conn: Connection[Any], schema: str) -> None:
    """Create the schema if it does not exist, and the ten source tables in it, in one transaction.

    Restores the connection's search_path afterwards. TablesExistError if any of the tables exists.
    """
    ddl = files("clinic.migration.legacy").joinpath("schema.sql").read_text(encoding="utf-8")
    with conn.transaction():
        existing = existing_tables(conn, schema)
        if existing:
            raise TablesExistError(schema, existing)
        conn.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
        with _search_path(conn, schema):
            conn.execute(ddl.encode())


def load(
    conn: Connection[Any],
    *,
    schema: str = "public",
    clinics: int = 12,
    values: int = 200_000,
    seed: int = 7,
    progress: Progress | None = None,
) -> Planted:
    """Fill the empty source tables with the sample, in one transaction, and return what was planted.

    The arguments clinics, values and seed determine every byte. Rows are streamed by COPY in constant memory; ANALYZE runs
    after the transaction (inside it, if the caller has one open). The role must own the tables. TablesMissingError or
    TablesFilledError if the schema is not ready, ValueError for sizes that `generate` rejects.
    """
    sample = generate(clinics=clinics, values=values, seed=seed)
    with conn.transaction():
        existing = existing_tables(conn, schema)
        missing = [table for table in COLUMNS if table not in existing]
        if missing:
            raise TablesMissingError(schema, missing)
        filled = [table for table in COLUMNS if _has_rows(conn, schema, table)]
        if filled:
            raise TablesFilledError(schema, filled)
        for table, rows in sample.rows():
            # Checked row by row, foreign keys cost more than everything else; added afterwards, one join checks them.
            with _without_foreign_keys(conn, schema, table) if table == "metric_values" else nullcontext():
                _copy(conn, schema, table, rows=rows, total=sample.totals[table], progress=progress)
        planted = sample.planted()
    tables = sql.SQL(", ").join(sql.Identifier(schema, table) for table in COLUMNS)
    conn.execute(sql.SQL("analyze {}").format(tables))
    return planted


def existing_tables(conn: Connection[Any], schema: str) -> list[str]:
    """Return which of the ten source tables the schema has, in their order."""
    rows = conn.execute(
        "select relname from pg_class join pg_namespace n on n.oid = relnamespace"
        " where nspname = %s and relkind in ('r', 'p') and relname = any(%s)",
        (schema, list(COLUMNS)),
    ).fetchall()
    found = {row[0] for row in rows}
    return [table for table in COLUMNS if table in found]


def _has_rows(conn: Connection[Any], schema: str, table: str) -> bool:
    query = sql.SQL("select exists (select from {})").format(sql.Identifier(schema, table))
    row = conn.execute(query).fetchone()
    return row is not None and bool(row[0])


def _copy(
    conn: Connection[Any], schema: str, table: str, *, rows: Iterable[Row], total: int, progress: Progress | None
) -> None:
    done = 0
    with conn.cursor() as cursor, cursor.copy(_copy_statement(schema, table)) as copy:
        for row in rows:
            copy.write_row(row)
            done += 1
            if progress and done % _REPORT_EVERY == 0 and done < total:
                progress(table, done, total)
    if progress:
        progress(table, total, total)


@contextmanager
def _without_foreign_keys(conn: Connection[Any], schema: str, table: str) -> Iterator[None]:
    """Inside a transaction: drop the foreign keys of a table, and on success add them again, validated."""
    name = sql.Identifier(schema, table)
    keys = conn.execute(
        "select conname, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = %s::regclass and contype = 'f' order by conname",
        (name.as_string(conn),),
    ).fetchall()
    for key, _ in keys:
        conn.execute(sql.SQL("alter table {} drop constraint {}").format(name, sql.Identifier(key)))
    yield
    for key, definition in keys:
        # The definition is PostgreSQL's own text of the dropped constraint.
        add = sql.SQL("alter table {} add constraint {} {}")
        conn.execute(add.format(name, sql.Identifier(key), sql.SQL(definition)))


def _copy_statement(schema: str, table: str) -> sql.Composed:
    return sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, COLUMNS[table]))
    )


@contextmanager
def _search_path(conn: Connection[Any], schema: str) -> Iterator[None]:
    """Inside a transaction: resolve unqualified names in this schema; restore the search path afterwards."""
    row = conn.execute("select current_setting('search_path')").fetchone()
    before = row[0] if row else ""
    quoted = sql.Identifier(schema).as_string(conn)
    conn.execute("select set_config('search_path', %s, true)", (quoted,))
    yield
    # Only on success: after an error, rolling back the transaction or its savepoint restores the setting.
    conn.execute("select set_config('search_path', %s, true)", (before,))
