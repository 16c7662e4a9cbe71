"""Compiles the policies of a table from its row of the access matrix. Pure.

One policy for each table, command and role. Policies for writes state separately which rows may be changed (USING) and what
the result may be (WITH CHECK).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tenantry.access.named_rows import named_rows
from tenantry.access.policy_conditions import client_policy, decided, named_tenants, visitors_cell, visitors_condition
from tenantry.catalog import Table
from tenantry.manifest.model import COMMANDS
from tenantry.mapping.client_columns import columns_in
from tenantry.mapping.project import ROW_ID, Project
from tenantry.postgres import ident, literal, short_name


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """An expected policy; `using` and `check` are SQL over the row."""

    name: str
    command: str
    role: str
    using: str | None
    check: str | None
    comment: str

    def create(self, table: str) -> str:
        """
        Args:
            table: its name as SQL.
        """
        lines = [f"create policy {ident(self.name)} on {table} for {self.command} to {ident(self.role)}"]
        if self.using is not None:
            lines.append(f"    using ({_indented(self.using)})")
        if self.check is not None:
            lines.append(f"    with check ({_indented(self.check)})")
        return "\n".join(lines) + ";"

    def say(self, table: str) -> str:
        """Return the statement that records the matrix cell as the policy's comment."""
        return f"comment on policy {ident(self.name)} on {table} is\n    {literal(self.comment)};"

    def drop(self, table: str) -> str:
        return f"drop policy if exists {ident(self.name)} on {table};"

    def statements(self, table: str) -> tuple[str, ...]:
        """Return the statements that make it, whether or not it exists."""
        return self.drop(table), self.create(table), self.say(table)


def _indented(condition: str) -> str:
    return condition.replace("\n", "\n        ")


def table_policies(project: Project, table: Table, owner: str) -> tuple[TablePolicy, ...]:
    """Return all policies of a table: for clients, then for other roles.

    Args:
        owner: the role that owns the tables, which FORCE ROW LEVEL SECURITY binds too.
    """
    return (*_clients(project, table), *_others(project, table, owner))


def _clients(project: Project, table: Table) -> Iterator[TablePolicy]:
    access = decided(project, table)
    if access is None:
        return
    roles = project.manifest.database_roles
    key = f"Access matrix: tables.{table.name}.access"
    for command in COMMANDS:
        found = client_policy(project, table, access, command)
        if found is not None:
            named = (*named_tenants(project, table, access, command), *named_rows(project, table, access, command))
            first = f"({found.condition})" if named and "\n" in found.condition else found.condition
            yield TablePolicy(
                short_name(command, found.label),
                command,
                roles.authenticated,
                None if command == "insert" else found.condition,
                "\nand ".join([first, *named]) if command in ("insert", "update") else None,
                f"{key}.{command} = {found.cell}",
            )
    condition = visitors_condition(access)
    if condition is not None:
        yield TablePolicy("visitors_select", "select", roles.anon, condition, None, f"{key}.{visitors_cell(access)}")


def _others(project: Project, table: Table, owner: str) -> Iterator[TablePolicy]:
    """Yield the policies of roles that are no clients: FORCE ROW LEVEL SECURITY binds them all, without an error."""
    roles = project.manifest.database_roles
    yield TablePolicy("owner_all", "all", owner, "true", "true", "Migrations and constraints see every row.")
    yield TablePolicy("service_all", "all", roles.service, "true", "true", "The application; no client can become it.")
    yield TablePolicy("backup_select", "select", roles.backup, "true", None, "For pg_dump --enable-row-security.")
    if definer_columns(project, table):
        yield TablePolicy(
            "definer_select", "select", roles.definer, "true", None, "What policies call reads this table."
        )


# -- columns for the context functions -----------------------------------------------------------------------------------


def definer_columns(project: Project, table: Table) -> tuple[str, ...]:
    """Return the columns that the context functions read, in the table's order; empty for tables that they do not read."""
    manifest = project.manifest
    needed: set[str] = set()
    if table.name == manifest.tenant.table:
        needed |= {ROW_ID, *columns_in(manifest.tenant.active, table)}
        needed |= {manifest.tenant.parent} if manifest.tenant.parent is not None else set()
    if table.name == manifest.membership.table:
        membership = manifest.membership
        needed |= {manifest.tenant.column, membership.profile, membership.role, *columns_in(membership.active, table)}
    if manifest.users is not None and table.name == manifest.users.profile:
        needed |= {ROW_ID, manifest.users.account}
    for share in manifest.shares.values():
        if share.table == table.name:
            needed |= {manifest.tenant.column, share.to, *columns_in(share.holds, table)}
    return tuple(column.name for column in table.columns if column.name in needed)
