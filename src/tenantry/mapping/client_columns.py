"""Derives from a table's access section which columns clients may set and change. Pure."""

from __future__ import annotations

import pglast
from pglast import ast
from pglast.visitors import Visitor

from tenantry.catalog import Column, Table
from tenantry.manifest.model import Access, Own, TenantSection
from tenantry.mapping.project import LEGACY_ID, ROW_ID

AUDIT_COLUMNS = ("created_at", "updated_at", "created_by", "updated_by")
"""Columns that the application's triggers set; clients never set them."""


def given_columns(table: Table, access: Access, tenant: TenantSection) -> tuple[str, ...]:
    """Return the columns that a client may set in a new row: the tenant, but neither the id, nor timestamps, nor authors. A
    list in the manifest replaces this: the listed columns and the tenant.

    The server generates ids. An id that a client chooses may be the id of another tenant's row, and collide with it wherever
    ids alone are keys: in the source, in files, in caches. If the id makes a row the caller's own, the policy fixes it.
    """
    listed = access.insert_columns
    return tuple(
        column.name
        for column in table.columns
        if _is_open(column)
        and (
            column.name in (*listed, tenant.column)
            if listed is not None
            else column.name != ROW_ID or _is_whose(access)
        )
    )


def changed_columns(table: Table, access: Access, tenant: TenantSection) -> tuple[str, ...]:
    """Return the columns that a client may change: not the id and tenant, so that no row leaves its tenant, not fixed
    columns, and no column that a list in the manifest omits. Columns that refer to another tenant must be listed."""
    others = tenant_references(table, tenant)
    return tuple(
        column.name
        for column in table.columns
        if _is_open(column)
        and column.name not in (ROW_ID, tenant.column, *access.fixed)
        and (column.name not in others if access.update_columns is None else column.name in access.update_columns)
    )


def written_columns(table: Table, access: Access, tenant: TenantSection) -> frozenset[str]:
    """Return the columns that clients can write with their commands."""
    given = given_columns(table, access, tenant) if access.insert != "service" else ()
    changed = changed_columns(table, access, tenant) if access.update != "service" else ()
    return frozenset(given) | frozenset(changed)


def tenant_references(table: Table, tenant: TenantSection) -> dict[str, str]:
    """Return the columns, besides the tenant column, that refer to a tenant by a foreign key: column → the tenant table's column.

    The check of a foreign key sees every row despite the policies, so its result reveals whether a tenant exists.
    """
    return {
        mine: theirs
        for key in table.foreign_keys
        if (key.ref_schema, key.ref_table) == (table.schema, tenant.table)
        for mine, theirs in zip(key.columns, key.ref_columns, strict=True)
        if mine != tenant.column
    }


def _is_whose(access: Access) -> bool:
    """Whether the id of a new row must be the caller's own profile."""
    cell = access.insert
    return isinstance(cell, Own) and cell.column == ROW_ID and cell.parent is None and cell.through is None


def _is_open(column: Column) -> bool:
    return column.generated is None and column.identity != "always" and column.name not in (LEGACY_ID, *AUDIT_COLUMNS)


def columns_in(expression: str | None, table: Table) -> set[str]:
    """Return the columns of a table that an expression refers to."""
    names = _Names()
    if expression is not None:
        names(pglast.parse_sql(f"select ({expression})"))
    return {column.name for column in table.columns if column.name in names.found}


class _Names(Visitor):
    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_ColumnRef(self, _ancestors: object, node: ast.ColumnRef) -> None:
        self.found.update(part.sval or "" for part in node.fields or () if isinstance(part, ast.String))


__all__ = ["AUDIT_COLUMNS", "changed_columns", "columns_in", "given_columns", "tenant_references", "written_columns"]
