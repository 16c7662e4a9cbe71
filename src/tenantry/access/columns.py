"""Which columns of a target table clients may read, give and change. Pure."""

from __future__ import annotations

from tenantry.catalog import Column, Table
from tenantry.manifest.mapping import LEGACY_ID, ROW_ID, Project
from tenantry.manifest.model import Access, Own

AUDIT_COLUMNS = ("created_at", "updated_at", "created_by", "updated_by")
"""Set by triggers of the application; nobody states them."""


def selectable(table: Table, access: Access) -> tuple[str, ...]:
    """All but the hidden ones."""
    return tuple(column.name for column in table.columns if column.name not in access.hidden)


def visible(table: Table, access: Access) -> tuple[str, ...]:
    """What people who are not signed in read of public rows; empty where no row is."""
    if not access.for_visitors:
        return ()
    return tuple(
        name for name in selectable(table, access) if access.public_columns is None or name in access.public_columns
    )


def insertable(project: Project, table: Table) -> tuple[str, ...]:
    """What a client may give for a new row: the tenant, but neither the id, nor the past, nor the authors. A list in the manifest
    says otherwise: the listed columns and the tenant.

    The server draws ids. One that a client states may be the id of another tenant's row, and meets it wherever ids alone are
    keys: in the source, in files, in caches. Where the id is what makes a row the caller's own, the policy says which it is.
    """
    access = project.manifest.tables[table.name].access
    listed = access.insert_columns
    tenant = project.manifest.tenant.column
    return tuple(
        column.name
        for column in table.columns
        if _given(column)
        and (column.name in (*listed, tenant) if listed is not None else column.name != ROW_ID or _is_whose(access))
    )


def _is_whose(access: Access) -> bool:
    """Whether the id of a new row must be the caller's own profile."""
    cell = access.insert
    return isinstance(cell, Own) and cell.column == ROW_ID and cell.parent is None and cell.through is None


def updatable(project: Project, table: Table) -> tuple[str, ...]:
    """What a client may change: neither id nor tenant, so that no row ever leaves its tenant, nor what is fixed, nor what a list
    in the manifest leaves out."""
    tenant = project.manifest.tenant.column
    access = project.manifest.tables[table.name].access
    return tuple(
        column.name
        for column in table.columns
        if _given(column)
        and column.name not in (ROW_ID, tenant, *access.fixed)
        and (access.update_columns is None or column.name in access.update_columns)
    )


def _given(column: Column) -> bool:
    return column.generated is None and column.identity != "always" and column.name not in (LEGACY_ID, *AUDIT_COLUMNS)
