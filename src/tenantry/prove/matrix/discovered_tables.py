"""Reads the tables of tenants, without a manifest: those with a column for the tenant, and those that refer to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import psycopg

from tenantry.postgres import ident, load_blocks
from tenantry.prove.lint.scope import Scope


@dataclass(frozen=True, slots=True)
class DiscoveredTable:
    schema: str
    name: str
    tenant: str
    type: str
    columns: tuple[str, ...]
    outside: str
    """Triggers whose effects a rollback would not undo."""
    oid: int = 0
    value: Callable[[str], str] | None = None
    """SQL for the tenant of a row, by its alias, if no column of the table holds it."""
    root: bool = False
    """This is the table of tenants itself: everybody may create one."""
    shared: bool = False
    """Visible rows of others may be shared on purpose: each row belongs to a person, who decides."""

    def owner(self, alias: str) -> str:
        """Return SQL for the tenant of a row."""
        return f"{alias}.{ident(self.tenant)}" if self.value is None else self.value(alias)

    @property
    def shown(self) -> str:
        return ident(self.schema, self.name)


def discovered_tables(owner: psycopg.Connection[Any], scope: Scope) -> list[DiscoveredTable]:
    rows = described_tables(
        owner, [oid for oid, _ in scope.tenant_columns], [number for _, number in scope.tenant_columns]
    )
    tables = [_table(row, shared=scope.user_owned) for row in rows]
    if scope.tenant is not None and scope.tenant.schema in scope.schemas and scope.tenant.number:
        root = described_tables(owner, [scope.tenant.relation], [scope.tenant.number])
        tables += [replace(_table(row, shared=scope.user_owned), root=True) for row in root]
    return tables + _children(owner, scope, tables)


def described_tables(owner: psycopg.Connection[Any], relations: list[int], numbers: list[int]) -> list[tuple[Any, ...]]:
    parameters = {"relations": relations, "columns": numbers}
    return owner.execute(load_blocks("tenantry.prove.matrix", "without_manifest")["tables"], parameters).fetchall()


def _table(row: tuple[Any, ...], *, shared: bool) -> DiscoveredTable:
    return DiscoveredTable(row[1], row[2], row[3], row[4], tuple(row[5]), row[6] or "", row[0], shared=shared)


def _children(owner: psycopg.Connection[Any], scope: Scope, tables: list[DiscoveredTable]) -> list[DiscoveredTable]:
    """Return tables without a tenant column; the tenant is that of the row they reference."""
    known = {table.oid: table for table in tables if not scope.membership or table.oid != scope.membership.relation}
    direct = {table.oid for table in tables}
    found: list[DiscoveredTable] = []
    ways = owner.execute(
        load_blocks("tenantry.prove.matrix", "without_manifest")["ways"], {"schemas": list(scope.schemas)}
    ).fetchall()
    while True:
        more = [way for way in ways if way[0] not in known and way[0] not in direct and way[1] in known]
        if not more:
            return found
        child, parent, mine, theirs = more[0]
        above = known[parent]
        row = described_tables(owner, [child], [1])[0]
        value = partial(_of_parent, above, f"p{len(found)}", tuple(mine), tuple(theirs))
        known[child] = replace(_table(row, shared=scope.user_owned), value=value, type=above.type)
        found.append(known[child])


def _of_parent(parent: DiscoveredTable, name: str, mine: Sequence[str], theirs: Sequence[str], alias: str) -> str:
    tied = " and ".join(f"{name}.{ident(b)} = {alias}.{ident(a)}" for a, b in zip(mine, theirs, strict=True))
    return f"(select {parent.owner(name)} from {parent.shown} as {name} where {tied})"
