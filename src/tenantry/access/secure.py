"""Policies and grants of the target, compiled from the access matrix. Pure: a project in, statements out.

Order in a migration: load, validate constraints, then this; the writes of clients come with the cut-over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pglast
from pglast import ast
from pglast.visitors import Visitor

from tenantry.access.cells import client_policy
from tenantry.access.columns import insertable, selectable, updatable
from tenantry.catalog import Catalog, Function, Table, View
from tenantry.errors import ManifestError, TenantryError
from tenantry.manifest.load import Places
from tenantry.manifest.mapping import ROW_ID, Project
from tenantry.manifest.model import COMMANDS, Access
from tenantry.postgres import ident, idents, literal


@dataclass(frozen=True, slots=True)
class TableSecurity:
    """What closes one table or view, and what takes that back. Each statement ends with a semicolon.

    `table` is empty for the one entry that is about the schema itself.
    """

    table: str
    statements: tuple[str, ...]
    undo: tuple[str, ...]


def secure_statements(project: Project, *, owner: str) -> tuple[TableSecurity, ...]:
    """Row-level security, policies, and the rights to read, for the schema, then every table, then every view.

    The statements can be run again, and then leave clients with the rights to read: cutover_grants() gives the others.
    They are for the owner of the tables to run, after context_sql().

    Args:
        owner: the role that owns the tables, which FORCE ROW LEVEL SECURITY binds too.

    Raises:
        ManifestError: a view that would show its owner's rows to everybody.
        TenantryError: a foreign table, which cannot have policies.
    """
    _check_views(project)
    return (
        _schema(project, owner),
        *(_table(project, table, owner) for table in project.target.tables),
        *(_view(project, view) for view in project.target.views),
    )


def cutover_grants(project: Project) -> tuple[str, ...]:
    """The rights to write, column by column, which clients and the service get with the cut-over."""
    return tuple(f"grant {right}" for right in _writes(project, "to"))


def cutover_revokes(project: Project) -> tuple[str, ...]:
    """What takes cutover_grants() back."""
    return tuple(f"revoke {right}" for right in _writes(project, "from"))


# -- the schema -------------------------------------------------------------------------------------------------------


def _schema(project: Project, owner: str) -> TableSecurity:
    roles = project.manifest.database_roles
    schema = ident(project.target.schema)
    readers = idents([roles.authenticated, roles.service, roles.definer, roles.backup])
    statements = [
        f"revoke all on schema {schema} from public;",
        f"grant usage on schema {schema} to {readers};",
        "-- Nothing made later is open by default. That a schema opens functions to PUBLIC can only be said for all"
        " schemas.\n"
        f"alter default privileges for role {ident(owner)} revoke execute on functions from public;",
        f"alter default privileges for role {ident(owner)} in schema {schema}\n"
        f"    revoke all on tables from public, {idents([roles.anon, roles.authenticated])};",
    ]
    undo = [
        f"alter default privileges for role {ident(owner)} grant execute on functions to public;",
        f"revoke usage on schema {schema} from {readers};",
    ]
    for function in project.target.functions:
        close, reopen = _function(project.target, function, idents([roles.authenticated, roles.service]))
        statements.extend(close)
        undo[1:1] = reopen
    return TableSecurity("", tuple(statements), tuple(undo))


def _function(target: Catalog, function: Function, callers: str) -> tuple[list[str], list[str]]:
    """Triggers need no right of the caller; defaults, checks and views do. Definer functions are opened by hand."""
    if function.kind not in ("function", "procedure"):
        return [], []
    name = f"{function.kind} {ident(target.schema, function.name)}({function.arguments})"
    close, reopen = [f"revoke all on {name} from public;"], [f"grant execute on {name} to public;"]
    if function.returns not in ("trigger", "event_trigger") and not function.security_definer:
        close.append(f"grant execute on {name} to {callers};")
        reopen.insert(0, f"revoke execute on {name} from {callers};")
    return close, reopen


# -- tables -----------------------------------------------------------------------------------------------------------


def _table(project: Project, table: Table, owner: str) -> TableSecurity:
    if table.kind == "foreign":
        raise TenantryError(
            f"The target table {table.name} is a foreign table, which cannot have row-level security.",
            hint="Keep it in another schema, out of the clients' reach, or carry its rows into a table.",
        )
    roles = project.manifest.database_roles
    name = ident(table.schema, table.name)
    everybody = idents([roles.anon, roles.authenticated, roles.service, roles.definer, roles.backup])
    policies = [*_client_policies(project, table), *_own_policies(project, table, owner)]
    return TableSecurity(
        table.name,
        (
            f"alter table {name} enable row level security, force row level security;",
            f"revoke all on {name} from public, {everybody};",
            *(statement for policy in policies for statement in policy.statements(name)),
            *_reads(project, table, name),
        ),
        (
            f"revoke all on {name} from {everybody};",
            *(f"drop policy if exists {ident(policy.name)} on {name};" for policy in reversed(policies)),
            f"alter table {name} no force row level security, disable row level security;",
        ),
    )


@dataclass(frozen=True, slots=True)
class _Policy:
    name: str
    command: str
    role: str
    using: str | None
    check: str | None
    comment: str

    def statements(self, table: str) -> tuple[str, ...]:
        lines = [f"create policy {ident(self.name)} on {table} for {self.command} to {ident(self.role)}"]
        if self.using is not None:
            lines.append(f"    using ({_indented(self.using)})")
        if self.check is not None:
            lines.append(f"    with check ({_indented(self.check)})")
        return (
            f"drop policy if exists {ident(self.name)} on {table};",
            "\n".join(lines) + ";",
            f"comment on policy {ident(self.name)} on {table} is\n    {literal(self.comment)};",
        )


def _indented(condition: str) -> str:
    return condition.replace("\n", "\n        ")


def _client_policies(project: Project, table: Table) -> Iterator[_Policy]:
    access = _access(project, table)
    if access is None:
        return
    for command in COMMANDS:
        cell = access.cell(command)
        found = client_policy(project, table, cell)
        if found is None:
            continue
        yield _Policy(
            f"{command}_{found.label}",
            command,
            project.manifest.database_roles.authenticated,
            None if command == "insert" else found.condition,
            found.condition if command in ("insert", "update") else None,
            f"Access matrix: tables.{table.name}.access.{command} = {found.cell}",
        )


def _own_policies(project: Project, table: Table, owner: str) -> Iterator[_Policy]:
    """The policies of the roles that are no client: FORCE ROW LEVEL SECURITY binds them all, and silently."""
    roles = project.manifest.database_roles
    yield _Policy("owner_all", "all", owner, "true", "true", "Migrations and constraints see every row.")
    yield _Policy("service_all", "all", roles.service, "true", "true", "The application; no client can become it.")
    yield _Policy("backup_select", "select", roles.backup, "true", None, "For pg_dump --enable-row-security.")
    if _definer_columns(project, table):
        yield _Policy("definer_select", "select", roles.definer, "true", None, "What policies call reads this table.")


def _reads(project: Project, table: Table, name: str) -> Iterator[str]:
    roles = project.manifest.database_roles
    access = _access(project, table)
    if access is not None and access.select != "service":
        yield _by_columns("select", selectable(table, access), name, f"to {ident(roles.authenticated)};")
    yield f"grant select on {name} to {idents([roles.service, roles.backup])};"
    columns = _definer_columns(project, table)
    if columns:
        yield _by_columns("select", columns, name, f"to {ident(roles.definer)};")


def _by_columns(right: str, columns: tuple[str, ...], name: str, rest: str) -> str:
    return f"grant {_column_list(right, columns)}\n    on {name} {rest}"


def _column_list(right: str, columns: tuple[str, ...]) -> str:
    lines, line = [], f"{right} ("
    for position, column in enumerate(columns):
        piece = ident(column) + (", " if position < len(columns) - 1 else ")")
        if len(line) + len(piece) > 112:
            lines.append(line.rstrip())
            line = "    "
        line += piece
    return "\n".join([*lines, line])


def _definer_columns(project: Project, table: Table) -> tuple[str, ...]:
    """The columns that the context functions read, in the table's order; empty for the tables that they do not read."""
    manifest = project.manifest
    needed: set[str] = set()
    if table.name == manifest.tenant.table:
        needed |= {ROW_ID, *_columns_in(manifest.tenant.active, table)}
    if table.name == manifest.membership.table:
        membership = manifest.membership
        needed |= {manifest.tenant.column, membership.profile, membership.role, *_columns_in(membership.active, table)}
    if manifest.users is not None and table.name == manifest.users.profile:
        needed |= {ROW_ID, manifest.users.account}
    return tuple(column.name for column in table.columns if column.name in needed)


