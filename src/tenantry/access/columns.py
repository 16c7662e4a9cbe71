"""Which columns of a target table clients may read, insert and update. Pure."""

from __future__ import annotations

from tenantry.catalog import Table
from tenantry.manifest.model import Access
from tenantry.mapping.client_columns import AUDIT_COLUMNS, changed_columns, given_columns
from tenantry.mapping.project import Project


def selectable(table: Table, access: Access) -> tuple[str, ...]:
    """Return all columns except the hidden ones."""
    return tuple(column.name for column in table.columns if column.name not in access.hidden)


def visible(table: Table, access: Access) -> tuple[str, ...]:
    """Return the columns of public rows that anonymous clients read; empty if no row is public."""
    if not access.for_visitors:
        return ()
    return tuple(
        name for name in selectable(table, access) if access.public_columns is None or name in access.public_columns
    )


def insertable(project: Project, table: Table) -> tuple[str, ...]:
    """Return the columns that a client may set in a new row."""
    manifest = project.manifest
    return given_columns(table, manifest.tables[table.name].access, manifest.tenant)


def updatable(project: Project, table: Table) -> tuple[str, ...]:
    """Return the columns that a client may update."""
    manifest = project.manifest
    return changed_columns(table, manifest.tables[table.name].access, manifest.tenant)


__all__ = ["AUDIT_COLUMNS", "insertable", "selectable", "updatable", "visible"]
