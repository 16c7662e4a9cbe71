"""The rows of a source as texts, and how two of them differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from tenantry.catalog import Catalog, Table
from tenantry.postgres import ident, literal

Connection = psycopg.Connection[Any]
Row = dict[str, str | None]
State = dict[str, list[Row]]
"""Table → its rows."""

_SETTINGS = (
    "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 1"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?(\+\d\d)?)?$")


def opened(dsn: str) -> Connection:
    """A connection that prints values in one way."""
    connection = psycopg.connect(dsn, autocommit=True, application_name="corpus")
    connection.execute(_SETTINGS)
    return connection


def own_tables(catalog: Catalog) -> list[Table]:
    """Tables that an application names: not the partitions of another."""
    return [table for table in catalog.tables if table.partition_of is None and table.kind in ("table", "partitioned")]


def row_key(table: Table) -> tuple[str, ...]:
    """The columns that tell rows apart; all of them where there is no key."""
    return table.row_key or tuple(column.name for column in table.columns)


def texts(table: Table, alias: str = "z") -> str:
    return ", ".join(f"({alias}.{ident(column.name)})::text" for column in table.columns)


def as_row(table: Table, values: Sequence[Any]) -> Row:
    return dict(zip((column.name for column in table.columns), values, strict=True))


def same_row(table: Table, row: Mapping[str, str | None], alias: str = "z") -> str:
    """The condition that finds a row by its key."""
    return " and ".join(
        f"{alias}.{ident(name)} = {literal(row[name])}" if row[name] is not None else f"{alias}.{ident(name)} is null"
        for name in row_key(table)
    )


def read_state(connection: Connection, tables: Iterable[Table]) -> State:
    return {
        table.name: [
            as_row(table, values)
            for values in connection.execute(f"select {texts(table)} from {ident(table.schema, table.name)} z".encode())
        ]
        for table in tables
    }


def compare(tables: Iterable[Table], want: State, got: State, began: str) -> list[str]:
    """Return the differences of two states. Two times since `began` are the same: triggers and defaults that say now() ran on both."""
    found = []
    for table in tables:
        key = row_key(table)
        sides = []
        for state in (want, got):
            rows: dict[tuple[str | None, ...], list[Row]] = {}
            for row in state[table.name]:
                rows.setdefault(tuple(row[name] for name in key), []).append(row)
            sides.append(rows)
        wanted, there = sides
        for at in wanted.keys() | there.keys():
            if at not in there or at not in wanted or len(wanted[at]) != len(there[at]):
                what = (
                    "is missing"
                    if at not in there
                    else "is too much"
                    if at not in wanted
                    else "is there at another count"
                )
                found.append(f"{table.name} {at} {what}")
                continue
            for one, other in zip(wanted[at], there[at], strict=True):
                found += [
                    f"{table.name} {at}.{name}: expected {value!r}, found {other[name]!r}"
                    for name, value in one.items()
                    if not same_value(value, other[name]) and not both_since(value, other[name], began)
                ]
    return found


def same_value(one: str | None, other: str | None) -> bool:
    """Whether two values are the same. A document that is kept as text comes back as PostgreSQL prints it."""
    if one == other or one is None or other is None:
        return one == other
    if one[:1] not in ("{", "[") or other[:1] != one[:1]:
        return False
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def both_since(one: str | None, other: str | None, began: str) -> bool:
    """Whether both values are times since the beginning: triggers and defaults that say now() ran on both sides."""
    return _since(one, began) and _since(other, began)


def _since(value: str | None, began: str) -> bool:
    return value is not None and _TIME.match(value) is not None and value[: len(began)] >= began
