"""What an application knows of its own writes: for each row the token that it wrote last, as far as the server said so.

A write whose commit was acknowledged must be found everywhere and for ever; one whose commit's answer was lost may have
happened or not. Keys are those of the source: in the target they stand in `legacy_id`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from tenantry.postgres import ident
from tests.chaos.numbers import number

Side = Literal["source", "target"]
Connection = psycopg.Connection[tuple[Any, ...]]
Token = str | None
Held = dict[str, dict[str, Token]]
"""table → key → token: what one side holds."""
Elsewhere = dict[str, dict[str, list[Token]]]
"""table → key → tokens that the row may have in the source, though nobody writes it there."""

SCHEMA: dict[Side, str] = {"source": "public", "target": "clinic"}


@dataclass(frozen=True, slots=True)
class Tokens:
    """Where the rows of a source table carry their tokens, on both sides."""

    source_column: str
    target_table: str
    target_column: str
    numeric: bool = False
    """The source writes numbers as text, the target as numbers."""


TOKENS: dict[str, Tokens] = {
    "clinics": Tokens("name", "clinics", "name"),
    "users": Tokens("name", "profiles", "name"),
    "providers": Tokens("name", "providers", "name"),
    "metric_definitions": Tokens("name", "metric_definitions", "name"),
    "data_sources": Tokens("app_script_id", "spreadsheet_connections", "app_script_id"),
    "column_mappings": Tokens("column_name", "column_mappings", "column_name"),
    "metric_values": Tokens("external_id", "metric_values", "external_id"),
    "goals": Tokens("target_value", "goals", "target_value", numeric=True),
    "dashboards": Tokens("name", "dashboards", "name"),
    "widgets": Tokens("chart_type", "widgets", "chart_type"),
}
"""Every table of the source. None of these columns is changed on its way but by its type."""

ABSENT = "\x00absent"
"""Stands for 'no such row' among what may be."""


def read_tokens(connection: Connection, side: Side) -> Held:
    """The tokens of all rows of one side, from one snapshot; the caller says how long that lasts."""
    held: Held = {}
    for table, where in TOKENS.items():
        if side == "source":
            name, key, column = table, "id", ident(where.source_column)
        else:
            name, key, column = where.target_table, "legacy_id", ident(where.target_column)
            if where.numeric:
                column = f"trim_scale({column})::text"
        held[table] = dict(connection.execute(f"select {key}, {column} from {ident(SCHEMA[side], name)}").fetchall())
    return held


def only_in_source(connection: Connection, target: Held) -> Elsewhere:
    """Rows that stand aside while the target is written: what is in quarantine stays as it is; what was merged goes when the
    row goes that stands for it."""
    source = read_tokens(connection, "source")
    merged = {
        (row[0], row[1])
        for row in connection.execute("select source_table, source_key from tenantry.merged").fetchall()
    }
    return {
        table: {
            key: [token, ABSENT] if (table, key) in merged else [token]
            for key, token in rows.items()
            if key not in target[table]
        }
        for table, rows in source.items()
    }


@dataclass
class Effects:
    """What one transaction does to the rows of the application, for when it is known whether it was committed."""

    tokens: dict[tuple[str, str], Token] = field(default_factory=dict)
    """(table, key) → token, ABSENT where the row is gone."""
    hot: list[tuple[str, str, int, str]] = field(default_factory=list)
    """(table, key, serial, token) of rows that all connections write."""

    def put(self, table: str, key: str, token: Token) -> None:
        self.tokens[table, key] = token

    def gone(self, table: str, key: str) -> None:
        self.tokens[table, key] = ABSENT

    def keep(self, since: dict[tuple[str, str], Token]) -> None:
        """Back to what was before a savepoint."""
        self.tokens = dict(since)


@dataclass
class Hot:
    """A row that all connections write, in an order that its own serial tells."""

    serial: int
    token: Token
    perhaps: dict[int, list[str]] = field(default_factory=dict)

    def may_be(self) -> list[Token]:
        later = [token for serial, tokens in self.perhaps.items() if serial > self.serial for token in tokens]
        return [self.token, *later]


class Ledger:
    """All that is known, shared by the connections of a load."""

    def __init__(self, tables: Iterable[str] = ()) -> None:
        """
        Args:
            tables: of the source; Clinic's if none are given.
        """
        self._guard = threading.Lock()
        self.known: dict[str, dict[str, list[Token]]] = {table: {} for table in tables or TOKENS}
        self.hot: dict[tuple[str, str], Hot] = {}
        self.elsewhere: Elsewhere = {}
        """Rows of the source that the target does not have, as they were when the target began to be written."""
        self.problems: list[str] = []

    def begin(self, held: Held, hot: Iterable[tuple[str, str]], elsewhere: Elsewhere | None = None) -> None:
        """Everything as it is now; `hot` are the rows that all connections will write."""
        with self._guard:
            self.elsewhere = elsewhere or {}
            self.known = {table: {key: [token] for key, token in rows.items()} for table, rows in held.items()}
            self.hot = {(table, key): Hot(0, held[table][key]) for table, key in hot}

    def acknowledged(self, effects: Effects) -> None:
        with self._guard:
            for (table, key), token in effects.tokens.items():
                self.known[table][key] = [token]
            for table, key, serial, token in effects.hot:
                row = self.hot[table, key]
                if serial > row.serial:
                    row.serial, row.token = serial, token

    def perhaps(self, effects: Effects) -> None:
        """The connection was lost at the commit: either it happened, or it did not."""
        with self._guard:
            for (table, key), token in effects.tokens.items():
                maybe = self.known[table].setdefault(key, [ABSENT])
                if token not in maybe:
                    maybe.append(token)
            for table, key, serial, token in effects.hot:
                self.hot[table, key].perhaps.setdefault(serial, []).append(token)

    def serial(self, table: str, key: str) -> int:
        """What the next serial of a hot row is higher than."""
        with self._guard:
            return self.hot[table, key].serial

    def problem(self, text: str) -> None:
        with self._guard:
            if len(self.problems) < 50:
                self.problems.append(text)

    def may_be(self) -> dict[str, dict[str, list[Token]]]:
        """table → key → the tokens that the row may have; ABSENT where it may not be there."""
        with self._guard:
            found = {table: {key: list(maybe) for key, maybe in rows.items()} for table, rows in self.known.items()}
            for (table, key), row in self.hot.items():
                found[table][key] = row.may_be()
            return found


def token_violations(may_be: Mapping[str, Mapping[str, list[Token]]], held: Held, where: str) -> list[str]:
    """Acknowledged writes that are not there, and rows that nobody wrote."""
    wrong = []
    for table, rows in held.items():
        maybes = may_be.get(table, {})
        for key in rows.keys() | maybes.keys():
            maybe = maybes.get(key, [ABSENT])
            found = rows.get(key, ABSENT)
            if not any(same(table, found, each) for each in maybe):
                wrong.append(
                    f"{where} {table} {key}: expected {' or '.join(map(show, maybe))}, found {show(found)}"
                    " (an acknowledged write is lost, or came back)"
                )
    return wrong


def same(table: str, one: Token, other: Token) -> bool:
    """Whether two tokens say the same; numbers may be written in several ways."""
    if (
        one == other
        or one in (None, ABSENT)
        or other in (None, ABSENT)
        or table not in TOKENS
        or not TOKENS[table].numeric
    ):
        return one == other
    return number(str(one)) == number(str(other))


def show(token: Token) -> str:
    return "no row" if token == ABSENT else repr(token)
