"""One cell of the access matrix as the condition of a policy. Pure.

Every condition is a comparison with an array or a value that is computed once a statement: `(select f())` becomes an
InitPlan, while a function of the row's columns would be called for each row, and `in (select …)` is no index condition.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.catalog import Table
from tenantry.manifest.mapping import ROW_ID, Project
from tenantry.manifest.model import Cell, Colleagues, Own
from tenantry.postgres import ident, literal

PROFILE = "(select tenantry.profile_id())"
SUPER = "(select tenantry.is_super())"
# Super admins need no profile.
SIGNED_IN = "(select tenantry.profile_id() is not null or tenantry.is_super())"


@dataclass(frozen=True, slots=True)
class CellPolicy:
    """The condition under which a row is the caller's to use, what to call it, and the cell as the manifest has it."""

    label: str
    condition: str
    cell: str


def client_policy(project: Project, table: Table, cell: Cell) -> CellPolicy | None:
    """The policy of a cell; None for 'service', which gives clients nothing."""
    if isinstance(cell, Own):
        return _own(project, table, cell)
    if isinstance(cell, Colleagues):
        people = f"array_append((select tenantry.colleagues({literal(cell.colleagues)})), {PROFILE})"
        return CellPolicy(
            f"colleagues_{cell.colleagues}",
            f"{ident(cell.own)} = any ({people})",
            f'{{ colleagues = "{cell.colleagues}", own = "{cell.own}" }}',
        )
    if cell == "service":
        return None
    return CellPolicy(cell, _at_least(project, table, cell), f'"{cell}"')


def _at_least(project: Project, table: Table, role: str) -> str:
    if role == "super":
        return SUPER
    if role == "signed_in":
        return SIGNED_IN
    return f"{ident(tenant_column(project, table))} = any ((select tenantry.tenants({literal(role)}))::uuid[])"


def tenant_column(project: Project, table: Table) -> str:
    """The column that holds the tenant: the tenant table's own id, or the tenant column."""
    tenant = project.manifest.tenant
    return ROW_ID if table.name == tenant.table else tenant.column


def _own(project: Project, table: Table, cell: Own) -> CellPolicy:
    conditions = [] if cell.role is None else [_at_least(project, table, cell.role)]
    column = ident(cell.column)
    if cell.parent is None:
        conditions.append(f"{column} = {PROFILE}")
        label = "own"
    else:
        parent = ident(project.target.schema, cell.parent)
        conditions.append(f"{column} = any (array(select {ROW_ID} from {parent}))")
        tenant = ident(project.manifest.tenant.column)
        if project.scoped(table.name) and project.scoped(cell.parent):
            # Ids are unique within a tenant only: a row of the same id in another tenant of the caller is another row.
            conditions.append(f"({tenant}, {column}) in (select {tenant}, {ROW_ID} from {parent})")
        label = f"own_{cell.parent}"
    role = "" if cell.role is None else f', role = "{cell.role}"'
    return CellPolicy(
        label if cell.role is None else f"{label}_{cell.role}",
        "\nand ".join(conditions),
        f'{{ own = "{cell.own}"{role} }}',
    )
