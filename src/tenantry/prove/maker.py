"""Making one row that a table takes, from its catalog alone: values are chosen, tried against the checks, inserted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pglast
import psycopg
from pglast import ast
from pglast.visitors import Visitor
from psycopg import errors

from tenantry.catalog import Catalog, Column, Constraint, Table
from tenantry.postgres import explain, ident, idents, is_fence, literal
from tenantry.prove.values import candidates

Values = dict[str, str | None]
"""Column → value as text."""

_MOST_COMBINATIONS = 4000
_MOST_ROUNDS = 12
_FEW = 12
"""Values of each of two columns that are changed together."""


class CannotMake(Exception):
    """No row that the table takes was found; the text says what refused it."""


@dataclass(slots=True)
class _Choice:
    """One decision: a column's value, or the row that a foreign key names. `at` is the option that holds."""

    columns: tuple[str, ...]
    options: list[Values]
    at: int = 0

    @property
    def values(self) -> Values:
        return self.options[self.at] if self.options else {}


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes rows over the owner's connection, inside the transaction that is open there."""

    conn: psycopg.Connection[Any]
    catalog: Catalog
    rows: Mapping[str, Sequence[Values]]
    """What stands in each table of the target so far, and so can be referenced."""
    accounts: Sequence[str]
    """Ids in auth.users that can be referenced."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """What the rows of a table must fulfil besides its checks, as SQL over its columns."""

    def insert(self, table: Table, given: Values, *, without: Iterable[str] = ()) -> Values:
        """Insert a row with the given values and whatever else the table needs; the row as it stands then.

        Args:
            without: columns that are not to be stated, whatever happens.

        Raises:
            CannotMake: nothing that was tried is taken.
        """
        return self._found(table, given, frozenset(without))[1]

    def statement(self, table: Table, given: Values, *, without: Iterable[str] = ()) -> str:
        """An INSERT that the table takes, tried and taken back.

        Raises:
            CannotMake: nothing that was tried is taken.
        """
        with self.conn.transaction(force_rollback=True):
            return self._found(table, given, frozenset(without))[0]

    def guess(self, table: Table, given: Values, *, without: Iterable[str] = ()) -> str:
        """An INSERT whose values have the right types, for refusals that come before any constraint."""
        left_out = frozenset(without)
        choices = self._choices(table, given, left_out)
        return insert_sql(table, _merged(given, choices))

    def otherwise(self, table: Table, row: Values, condition: str) -> Iterator[Values]:
        """Changes of a row after which a condition may not hold any more: of one of its columns, then of one and of another that
        it names, or that shares a check with it. None is tried."""
        keys = set(table.row_key or ())
        open_columns = [column for column in table.columns if column.generated is None and column.name not in keys]
        named = columns_in(condition, table)
        about = [column for column in open_columns if column.name in named]
        others = {column.name: self._others(table, column, row, condition) for column in about}
        for column in about:
            yield from others[column.name]
        beside = {name for check in table.checks if set(check.columns) & set(named) for name in check.columns}
        further = [column for column in open_columns if column.name in beside and column.name not in named]
        others |= {column.name: self._others(table, column, row, condition) for column in further}
        for at, column in enumerate(about):
            for second in (*about[at + 1 :], *further):
                pairs = itertools.product(others[column.name][:_FEW], others[second.name][:_FEW])
                yield from ({**one, **other} for one, other in pairs)

    def _others(self, table: Table, column: Column, row: Values, condition: str) -> list[Values]:
        """Values of a column other than the one that it has."""
        known = {name: value for name, value in row.items() if name != column.name}
        key = next((key for key in table.foreign_keys if column.name in key.columns), None)
        try:
            options = self._free(table, column, [condition]).options if key is None else self._parents(key, known)
        except CannotMake:
            options = []
        found: list[Values] = [{column.name: option[column.name]} for option in options]
        if column.nullable:
            found.append({column.name: None})
        return [option for option in found if option[column.name] != row[column.name]]

    def _found(self, table: Table, given: Values, without: frozenset[str]) -> tuple[str, Values]:
        choices = self._choices(table, given, without)
        last = ""
        for _ in range(_MOST_ROUNDS):
            self._fulfil_checks(table, given, choices, without)
            values = _merged(given, choices)
            statement = insert_sql(table, values)
            columns = ", ".join(f"{ident(column.name)}::text" for column in table.columns)
            try:
                with self.conn.transaction():
                    row = self.conn.execute(f"{statement} returning {columns}").fetchone()
            except (errors.UniqueViolation, errors.ExclusionViolation) as error:
                last = _reason(error)
                if not self._renew(table, choices, error.diag.constraint_name or ""):
                    break
                continue
            except errors.NotNullViolation as error:
                last = _reason(error)
                column = table.column(error.diag.column_name or "")
                if column is None or column.name in given or column.name in without:
                    break
                choices.append(self._free(table, column))
                continue
            except psycopg.Error as error:
                if is_fence(error):
                    raise explain(error, "inventing rows that are taken back") from error
                last = _reason(error)
                break
            if row is None:
                last = "a trigger swallows the row"
                break
            return statement, dict(zip((column.name for column in table.columns), row, strict=True))
        raise CannotMake(last)

    # -- choices -------------------------------------------------------------------------------------------------------

    def _choices(self, table: Table, given: Values, without: frozenset[str]) -> list[_Choice]:
        """A choice for each foreign key that must be set, and for each other column that must be."""
        needed = [
            column
            for column in table.columns
            if not column.nullable
            and column.default is None
            and column.identity is None
            and column.generated is None
            and column.name not in without
        ]
        open_columns = {column.name for column in needed} - set(given)
        choices: list[_Choice] = []
        # The widest key first: it says most about which row is meant.
        for key in sorted(table.foreign_keys, key=lambda key: -len(key.columns)):
            missing = [name for name in key.columns if name in open_columns]
            if missing:
                options = self._parents(key, _merged(given, choices))
                if not options:
                    raise CannotMake(f"{key.name}: there is no row of {key.ref_table} to refer to")
                choices.append(_Choice(tuple(missing), options))
                open_columns -= set(missing)
        choices.extend(self._free(table, column) for column in needed if column.name in open_columns)
        return choices

    def _parents(self, key: Constraint, known: Values) -> list[Values]:
        """The rows that a foreign key can name, as values of its own columns; those that fit what is known."""
        pairs = tuple(zip(key.columns, key.ref_columns, strict=True))
        if key.ref_schema == self.catalog.schema:
            parents = self.rows.get(key.ref_table or "", ())
            found = [{mine: parent.get(theirs) for mine, theirs in pairs} for parent in parents]
        elif (key.ref_schema, key.ref_table) == ("auth", "users"):
            found = [{mine: account for mine, _ in pairs} for account in self.accounts]
        else:
            columns = ", ".join(f"{ident(theirs)}::text" for _, theirs in pairs)
            name = ident(key.ref_schema or "", key.ref_table or "")
            rows = self.conn.execute(f"select {columns} from {name} limit 5").fetchall()
            found = [dict(zip(key.columns, row, strict=True)) for row in rows]
        return [
            option
            for option in found
            if None not in option.values() and all(known.get(name, value) == value for name, value in option.items())
        ]

    def _free(self, table: Table, column: Column, conditions: Sequence[str] = ()) -> _Choice:
        values = candidates(self.catalog, table, column, conditions)
        options = [{column.name: value} for value in self._castable(column, values)]
        if not options:
            raise CannotMake(f"no value of type {column.type} is known for {table.name}.{column.name}")
        return _Choice((column.name,), [dict(option) for option in options])

    def _castable(self, column: Column, values: Sequence[str]) -> list[str]:
        """The values that the type takes: asked all at once, and one by one only where that fails."""
        tests = [f"{literal(value)}::{column.type} is not null" for value in values]
        if self._holds(" and ".join(tests)):
            return list(values)
        return [value for value, test in zip(values, tests, strict=True) if self._holds(test)]

    def _renew(self, table: Table, choices: list[_Choice], constraint: str) -> bool:
        """Other values for the columns of a unique key; False where there is nothing left to vary."""
        found = table.constraint(constraint)
        index = next((index for index in table.indexes if index.name == constraint), None)
        columns = set(found.columns if found else index.columns if index else ())
        varied = False
        for choice in choices:
            if not columns & set(choice.columns):
                continue
            column = table.column(choice.columns[0])
            if choice.at + 1 < len(choice.options):
                choice.at += 1
                return True
            if column is not None and len(choice.columns) == 1 and len(choice.options) > 1:
                choice.options = self._free(table, column).options
                choice.at = 0
                varied = True
        return varied

    # -- checks --------------------------------------------------------------------------------------------------------

    def _fulfil_checks(self, table: Table, given: Values, choices: list[_Choice], without: frozenset[str]) -> None:
        checks = [(check.name, check.columns, f"({check.expression}) is not false") for check in table.checks]
        if table.name in self.conditions:
            condition = self.conditions[table.name]
            checks.append(("the manifest's condition", columns_in(condition, table), f"({condition}) is true"))
        for _ in range(_MOST_ROUNDS):
            broken = [check for check in checks if not self._fulfilled(table, check[2], _merged(given, choices))]
            if not broken:
                return
            name, columns, expression = broken[0]
            stated = frozenset(given) | without
            about = self._about(table, _merged(given, choices), choices, columns, stated)
            if not self._search(table, given, choices, about, expression):
                raise CannotMake(f"{name}: no values were found that fulfil it")
        raise CannotMake(f"{broken[0][0]}: what fulfils it breaks another check")

    def _about(
        self, table: Table, known: Values, choices: list[_Choice], columns: Sequence[str], stated: frozenset[str]
    ) -> list[_Choice]:
        """The choices that a check is about, with new ones for its columns that were left to their defaults so far."""
        about = [choice for choice in choices if set(choice.columns) & set(columns)]
        decided = stated | {name for choice in about for name in choice.columns}
        for name in columns:
            column = table.column(name)
            if column is not None and name not in decided and column.generated is None:
                choice = self._optional(table, column, known)
                decided |= set(choice.columns)
                about.append(choice)
                choices.append(choice)
        return about

    def _search(
        self, table: Table, given: Values, choices: list[_Choice], about: list[_Choice], expression: str
    ) -> bool:
        """Vary some of the choices until the check holds."""
        spaces = [range(len(choice.options)) for choice in about]
        for picked in itertools.islice(itertools.product(*spaces), _MOST_COMBINATIONS):
            for choice, at in zip(about, picked, strict=True):
                choice.at = at
            if self._fulfilled(table, expression, _merged(given, choices)):
                return True
        return False

    def _optional(self, table: Table, column: Column, known: Values) -> _Choice:
        """A column that can also be left to its default, which is tried first."""
        for key in table.foreign_keys:
            if column.name in key.columns:
                free = [name for name in key.columns if name not in known]
                options = [{name: option[name] for name in free} for option in self._parents(key, known)]
                return _Choice(tuple(free), [{}, *options])
        return _Choice((column.name,), [{}, *self._free(table, column).options])

    def _fulfilled(self, table: Table, expression: str, values: Values) -> bool:
        items = []
        for column in table.columns:
            if column.generated is not None:
                continue
            if column.name in values:
                value = f"{literal(values[column.name])}::{column.type}"
            elif column.default is not None and "nextval" not in column.default:
                value = f"({column.default})::{column.type}"
            else:
                value = f"null::{column.type}"
            items.append(f"{value} as {ident(column.name)}")
        return self._holds(expression, f" from (select {', '.join(items)}) as candidate")

    def _holds(self, expression: str, source: str = "") -> bool:
        try:
            with self.conn.transaction():
                row = self.conn.execute(f"select {expression}{source}").fetchone()
        except psycopg.Error:
            return False
        return row is not None and row[0] is True


def _merged(given: Values, choices: Iterable[_Choice]) -> Values:
    merged: Values = {}
    for choice in choices:
        merged.update(choice.values)
    return {**merged, **given}


def insert_sql(table: Table, values: Values, *, again: bool = False) -> str:
    """INSERT of the given values, cast to the columns' types, in the table's order.

    Args:
        again: the values of a row that stood there: what the table itself generates is generated again, but for its numbers.
    """
    name = ident(table.schema, table.name)
    columns = [column for column in table.columns if column.name in values and not (again and column.generated)]
    if not columns:
        return f"insert into {name} default values"
    given = ", ".join(f"{literal(values[column.name])}::{column.type}" for column in columns)
    overriding = " overriding system value" if again else ""
    return f"insert into {name} ({idents(column.name for column in columns)}){overriding} values ({given})"


def _reason(error: psycopg.Error) -> str:
    primary = error.diag.message_primary or type(error).__name__
    name = error.diag.constraint_name
    return re.sub(r"\s+", " ", f"{name}: {primary}" if name else primary)


class _Names(Visitor):
    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_ColumnRef(self, _ancestors: object, node: ast.ColumnRef) -> None:
        self.found.update(part.sval or "" for part in node.fields or () if isinstance(part, ast.String))


def columns_in(expression: str, table: Table) -> tuple[str, ...]:
    """The columns of a table that an expression names."""
    names = _Names()
    names(pglast.parse_sql(f"select ({expression})"))
    return tuple(column.name for column in table.columns if column.name in names.found)
