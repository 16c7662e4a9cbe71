"""Queries of an application, from a file, and what the server plans for them on both schemas."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from pglast import ast, parse_sql
from pglast.parser import ParseError, split
from pglast.stream import RawStream
from pglast.visitors import Visitor

from tenantry.errors import SettingsError
from tenantry.usage.changes import SchemaChanges
from tenantry.usage.sql import placeholders_filled, touches

Connection = psycopg.Connection[tuple[Any, ...]]

_TIMEOUT = "5s"
_MOST_BYTES = 50_000_000
_GENERIC_PLAN = 160000
_EXPLAINED = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)


@dataclass(frozen=True, slots=True)
class ExplainedPlan:
    """The server's plan for a query on one schema: its estimated cost and first node, or why there is none."""

    cost: float | None = None
    node: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class QueryUse:
    """A query that touches something that changes.

    Attributes:
        number: its position in the file, from 1.
        calls: how often it ran, if the file says so.
        tables, columns: what it touches; a column as "table.column: what changes".
        source, target: None if it was not explained there.
    """

    number: int
    query: str
    calls: int | None
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    source: ExplainedPlan | None = None
    target: ExplainedPlan | None = None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def read_queries(file: Path) -> tuple[tuple[str, int | None], ...]:
    """Read queries with the number of their calls: SQL with semicolons, or an export of pg_stat_statements as CSV or JSON.

    Raises:
        SettingsError: the file cannot be read, or has no column `query`.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise SettingsError(f"{file} is larger than 50 MB.", hint="Export the most frequent queries only.")
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.", hint="Give a file of queries.") from error
    try:
        if file.suffix == ".json":
            rows = json.loads(text)
            return tuple(_row(row) for row in (rows if isinstance(rows, list) else rows["rows"]))
        if file.suffix in (".csv", ".tsv"):
            csv.field_size_limit(_MOST_BYTES)
            reader = csv.DictReader(io.StringIO(text), delimiter="\t" if file.suffix == ".tsv" else ",")
            return tuple(_row(row) for row in reader)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise SettingsError(
            f"{file} has no queries: {type(error).__name__}.",
            hint="Give SQL with semicolons, or an export of pg_stat_statements with the columns query and calls, as .csv or .json.",
        ) from error
    return tuple((each, None) for each in _statements(text))


def _row(row: Any) -> tuple[str, int | None]:
    if isinstance(row, str):
        return row, None
    calls = row.get("calls")
    return str(row["query"]), int(float(calls)) if calls not in (None, "") else None


def _statements(text: str) -> list[str]:
    try:
        return [each.strip() for each in split(text) if each.strip()]
    except (ParseError, ValueError):
        return [each.strip() for each in re.split(r";[ \t]*(?:\n|$)", text) if each.strip()]


def search_queries(queries: Sequence[tuple[str, int | None]], changes: SchemaChanges) -> tuple[QueryUse, ...]:
    """Return the queries that touch a changed table, with the changed columns that they name; the most frequent first."""
    found = []
    for number, (query, calls) in enumerate(queries, 1):
        named = touches(query, changes)
        if not named:
            continue
        columns = (
            f"{each.table}.{each.column}: {changes.columns[each.table, each.column].what}"
            for each in named
            if each.column
        )
        tables = tuple(sorted({each.table for each in named}))
        found.append(QueryUse(number, " ".join(query.split()), calls, tables, tuple(dict.fromkeys(columns))))
    return tuple(sorted(found, key=lambda each: (-(each.calls or 0), each.number)))


def explain_queries(connection: Connection, found: Sequence[QueryUse], changes: SchemaChanges) -> tuple[QueryUse, ...]:
    """Let the server plan each query on the source, and on the target if it exists, in a read-only transaction that is rolled
    back. Nothing is executed."""
    there = connection.execute("select from pg_namespace where nspname = %s", [changes.target]).fetchone() is not None
    done = []
    for each in found:
        source = _explain(connection, each.query, changes.schema, changes)
        target = _explain(connection, each.query, changes.target, changes) if there else None
        done.append(replace(each, source=source, target=target))
    return tuple(done)


def _explain(connection: Connection, query: str, schema: str, changes: SchemaChanges) -> ExplainedPlan:
    try:
        text = _one_statement(query, schema, changes)
    except (ParseError, ValueError) as error:
        return ExplainedPlan(error=f"not explained: {error}")
    generic = connection.info.server_version >= _GENERIC_PLAN
    if not generic and "$" in text:
        return ExplainedPlan(error="not explained: parameters need PostgreSQL 16 or newer")
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set transaction read only")
            connection.execute("select set_config('statement_timeout', %s, true), set_config('search_path', %s, true)",
                               [_TIMEOUT, f'"{schema.replace(chr(34), chr(34) * 2)}"'])  # fmt: skip
            options = "generic_plan, format json" if generic else "format json"
            row = connection.execute(f"explain ({options}) {text}".encode()).fetchone()
    except psycopg.Error as error:
        return ExplainedPlan(error=error.diag.message_primary or type(error).__name__)
    assert row is not None
    plan = row[0][0]["Plan"]
    relation = f" on {plan['Relation Name']}" if "Relation Name" in plan else ""
    return ExplainedPlan(round(float(plan["Total Cost"]), 2), f"{plan['Node Type']}{relation}")


class _Renamed(Visitor):
    """Takes the source's schema off the names, so that the search path decides."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def visit_RangeVar(self, _ancestors: Any, node: Any) -> None:
        if node.schemaname == self._schema:
            node.schemaname = None


def _one_statement(query: str, schema: str, changes: SchemaChanges) -> str:
    """Return the query for one schema.

    Raises:
        ParseError: it is no SQL.
        ValueError: it is not one statement that reads or writes rows.
    """
    parsed = parse_sql(placeholders_filled(query) if not re.search(r"\$\d", query) else query)
    if len(parsed) != 1 or not isinstance(parsed[0].stmt, _EXPLAINED):
        raise ValueError("not one statement that reads or writes rows")
    if schema != changes.schema:
        _Renamed(changes.schema)(parsed)
    return str(RawStream()(parsed))