class _Names(Visitor):
    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_ColumnRef(self, _ancestors: object, node: ast.ColumnRef) -> None:
        self.found.update(part.sval or "" for part in node.fields or () if isinstance(part, ast.String))


def _columns_in(expression: str | None, table: Table) -> set[str]:
    names = _Names()
    if expression is not None:
        names(pglast.parse_sql(f"select ({expression})"))
    return {column.name for column in table.columns if column.name in names.found}


def _access(project: Project, table: Table) -> Access | None:
    """A partition is reached through its parent, and so has no access of its own."""
    rule = project.manifest.tables.get(table.name)
    return None if rule is None or table.partition_of is not None else rule.access


# -- writes -----------------------------------------------------------------------------------------------------------


def _writes(project: Project, preposition: str) -> Iterator[str]:
    roles = project.manifest.database_roles
    client, service = ident(roles.authenticated), ident(roles.service)
    born_in: set[str] = set()
    for table in project.target.tables:
        name = ident(table.schema, table.name)
        yield f"insert, update, delete on {name} {preposition} {service};"
        access = _access(project, table)
        if access is None:
            continue
        columns = insertable(table)
        if access.insert != "service" and columns:
            born_in.add(table.name)
            yield f"{_column_list('insert', columns)}\n    on {name} {preposition} {client};"
        columns = updatable(project, table)
        if access.update != "service" and columns:
            yield f"{_column_list('update', columns)}\n    on {name} {preposition} {client};"
        if access.delete != "service":
            yield f"delete on {name} {preposition} {client};"
    for sequence in project.target.sequences:
        callers = [service] + ([client] if sequence.owned_by is not None and sequence.owned_by[0] in born_in else [])
        yield f"usage on sequence {ident(sequence.schema, sequence.name)} {preposition} {', '.join(callers)};"


