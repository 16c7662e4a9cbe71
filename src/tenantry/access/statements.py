"""Compiles the policies and grants of the target from the access matrix. Pure: a project in, statements out.

Order in a migration: load, validate constraints, then this; clients get their rights to write at the cut-over.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.access.grants import (
    everybody,
    function_name,
    function_right,
    schema_right,
    table_reads,
    view_right,
    write_rights,
)
from tenantry.access.helper_functions import helper_signatures, helpers_sql
from tenantry.access.policies import table_policies
from tenantry.catalog import Function, Table, View
from tenantry.errors import ManifestError, TargetFilesWrong
from tenantry.manifest.load import Places
from tenantry.mapping.project import Project
from tenantry.postgres import ident, idents


@dataclass(frozen=True, slots=True)
class TableSecurity:
    """The statements that secure one table or view, and those that undo it. Each statement ends with a semicolon.

    `table` is empty for the entry about the schema itself.
    """

    table: str
    statements: tuple[str, ...]
    undo: tuple[str, ...]


def secure_statements(project: Project, *, owner: str) -> tuple[TableSecurity, ...]:
    """Return row-level security, policies, and rights to read: for the schema, then every table, then every view.

    The statements can be run again. They leave clients with rights to read only: cutover_grants() adds the rights to write.
    The owner of the tables runs them, after context_sql().

    Args:
        owner: the role that owns the tables, which FORCE ROW LEVEL SECURITY binds too.

    Raises:
        ManifestError: a view would show its owner's rows to all clients.
        TargetFilesWrong: a foreign table, which cannot have policies.
    """
    _check_views(project)
    return (
        _schema(project, owner),
        *(_table(project, table, owner) for table in project.target.tables),
        *(_view(project, view) for view in project.target.views),
    )


def cutover_grants(project: Project) -> tuple[str, ...]:
    """Return the grants of rights to write, column by column, for clients and the service at the cut-over."""
    return tuple(right.grant() for right in write_rights(project))


def cutover_revokes(project: Project) -> tuple[str, ...]:
    """Return the statements that undo cutover_grants()."""
    return tuple(right.revoke() for right in write_rights(project))


# -- the schema -------------------------------------------------------------------------------------------------------


def default_privileges(project: Project, owner: str) -> tuple[str, ...]:
    """Return the statements that keep later objects closed to clients."""
    roles = project.manifest.database_roles
    name = ident(project.target.schema)
    clients = idents([roles.anon, roles.authenticated])
    return (
        "-- No later object is open by default. The default EXECUTE of functions for PUBLIC can only be revoked for all"
        " schemas.\n"
        f"alter default privileges for role {ident(owner)} revoke execute on functions from public;",
        f"alter default privileges for role {ident(owner)} in schema {name}\n"
        f"    revoke all on tables from public, {clients};",
        f"alter default privileges for role {ident(owner)} in schema {name}\n"
        f"    revoke all on sequences from public, {clients};",
    )


def _schema(project: Project, owner: str) -> TableSecurity:
    right = schema_right(project)
    statements = [
        f"revoke all on schema {right.name} from public;",
        right.grant(),
        *default_privileges(project, owner),
    ]
    undo = [
        f"alter default privileges for role {ident(owner)} grant execute on functions to public;",
        right.revoke(),
    ]
    for function in project.target.functions:
        close, reopen = _function(project, function)
        statements.extend(close)
        undo[1:1] = reopen
    statements.extend(helpers_sql(project))
    undo[1:1] = [f"drop function if exists {signature};" for signature in helper_signatures(project)]
    return TableSecurity("", tuple(statements), tuple(undo))


def _function(project: Project, function: Function) -> tuple[list[str], list[str]]:
    if function.kind not in ("function", "procedure"):
        return [], []
    name = f"{function.kind} {function_name(function)}"
    close, reopen = [f"revoke all on {name} from public;"], [f"grant execute on {name} to public;"]
    right = function_right(project, function)
    if right is not None:
        close.append(right.grant())
        reopen.insert(0, right.revoke())
    return close, reopen


# -- tables -----------------------------------------------------------------------------------------------------------


def _table(project: Project, table: Table, owner: str) -> TableSecurity:
    check_kind(table)
    name = ident(table.schema, table.name)
    roles = idents(everybody(project))
    policies = table_policies(project, table, owner)
    return TableSecurity(
        table.name,
        (
            f"alter table {name} enable row level security, force row level security;",
            f"revoke all on {name} from public, {roles};",
            *(statement for policy in policies for statement in policy.statements(name)),
            *(right.grant() for right in table_reads(project, table)),
        ),
        (
            f"revoke all on {name} from {roles};",
            *(policy.drop(name) for policy in reversed(policies)),
            f"alter table {name} no force row level security, disable row level security;",
        ),
    )


def check_kind(table: Table) -> None:
    """
    Raises:
        TargetFilesWrong: a foreign table.
    """
    if table.kind == "foreign":
        raise TargetFilesWrong(
            f"The target table {table.name} is a foreign table. Foreign tables cannot have row-level security.",
            hint="Move it to a schema that clients cannot use, or make it an ordinary table.",
        )


# -- views ------------------------------------------------------------------------------------------------------------


def _check_views(project: Project) -> None:
    places = Places(str(project.manifest.path), project.manifest.text)
    problems = [
        places.problem(
            ("target", "files"),
            f"the view {view.name} shows every reader what its owner may see; create it WITH (security_invoker = true)",
        )
        for view in project.target.views
        if not view.materialized and not is_invoker(view)
    ]
    if problems:
        raise ManifestError(problems)


def is_invoker(view: View) -> bool:
    """Whether a view reads its tables with the caller's rights and policies."""
    options = dict(option.partition("=")[::2] for option in view.options)
    return options.get("security_invoker", "false").lower() in ("true", "on", "yes", "1")


def _view(project: Project, view: View) -> TableSecurity:
    right = view_right(project, view)
    revoke = f"revoke all on {right.name} from"
    roles = idents(everybody(project))
    return TableSecurity(view.name, (f"{revoke} public, {roles};", right.grant()), (f"{revoke} {roles};",))
