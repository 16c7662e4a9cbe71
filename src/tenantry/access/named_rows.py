"""Compiles the condition that clients name only rows that they see, and the functions that it calls. Pure.

The condition calls a function, since a policy must not read its own table, and two policies must not read each other's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tenantry.access.policy_conditions import decided
from tenantry.catalog import Constraint, Table
from tenantry.manifest.model import Access, Command
from tenantry.mapping.named_rows import named_keys
from tenantry.mapping.project import Project
from tenantry.postgres import ident, idents, short_name

_ACCOUNTS = ("auth", "users")


@dataclass(frozen=True, slots=True)
class SeenFunction:
    """A function that tells whether the caller may name a row by a foreign key. Its arguments are the key's columns, then those of
    the table's own key, if it has one."""

    project: Project
    table: Table
    key: Constraint

    @property
    def name(self) -> str:
        return ident(self.project.target.schema, short_name("sees", self.table.name, *self.key.columns))

    @property
    def _columns(self) -> tuple[str, ...]:
        own = self.table.row_key or ()
        return (*self.key.columns, *(name for name in own if name not in self.key.columns))

    @property
    def arguments(self) -> str:
        """The types of the arguments."""
        types = {column.name: column.type for column in self.table.columns}
        return ", ".join(types[name] for name in self._columns)

    def condition(self) -> str:
        """Return the condition of a policy. A key with a null names no row."""
        nullable = {column.name for column in self.table.columns if column.nullable}
        call = f"{self.name}({idents(self._columns)})"
        empty = [f"{ident(name)} is null" for name in self.key.columns if name in nullable]
        return f"({' or '.join([*empty, call])})" if empty else call

    def body(self) -> str:
        """Return the PL/pgSQL that answers. A stable function sees the rows as they were before the statement."""
        *first, last = list(self._tests()) or ["false"]
        return "\n    ".join(
            [*(f"if {test} then\n        return true;\n    end if;" for test in first), f"return {last};"]
        )

    def _tests(self) -> Iterator[str]:
        """Yield what is asked, in this order. What clients have no right to read is not asked, so that no error ends the statement."""
        key, manifest = self.key, self.project.manifest
        named = {name: f"${at}" for at, name in enumerate(self._columns, 1)}
        parent = _exists(
            ident(key.ref_schema or "", key.ref_table or ""),
            [f"r.{ident(there)} = {named[mine]}" for mine, there in zip(key.columns, key.ref_columns, strict=True)],
        )
        account = (key.ref_schema, key.ref_table) == _ACCOUNTS
        inside = key.ref_schema == self.table.schema
        rule = manifest.tables.get(key.ref_table or "") if inside else None
        if account:
            yield f"{named[key.columns[0]]} = tenantry.uid()"
        elif rule is not None and rule.access.select != "service":
            yield parent
        access = manifest.tables[self.table.name].access
        if access.select != "service" and not set(named) & set(access.hidden) and set(named) > set(key.columns):
            # A row that names it already tells nothing more by naming it.
            yield _exists(
                ident(self.table.schema, self.table.name),
                [f"r.{ident(name)} = {argument}" for name, argument in named.items()],
            )
        if not inside and not account:
            yield parent

    @property
    def meaning(self) -> str:
        return f"whether the caller may name this row of {self.key.ref_table}: one that they see, or that the row names already."


def _exists(table: str, conditions: list[str]) -> str:
    return f"exists (select from {table} as r where {' and '.join(conditions)})"


def named_rows(project: Project, table: Table, access: Access, command: Command) -> tuple[str, ...]:
    """Return what a new or changed row must fulfil in addition to the cell: clients name only rows that they see.

    The policy is asked before the foreign key, so that a row that is hidden and one that does not exist are refused alike.
    """
    return tuple(SeenFunction(project, table, key).condition() for key in named_keys(project, table, access, command))


def seen_functions(project: Project) -> Iterator[SeenFunction]:
    """Yield the functions that policies of the target call, each once."""
    for table in project.target.tables:
        access = decided(project, table)
        if access is None:
            continue
        keys = dict.fromkeys(
            key for command in ("insert", "update") for key in named_keys(project, table, access, command)
        )
        for key in keys:
            yield SeenFunction(project, table, key)


__all__ = ["SeenFunction", "named_rows", "seen_functions"]
