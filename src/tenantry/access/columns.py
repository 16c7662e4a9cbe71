"""Which columns of a target table clients may read, give and change. Pure."""

from __future__ import annotations

from tenantry.catalog import Table
from tenantry.manifest.model import Access
from tenantry.mapping.client_columns import AUDIT_COLUMNS, changed_columns, given_columns
from tenantry.mapping.project import Project


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
    """What a client may give for a new row."""
    manifest = project.manifest
    return given_columns(table, manifest.tables[table.name].access, manifest.tenant)


def updatable(project: Project, table: Table) -> tuple[str, ...]:
    """What a client may change."""
    manifest = project.manifest
    return changed_columns(table, manifest.tables[table.name].access, manifest.tenant)


__all__ = ["AUDIT_COLUMNS", "insertable", "selectable", "updatable", "visible"]
