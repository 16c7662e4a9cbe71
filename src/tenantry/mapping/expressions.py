"""Checks the SQL in a manifest with PostgreSQL's own grammar before any server sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pglast
from pglast import ast
from pglast.parser import ParseError
from pglast.visitors import Visitor

from tenantry.catalog import Table
from tenantry.errors import nearest
from tenantry.manifest.positions import Key

Say = Callable[[Key, str], None]
Scopes = Mapping[str, Table]
"""The columns of the rows that an expression may refer to, by alias; under "" the row whose columns need no alias."""


class _Columns(Visitor):  # type: ignore[misc, unused-ignore]  # pglast has no types
    """Return the column references of an expression, and whether it has a sub-select (whose names are not checked here)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self.has_select = False

    def visit_ColumnRef(self, _ancestors: object, node: ast.ColumnRef) -> None:
        self.found.append(
            tuple(str(field.sval) if isinstance(field, ast.String) else "*" for field in node.fields or ())
        )

    def visit_SubLink(self, _ancestors: object, _node: ast.SubLink) -> None:
        self.has_select = True


def names(sql: str, alias: str) -> bool:
    """Whether a valid expression refers to a row by its alias."""
    columns = _Columns()
    columns(pglast.parse_sql(f"select {sql}")[0])
    return any(name[0] == alias for name in columns.found)


def has_select(sql: str) -> bool:
    """Whether a valid expression contains a query of its own."""
    columns = _Columns()
    columns(pglast.parse_sql(f"select {sql}")[0])
    return columns.has_select


class _Reads(Visitor):  # type: ignore[misc, unused-ignore]  # pglast has no types
    """Return the tables and functions that a statement names, and whether it reads the current time or user."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[tuple[str, str]] = []
        self.functions: list[tuple[str, ...]] = []
        self.own: set[str] = set()
        self.asks_for_time = False

    def visit_RangeVar(self, _ancestors: object, node: ast.RangeVar) -> None:
        self.tables.append((str(node.schemaname or ""), str(node.relname)))

    def visit_CommonTableExpr(self, _ancestors: object, node: ast.CommonTableExpr) -> None:
        self.own.add(str(node.ctename))

    def visit_FuncCall(self, _ancestors: object, node: ast.FuncCall) -> None:
        self.functions.append(tuple(str(part.sval) for part in node.funcname or ()))

    def visit_SQLValueFunction(self, _ancestors: object, _node: ast.SQLValueFunction) -> None:
        self.asks_for_time = True


@dataclass(frozen=True, slots=True)
class Reads:
    """What an expression reads besides the rows it may refer to.

    Attributes:
        tables: (schema, table); the schema is empty if the expression does not state it.
        functions: names as written, with or without a schema.
        asks_for_time: uses current_date, current_user or the like.
    """

    tables: tuple[tuple[str, str], ...]
    functions: tuple[tuple[str, ...], ...]
    asks_for_time: bool


def reads(sql: str) -> Reads:
    """Return what an expression or a query reads; nothing for invalid SQL, which another check reports."""
    found = _Reads()
    for statement in (f"select {sql}", f"select 1 order by {sql}", sql):
        try:
            parsed = pglast.parse_sql(statement)
        except ParseError:
            continue
        for each in parsed:
            found(each)
        break
    tables = tuple(dict.fromkeys(each for each in found.tables if each[0] or each[1] not in found.own))
    return Reads(tables, tuple(dict.fromkeys(found.functions)), found.asks_for_time)


class Expressions:
    """Reports mistakes in expressions."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def check(self, sql: str, scopes: Scopes, key: Key) -> bool:
        """Return whether `sql` is one expression over known columns; report what is wrong otherwise."""
        return self._check(f"select {sql}", f"select ({sql})::text", sql, scopes, key)

    def check_order(self, sql: str, scopes: Scopes, key: Key) -> bool:
        """Check an ORDER BY list in the same way."""
        return self._check(f"select 1 order by {sql}", f"select 1 order by {sql}, 1", sql, scopes, key)

    def check_query(self, sql: str, key: Key) -> bool:
        """Check that `sql` is one read-only query; does not check its names."""
        try:
            parsed = pglast.parse_sql(sql)
        except ParseError as error:
            self._say(key, f"this is not an SQL query: {error.args[0]}")
            return False
        select = parsed[0].stmt if len(parsed) == 1 else None
        if not isinstance(select, ast.SelectStmt) or select.intoClause or select.lockingClause:
            self._say(key, "must be one SELECT that returns the rows that violate the rule")
            return False
        return True

    def _check(self, statement: str, embedded: str, sql: str, scopes: Scopes, key: Key) -> bool:
        try:
            parsed = pglast.parse_sql(statement)
        except ParseError as error:
            self._say(key, f"{sql!r} is not an SQL expression: {error.args[0]}")
            return False
        select = parsed[0].stmt if len(parsed) == 1 else None
        if not isinstance(select, ast.SelectStmt) or len(select.targetList or ()) != 1:
            self._say(key, f"{sql!r} must be one SQL expression")
            return False
        if select.fromClause or select.whereClause or select.intoClause:
            self._say(key, f"{sql!r} must be one SQL expression, without FROM or WHERE of its own")
            return False
        try:
            pglast.parse_sql(embedded)
        except ParseError:
            self._say(key, f"{sql!r} must be one SQL expression, with no alias, LIMIT or comment after it")
            return False
        if select.limitCount or select.limitOffset or select.lockingClause:
            self._say(key, f"{sql!r} must be one SQL expression, without LIMIT or FOR of its own")
            return False
        columns = _Columns()
        columns(parsed[0])
        if columns.has_select:
            return True
        known = [self._known(name, sql, scopes, key) for name in dict.fromkeys(columns.found)]
        return all(known)

    def _known(self, name: tuple[str, ...], sql: str, scopes: Scopes, key: Key) -> bool:
        if len(name) == 1 and name[0] in scopes:
            return True  # the whole row
        scope, column = ("", name[0]) if len(name) == 1 else (name[-2], name[-1])
        table = scopes.get(scope)
        if table is None:
            aliases = " and ".join(alias for alias in scopes if alias)
            if scope:
                can = (
                    f"only {aliases} can be named here"
                    if aliases
                    else "here columns are written without a table's name"
                )
                self._say(key, f"{sql!r} names {'.'.join(name)}, but {can}")
            else:
                first = next(iter(scopes))
                self._say(key, f"{sql!r} names {column}; write {first}.{column} for the column of {scopes[first].name}")
            return False
        if column == "*":
            if scope and not any(scopes):
                return True
            self._say(key, f"{sql!r} must be one value, not all columns")
            return False
        if table.column(column) is None:
            near = nearest(column, [each.name for each in table.columns])
            hint = f"; did you mean {near!r}?" if near else ""
            self._say(key, f"{sql!r} names {'.'.join(name)}, but {table.name} has no column {column!r}{hint}")
            return False
        return True