# -- views ------------------------------------------------------------------------------------------------------------


def _check_views(project: Project) -> None:
    places = Places(str(project.manifest.path), project.manifest.text)
    problems = [
        places.problem(
            ("target", "files"),
            f"the view {view.name} shows everybody what its owner may see; create it WITH (security_invoker = true)",
        )
        for view in project.target.views
        if not view.materialized and not is_invoker(view)
    ]
    if problems:
        raise ManifestError(problems)


def is_invoker(view: View) -> bool:
    """Whether a view reads its tables with the rights, and under the policies, of who asks."""
    options = dict(option.partition("=")[::2] for option in view.options)
    return options.get("security_invoker", "false").lower() in ("true", "on", "yes", "1")


def _view(project: Project, view: View) -> TableSecurity:
    """Clients read views, but never materialized ones, which hold the rows of all tenants and have no policies."""
    roles = project.manifest.database_roles
    name = ident(view.schema, view.name)
    everybody = idents([roles.anon, roles.authenticated, roles.service, roles.definer, roles.backup])
    readers = [roles.service, roles.backup] if view.materialized else [roles.authenticated, roles.service, roles.backup]
    revoke = f"revoke all on {name} from"
    return TableSecurity(
        view.name,
        (f"{revoke} public, {everybody};", f"grant select on {name} to {idents(readers)};"),
        (f"{revoke} {everybody};",),
    )
