"""Finds the tables and columns that an SQL text names: with PostgreSQL's grammar, or by words where the text is no whole SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pglast.parser import ParseError, parse_sql_json

from tenantry.usage.changes import SchemaChanges

SQL = re.compile(
    r"\b(select\b.+\bfrom\b|insert\s+into\b|update\s+\S+\s+set\b|delete\s+from\b|merge\s+into\b|truncate\s+\S|alter\s+table\b"
    r"|create\s+(unique\s+)?(index|table|view|materialized|trigger|policy)\b|references\s+\S+\s*\()",
    re.IGNORECASE | re.DOTALL,
)
"""Texts that are SQL, or a part of it."""

_PLACEHOLDER = re.compile(
    r"\$\{(?:[^{}]|\{[^{}]*\})*\}|#\{[^}]*\}|%\([\w.]+\)s|%s|(?<![:\w]):[A-Za-z_]\w*|\{[^{}']*\}|\?(?![|&])|@[A-Za-z_]\w*"
)
_RELATION = re.compile(
    r"\b(?:from|join|into|update|table|only|references|on)\s+((?:\"[^\"]+\"|[A-Za-z_][\w$]*)(?:\s*\.\s*(?:\"[^\"]+\"|[A-Za-z_][\w$]*))?)",
    re.IGNORECASE,
)
_WORD = re.compile(r"\"((?:[^\"]|\"\")+)\"|([A-Za-z_][\w$]*)")
_LITERAL = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Touch:
    """A changed table, or column, that a text names.

    Attributes:
        line: within the text, from 0.
        sure: PostgreSQL's grammar says so; otherwise by words.
    """

    line: int
    table: str
    column: str
    sure: bool = True


def is_sql(text: str) -> bool:
    """Whether a text looks like SQL, without its comments."""
    return SQL.search(re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)) is not None


def touches(text: str, changes: SchemaChanges) -> list[Touch]:
    """Return what a text names of the changed tables and columns."""
    plain = placeholders_filled(text)
    try:
        statements = json.loads(parse_sql_json(plain)).get("stmts", ())
    except (ParseError, ValueError):
        return list(dict.fromkeys(_by_words(text, changes)))
    raw = plain.encode()
    found: dict[Touch, None] = {}
    for each in statements:
        for table, column, place in _Statement(each["stmt"], changes).names():
            found[Touch(raw[: max(place, 0)].count(b"\n"), table, column)] = None
    return list(found)


def placeholders_filled(text: str) -> str:
    """Return a text in which the placeholders of drivers and languages are parameters, on the same lines."""
    pieces = _LITERAL.split(text)
    kept = [*(match[0] for match in _LITERAL.finditer(text)), ""]

    def parameter(match: re.Match[str]) -> str:
        return " $1 " + "\n" * match[0].count("\n")

    return "".join(_PLACEHOLDER.sub(parameter, piece) + literal for piece, literal in zip(pieces, kept, strict=True))


class _Statement:
    """The names of one parsed statement; scopes are not told apart, aliases are."""

    def __init__(self, node: Mapping[str, Any], changes: SchemaChanges) -> None:
        self._changes = changes
        self._tables: dict[str, str] = {}
        self._found: list[tuple[str, str, int]] = []
        self._node = node

    def names(self) -> Iterator[tuple[str, str, int]]:
        """Yield (table, column or "", byte offset)."""
        own = {each.get("ctename") for each in _nodes(self._node, "CommonTableExpr")}
        for each in (*_nodes(self._node, "RangeVar"), *_nodes(self._node, "relation")):
            name = each.get("relname", "")
            if name in own or each.get("schemaname", self._changes.schema) != self._changes.schema:
                continue
            if name in self._changes.known:
                self._tables[each.get("alias", {}).get("aliasname", name)] = name
                self._tables.setdefault(name, name)
                yield name, "", each.get("location", 0)
        for each in _nodes(self._node, "ColumnRef"):
            yield from self._column(each)
        for kind, key in (("InsertStmt", "cols"), ("UpdateStmt", "targetList")):
            for each in _nodes(self._node, kind):
                table = each.get("relation", {}).get("relname", "")
                for target in each.get(key, ()):
                    if (table, name := target["ResTarget"].get("name", "")) in self._changes.columns:
                        yield table, name, target["ResTarget"].get("location", 0)

    def _column(self, node: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
        parts = [part.get("String", {}).get("sval") for part in node.get("fields", ())]
        place = node.get("location", 0)
        column = parts[-1]
        tables = set(self._tables.values())
        if len(parts) > 1 and parts[-2] is not None:
            tables = {self._tables[parts[-2]]} if parts[-2] in self._tables else set()
        for table in sorted(tables):
            if column is not None and (table, column) in self._changes.columns:
                yield table, column, place


def _by_words(text: str, changes: SchemaChanges) -> Iterator[Touch]:
    plain = _LITERAL.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    named: dict[str, int] = {}
    for match in _RELATION.finditer(plain):
        words = [quoted or bare.lower() for quoted, bare in _WORD.findall(match[1])]
        if words[-1] in changes.known and (len(words) == 1 or words[0] == changes.schema):
            named.setdefault(words[-1], plain.count("\n", 0, match.start(1)))
    for table, line in named.items():
        yield Touch(line, table, "", sure=False)
    for match in _WORD.finditer(plain):
        column = match[1] or match[2].lower()
        for each in changes.by_name.get(column, ()):
            if each.table in named:
                yield Touch(plain.count("\n", 0, match.start()), each.table, column, sure=False)


def _nodes(node: object, kind: str) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == kind and isinstance(value, dict):
                yield value
            yield from _nodes(value, kind)
    elif isinstance(node, list):
        for each in node:
            yield from _nodes(each, kind)
