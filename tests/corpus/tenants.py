"""Which tenant each row belongs to, by the path of its table, followed in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from psycopg import sql

from tests.corpus.answer import Answer, Column, ReferenceAnswer
from tests.corpus.catalog import Described
from tests.corpus.evidence import Connection, meant

Row = dict[str, Any]
_TOLERANCE = 0.02
"""Share of rows whose references may lead elsewhere."""


class Tenants:
    """The tenants of all rows; those of a person are several."""

    def __init__(self, connection: Connection, answer: Answer, tables: Mapping[str, Described]) -> None:
        self.answer = answer
        self.tables = tables
        self.rows = {name: _rows(connection, name) for name in tables}
        self._stated: dict[tuple[str, str], list[ReferenceAnswer]] = defaultdict(list)
        for one in answer.references:
            self._stated[one.column.table, one.column.name].append(one)
        self._polymorphic = {at for at, found in self._stated.items() if len({one.parent for one in found}) > 1}
        self._own: dict[int, set[str]] = {}
        self._index: dict[tuple[str, str], dict[str, list[Row]]] = {}

    def known(self, table: str) -> float:
        """The share of rows whose path leads to a tenant; 1 for a table without rows or without a tenant."""
        path = self.answer.tables[table].path
        if path is None or not self.rows[table] or self.answer.tables[table].kind == "users":
            return 1.0
        fallback = self.answer.tables[table].fallback
        found = [
            bool(self.of(table, row, path) or (fallback and self.of(table, row, fallback))) for row in self.rows[table]
        ]
        return sum(found) / len(found)

    def own(self, table: str, row: Row) -> set[str]:
        """The tenants of a row by its table's path."""
        if id(row) not in self._own:
            self._own[id(row)] = self.of(table, row, self.answer.tables[table].path or ())
        return self._own[id(row)]

    def of(self, table: str, row: Row, path: tuple[str, ...]) -> set[str]:
        if not path:
            constant = self.answer.tenant.form == "constant"
            return {"constant"} if constant else {str(row[self.tables[table].key[0]])}
        hop, rest = path[0], path[1:]
        if self.answer.tenant.form == "column" and not rest:
            return {str(row[hop])}
        found: set[str] = set()
        if hop.startswith("<"):
            other, _, column = hop[1:].rpartition(".")
            named = self._column_of_key(other, column)
            for one in self.index(other, column).get(str(row[named]), []):
                found |= self.of(other, one, rest)
            return found
        several = (table, hop) in self._polymorphic
        for parent, key, value in self.leads(table, row, hop):
            if several:  # each parent of a polymorphic pair goes on by its own path
                rest = self.answer.tables[parent].path or ()
            for one in self.index(parent, key).get(value, []):
                found |= self.of(parent, one, rest)
        return found

    def leads(self, table: str, row: Row, hop: str) -> list[tuple[str, str, str]]:
        """The parents, their columns and the ids to which a hop leads from this row."""
        name, _, path = hop.partition(":")
        if row[name] is None:
            return []
        if name in self.tables[table].parents:
            parent, key = self.tables[table].parents[name]
            return [(parent, key, str(row[name]))]
        stated = self._stated.get((table, name), [])
        if not stated:  # part of a composite key
            for columns, parent, others in self.tables[table].keys:
                if name in columns and parent != table:
                    other = others[columns.index(name)]
                    return self.leads(parent, {other: row[name]}, other) or [(parent, other, str(row[name]))]
        found: list[tuple[str, str, str]] = []
        for one in stated:
            if (not path or one.path == path) and (one.when is None or str(row[one.when[0]]) == one.when[1]):
                found += [(one.parent, one.key, value) for value in meant(one, row[name])]
        return found

    def index(self, table: str, column: str) -> dict[str, list[Row]]:
        if (table, column) not in self._index:
            made: dict[str, list[Row]] = defaultdict(list)
            for row in self.rows[table]:
                made[str(row[column])].append(row)
            self._index[table, column] = made
        return self._index[table, column]

    def disagreements(self) -> list[str]:
        """References, declared or not, of which too many lead to another tenant than the row's own."""
        if self.answer.tenant.form in {"constant", "person"}:
            return []
        found: list[str] = []
        for one in self._references():
            child, parent = self.answer.tables[one.column.table], self.answer.tables[one.parent]
            if not child.path or parent.path is None or "<" in "".join((*child.path, *parent.path)):
                continue
            both = other = 0
            for row in self.rows[one.column.table]:
                own = self.own(one.column.table, row)
                for value in meant(one, row[one.column.name]) if row[one.column.name] is not None else ():
                    if one.when and str(row[one.when[0]]) != one.when[1]:
                        continue
                    for place in self.index(one.parent, one.key).get(value, []):
                        theirs = self.own(one.parent, place)
                        both += bool(own and theirs)
                        other += bool(own and theirs and not own & theirs)
            if other > _TOLERANCE * both:
                found.append(f"{one.column} {one.path or ''} -> {one.parent}: {other} of {both}")
        return found

    def _references(self) -> list[ReferenceAnswer]:
        composite = {name for name, table in self.tables.items() if len(table.key) > 1}
        stated = [one for one in self.answer.references if one.parent not in composite]
        for name, table in self.tables.items():
            for column, (parent, key) in table.parents.items():
                stated.append(ReferenceAnswer(Column(name, column), "value", parent, key, None, None, None))
        return stated

    def _column_of_key(self, table: str, column: str) -> str:
        if column in self.tables[table].parents:
            return self.tables[table].parents[column][1]
        return next(one.key for one in self.answer.references if one.column == Column(table, column))


def _rows(connection: Connection, table: str) -> list[Row]:
    cursor = connection.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
    names = [one.name for one in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
