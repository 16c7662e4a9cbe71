"""Compiles one cell of the access matrix into the condition of a policy. Pure.

Every condition compares with an array or a value that is computed once per statement: `(select f())` becomes an
InitPlan, while a function of the row's columns would be called for each row, and `in (select …)` is no index condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tenantry.catalog import Table
from tenantry.manifest.model import Access, Cell, Colleagues, Command, Own
from tenantry.mapping.client_columns import changed_columns, given_columns, tenant_references
from tenantry.mapping.project import ROW_ID, Project
from tenantry.postgres import ident, literal

PROFILE = "(select tenantry.profile_id())"
SUPER = "(select tenantry.is_super())"
# Super admins need no profile.
SIGNED_IN = "(select tenantry.profile_id() is not null or tenantry.is_super())"
EVERYBODY = "true"


@dataclass(frozen=True, slots=True)
class CellPolicy:
    """The condition under which the caller may use a row, the policy's name, and the cell as written in the manifest."""

    label: str
    condition: str
    cell: str


def decided(project: Project, table: Table) -> Access | None:
    """Return a table's access in the manifest. A partition is reached through its parent, and so has none of its own."""
    rule = project.manifest.tables.get(table.name)
    return None if rule is None or table.partition_of is not None else rule.access


def client_policy(project: Project, table: Table, access: Access, command: Command) -> CellPolicy | None:
    """Return the policy of a cell for signed-in users; None for 'service', which gives clients no access."""
    cell = access.cell(command)
    shared = f"tenantry.shared({literal(access.shared)})" if command == "select" and access.shared is not None else ""
    # A role and a share are both arrays of tenants: a single comparison can use an index.
    found = _cell(project, table, cell, f" || {shared}" if shared and isinstance(cell, str) else "")
    if found is None or cell == "public":
        return found
    others = list(_others(project, table, access, command, "" if isinstance(cell, str) else shared))
    first = f"({found.condition})" if others and "\n" in found.condition else found.condition
    said = "".join(f", {text}" for text in _said(access, command))
    return CellPolicy(found.label, "\nor ".join([first, *others]), found.cell + said)


def visitors_condition(access: Access) -> str | None:
    """Return the condition under which anonymous clients read a row; None if they read none."""
    return EVERYBODY if access.select == "public" else access.public


def visitors_cell(access: Access) -> str:
    """Return the cell that opens rows to anonymous clients, as written in the manifest."""
    return 'select = "public"' if access.select == "public" else f"public = {access.public!r}"


def named_tenants(project: Project, table: Table, access: Access, command: Command) -> tuple[str, ...]:
    """Return what a new or changed row must fulfil in addition to the cell: clients name only tenants that they see.

    The policy is asked before the foreign key, so that a tenant that is hidden and one that does not exist are refused alike.
    """
    found = dict(_named_columns(project, table, access, command))
    return tuple(_or_null(table, name, condition) for name, condition in found.items())


def named_columns(project: Project, table: Table, access: Access, command: Command) -> tuple[str, ...]:
    """The columns for which named_tenants() asks."""
    return tuple(name for name, _ in _named_columns(project, table, access, command))


def _named_columns(project: Project, table: Table, access: Access, command: Command) -> Iterator[tuple[str, str]]:
    if command not in ("insert", "update"):
        return
    tenant = project.manifest.tenant
    written = (given_columns if command == "insert" else changed_columns)(table, access, tenant)
    for name, there in tenant_references(table, tenant).items():
        condition = _seen(project, table, name, there)
        if name in written and name not in access.unseen and condition != EVERYBODY:
            yield name, condition


def _or_null(table: Table, name: str, condition: str) -> str:
    column = table.column(name)
    return condition if column is not None and not column.nullable else f"({ident(name)} is null or {condition})"


def _seen(project: Project, table: Table, name: str, there: str) -> str:
    """That a column names a tenant whose row the caller may read."""
    parent = project.manifest.tenant.table
    access = project.manifest.tables[parent].access
    cell = access.select
    if cell in ("public", "signed_in"):
        return EVERYBODY
    if cell in ("service", "super"):
        return SUPER if cell == "super" else "false"
    if isinstance(cell, str) and there == ROW_ID and access.public is None:
        shared = "" if access.shared is None else f" || tenantry.shared({literal(access.shared)})"
        return f"{ident(name)} = any ((select tenantry.tenants({literal(cell)}){shared})::uuid[])"
    if table.name == parent:
        return SUPER  # a policy that reads its own table calls itself without end
    return f"{ident(name)} = any (array(select {ident(there)} from {ident(project.target.schema, parent)}))"


