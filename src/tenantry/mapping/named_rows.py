"""Derives by which foreign keys a client's row names rows that the client must be able to see. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.catalog import Constraint, Table
from tenantry.manifest.model import Access, Command, Own
from tenantry.mapping.client_columns import changed_columns, given_columns
from tenantry.mapping.project import Project


def named_keys(project: Project, table: Table, access: Access, command: Command) -> tuple[Constraint, ...]:
    """Return the foreign keys by which a row that a client inserts or updates names a row without regard to its tenant.

    The check of a foreign key sees every row despite the policies, so its result reveals whether a row exists. Excepted are keys
    that contain the tenant on both sides, keys to the tenant table (see tenant_references()), keys to rows that everybody who is
    signed in sees, keys whose column the policy itself fixes, and keys with a column in the table's list `unseen`.
    """
    if command not in ("insert", "update") or access.cell(command) == "service":
        return ()
    tenant = project.manifest.tenant
    written = (given_columns if command == "insert" else changed_columns)(table, access, tenant)
    closed = {*access.unseen, *_decided(access, command)}
    return tuple(
        key
        for key in table.foreign_keys
        if any(name in written and name not in closed for name in key.columns)
        and not closed & set(key.columns)
        and _may_hide(project, table, key)
    )


def _decided(access: Access, command: Command) -> Iterator[str]:
    """The column whose row the policy's own condition already asks for."""
    cell = access.cell(command)
    if isinstance(cell, Own):
        yield cell.column


def _may_hide(project: Project, table: Table, key: Constraint) -> bool:
    """Whether the key can name a row that a caller does not see, of any tenant."""
    manifest = project.manifest
    if key.ref_schema == manifest.source.schema_name and key.ref_table is not None:
        return manifest.source.access.get(key.ref_table, "service") == "service"
    if key.ref_schema != table.schema:
        return True
    rule = manifest.tables.get(key.ref_table or "")
    if key.ref_table == manifest.tenant.table or (rule is not None and rule.access.select in ("public", "signed_in")):
        return False
    scoped = project.scoped(table.name) and project.scoped(key.ref_table or "")
    return not scoped or (manifest.tenant.column,) * 2 not in zip(key.columns, key.ref_columns, strict=True)


__all__ = ["named_keys"]
