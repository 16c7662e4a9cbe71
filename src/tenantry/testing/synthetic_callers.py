"""Makes accounts, profiles and memberships for callers that a test does not name; they are rolled back with its transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import psycopg

from tenantry.catalog import Table
from tenantry.errors import SettingsError, nearest
from tenantry.manifest import Manifest
from tenantry.mapping import Project
from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident, verbatim
from tenantry.prove.fixtures.row_factory import CannotMake, RowFactory, Values
from tenantry.testing.callers import Found, Who

_MAIL = "tenantry-test.invalid"


def make_caller(connection: psycopg.Connection[Any], project: Project, who: Who) -> Found:
    _check_names(project.manifest, who)
    if not who.account:
        return Found()
    user = who.user or str(uuid4())
    if who.user is None:
        _account(connection, project.manifest, user, is_super=who.is_super)
    elif connection.execute("select from auth.users where id::text = %s", [user.lower()]).fetchone() is None:
        raise SettingsError(
            f"There is no account {user} in auth.users.",
            hint="Pass one that exists, or leave user out: then an account is created and removed with the block.",
        )
    profile = _profile(connection, project, user)
    tenants = [
        _membership(connection, project, profile, user, _tenant(connection, project, tenant), role)
        for tenant, role in who.memberships
    ]
    return Found(user, profile, tenants[0] if tenants else None)


_OTHERS = {"super": "as_super_admin", "super_admin": "as_super_admin", "super admin": "as_super_admin",
           "anon": "as_anon", "public": "as_anon", "service": "as_service", "service_role": "as_service",
           "signed_in": "as_user, without a role,", "authenticated": "as_user, without a role,"}  # fmt: skip


def _check_names(manifest: Manifest, who: Who) -> None:
    order = manifest.roles.order
    for _, role in who.memberships:
        if role in order:
            continue
        near = nearest(role, order)
        other = _OTHERS.get(role.lower())
        suggestion = f"Did you mean {near!r}? " if near else f"{other} is for that. " if other else ""
        raise SettingsError(
            f"The manifest has no tenant role {role!r}.", hint=f"{suggestion}Its roles are {', '.join(order)}."
        )


def _account(connection: psycopg.Connection[Any], manifest: Manifest, user: str, *, is_super: bool) -> None:
    role = manifest.database_roles.authenticated
    connection.execute(
        "insert into auth.users (id, aud, role, email, raw_app_meta_data) values (%s, %s, %s, %s, %s)",
        [user, role, role, f"{user}@{_MAIL}", json.dumps({"super_admin": True} if is_super else {})],
    )


def _profile(connection: psycopg.Connection[Any], project: Project, user: str) -> str:
    """Return the account's profile, which a trigger of the application may have created already."""
    users = project.manifest.users
    if users is None:
        return user
    table = _table(project, users.profile)
    found = connection.execute(
        f"select {ident(ROW_ID)}::text from {verbatim(ident(table.schema, table.name))}"
        f" where {verbatim(ident(users.account))}::text = %s".encode(),
        [user.lower()],
    ).fetchone()
    if found is not None:
        return str(found[0])
    made = _insert(connection, project, table, {users.account: user}, {}, user, "a profile for the account")
    return made[ROW_ID] or ""


def _tenant(connection: psycopg.Connection[Any], project: Project, tenant: str | None) -> str:
    table = _table(project, project.manifest.tenant.table)
    if tenant is None:
        return _insert(connection, project, table, {}, {}, "", "a tenant; name one with tenant=…")[ROW_ID] or ""
    row = connection.execute(
        f"select {ident(ROW_ID)}::text from {verbatim(ident(table.schema, table.name))} where {ident(ROW_ID)}::text = %s".encode(),
        [tenant.lower()],
    ).fetchone()
    if row is None:
        raise SettingsError(
            f"There is no tenant {tenant} in {table.schema}.{table.name}.",
            hint="Pass the id of one that exists, or leave tenant out: then one is created and removed with the block.",
        )
    return str(row[0])


def _membership(
    connection: psycopg.Connection[Any], project: Project, profile: str, user: str, tenant: str, role: str
) -> str:
    """Give the caller a role in a tenant, and return the tenant."""
    manifest = project.manifest
    names, table = manifest.membership, _table(project, manifest.membership.table)
    held = connection.execute(
        f"select {verbatim(ident(names.role))}::text from {verbatim(ident(table.schema, table.name))}"
        f" where {verbatim(ident(manifest.tenant.column))}::text = %s and {verbatim(ident(names.profile))}::text = %s".encode(),
        [tenant, profile],
    ).fetchall()
    if not held:
        given: Values = {manifest.tenant.column: tenant, names.profile: profile, names.role: role}
        known = {manifest.tenant.table: tenant}
        if manifest.users is not None:
            known[manifest.users.profile] = profile
        _insert(connection, project, table, given, known, user, "a membership")
    elif (role,) not in held:
        raise SettingsError(
            f"The account {user} is already {held[0][0]} of tenant {tenant}, not {role}.",
            hint="Leave role and tenant out to act with the memberships that the account has, or leave user out.",
        )
    return tenant


def _table(project: Project, name: str) -> Table:
    found = project.target.table(name)
    if found is None:
        raise SettingsError(
            f"There is no table {name} in schema {project.target.schema}.",
            hint="Fix the manifest, or create the table.",
        )
    return found


def _insert(
    connection: psycopg.Connection[Any],
    project: Project,
    table: Table,
    given: Values,
    known: Mapping[str, str],
    user: str,
    what: str,
) -> Values:
    """Insert a row with the given values and all others that the table requires.

    Args:
        known: ids of rows to reference, by table; in other tables it may reference any row.
    """
    manifest = project.manifest
    rows = {
        key.ref_table: _rows(connection, project, key.ref_table, known.get(key.ref_table), given)
        for key in table.foreign_keys
        if key.ref_schema == project.target.schema and key.ref_table is not None
    }
    conditions = {manifest.tenant.table: manifest.tenant.active, manifest.membership.table: manifest.membership.active}
    maker = RowFactory(
        connection, project.target, rows, [user] if user else [], {name: sql for name, sql in conditions.items() if sql}
    )
    try:
        return maker.insert(table, given)
    except CannotMake as error:
        raise SettingsError(
            f"No row of {table.schema}.{table.name} could be created for {what}: {error}.",
            hint="Insert it yourself over a connection, and pass that connection and the ids to the block.",
        ) from None


def _rows(
    connection: psycopg.Connection[Any], project: Project, name: str, known: str | None, given: Values
) -> list[Values]:
    table = _table(project, name)
    columns = ", ".join(f"{ident(column.name)}::text" for column in table.columns)
    tenant = project.manifest.tenant.column
    where, values = "true", list[str | None]()
    if known is not None:
        where, values = f"{ident(ROW_ID)}::text = %s", [known]
    elif project.scoped(name) and tenant in given:
        where, values = f"{ident(tenant)}::text = %s", [given[tenant]]
    query = f"select {columns} from {ident(table.schema, name)} where {where} limit 5"
    found = connection.execute(query.encode(), values).fetchall()
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in found]


__all__ = ["make_caller"]
