"""Which columns of a target table clients may read, give and change. Pure."""

from __future__ import annotations

from tenantry.catalog import Column, Table
from tenantry.manifest.mapping import LEGACY_ID, ROW_ID, Project
from tenantry.manifest.model import Access

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
    """What a client may give for a new row: id and tenant, but neither the past nor the authors. A list in the manifest narrows
    that down to the listed ones and the tenant."""
    listed = project.manifest.tables[table.name].access.insert_columns
    tenant = project.manifest.tenant.column
    return tuple(
        column.name
        for column in table.columns
        if _given(column) and (listed is None or column.name in (*listed, tenant))
    )


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