# -- one cell ---------------------------------------------------------------------------------------------------------


def _cell(project: Project, table: Table, cell: Cell, and_tenants: str) -> CellPolicy | None:
    if isinstance(cell, Own):
        return _own(project, table, cell)
    if isinstance(cell, Colleagues):
        people = f"array_append((select tenantry.colleagues({literal(cell.colleagues)})), {PROFILE})"
        return CellPolicy(f"colleagues_{cell.colleagues}", f"{ident(cell.own)} = any ({people})", written(cell))
    if cell == "service":
        return None
    return CellPolicy(cell, _at_least(project, table, cell, and_tenants), written(cell))


def written(cell: Cell) -> str:
    """Return a cell as written in a manifest."""
    if isinstance(cell, Own):
        role = "" if cell.role is None else f', role = "{cell.role}"'
        through = ""
        if cell.through is not None:
            link = cell.through
            through = f', through = {{ table = "{link.table}", match = "{link.match}", profile = "{link.profile}" }}'
        return f'{{ own = "{cell.own}"{role}{through} }}'
    if isinstance(cell, Colleagues):
        return f'{{ colleagues = "{cell.colleagues}", own = "{cell.own}" }}'
    return f'"{cell}"'


def _at_least(project: Project, table: Table, role: str, and_tenants: str = "") -> str:
    if role == "super":
        return SUPER
    if role == "signed_in":
        return SIGNED_IN
    if role == "public":
        return EVERYBODY
    return _in_tenants(project, table, f"tenantry.tenants({literal(role)}){and_tenants}")


def _in_tenants(project: Project, table: Table, tenants: str) -> str:
    return f"{ident(tenant_column(project, table))} = any ((select {tenants})::uuid[])"


def tenant_column(project: Project, table: Table) -> str:
    """Return the column that holds the tenant: the tenant table's own id, or the tenant column."""
    tenant = project.manifest.tenant
    return ROW_ID if table.name == tenant.table else tenant.column


def _own(project: Project, table: Table, cell: Own) -> CellPolicy:
    conditions = [] if cell.role is None else [_at_least(project, table, cell.role)]
    column = ident(cell.column)
    if cell.parent is not None:
        if cell.role is None:
            # Rows of the other table may be public; rows that reference them are still for signed-in users.
            conditions.append(SIGNED_IN)
        conditions += _named(project, table, column, cell.parent, ROW_ID, "")
        label = f"own_{cell.parent}"
    elif cell.through is not None:
        link = cell.through
        conditions += _named(
            project, table, column, link.table, link.match, f" where {ident(link.profile)} = {PROFILE}"
        )
        label = f"own_through_{link.table}"
    else:
        conditions.append(f"{column} = {PROFILE}")
        label = "own"
    return CellPolicy(label if cell.role is None else f"{label}_{cell.role}", "\nand ".join(conditions), written(cell))


def _named(project: Project, table: Table, column: str, other: str, match: str, where: str) -> Iterator[str]:
    """Yield the condition that a column references a row of another table that the caller sees."""
    parent = ident(project.target.schema, other)
    yield f"{column} = any (array(select {ident(match)} from {parent}{where}))"
    if project.scoped(table.name) and project.scoped(other):
        tenant = ident(project.manifest.tenant.column)
        # Ids are unique only within a tenant: the same id in another tenant of the caller is another row.
        yield f"({tenant}, {column}) in (select {tenant}, {ident(match)} from {parent}{where})"


# -- further rows ---------------------------------------------------------------------------------------------------------


def _others(project: Project, table: Table, access: Access, command: Command, shared: str) -> Iterator[str]:
    """Yield conditions that open rows beyond the cell's."""
    reading = command == "select"
    if shared:
        yield _in_tenants(project, table, shared)
    if access.system is not None:
        who = SIGNED_IN if reading and access.system == "signed_in" else SUPER
        yield f"{ident(tenant_column(project, table))} is null and {who}"
    if reading and access.public is not None:
        yield f"({access.public})"


def _said(access: Access, command: Command) -> Iterator[str]:
    if command == "select" and access.shared is not None:
        yield f'shared = "{access.shared}"'
    if access.system is not None:
        yield f'system = "{access.system}"'
    if command == "select" and access.public is not None:
        yield f"public = {access.public!r}"
