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


def insertable(table: Table) -> tuple[str, ...]:
    """What a client may give for a new row: id and tenant, but neither the past nor the authors."""
    return tuple(column.name for column in table.columns if _given(column))


def updatable(project: Project, table: Table) -> tuple[str, ...]:
    """What a client may change: neither id nor tenant, so that no row ever leaves its tenant, nor what is fixed."""
    tenant = project.manifest.tenant.column
    fixed = project.manifest.tables[table.name].access.fixed
    return tuple(
        column.name for column in table.columns if _given(column) and column.name not in (ROW_ID, tenant, *fixed)
    )


def _given(column: Column) -> bool:
    return column.generated is None and column.identity != "always" and column.name not in (LEGACY_ID, *AUDIT_COLUMNS)
