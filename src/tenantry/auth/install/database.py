"""Prepares a database for the sign-in server, and says what was missing. Run again, it changes nothing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg

from tenantry.accounts.auth_schema import AuthSchema, auth_script, complete_auth_schema, read_auth_schema
from tenantry.auth.errors import AuthSchemaForeign, ServerLoginUnfit
from tenantry.auth.install.rights import (
    ServerRight,
    policies_sql,
    read_functions,
    read_policies,
    read_rights,
    wanted_rights,
)
from tenantry.auth.verify.sessions import session_alive_script
from tenantry.errors import RightsMissing
from tenantry.postgres import comment, ident, literal, load_blocks, load_sql

_SQL = "tenantry.auth.install.sql"
_LOCK = 7304871220352
"""Advisory lock: two installations at once would create the same objects."""
_SCRIPTS = ("server_tables", "functions")


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation found and did.

    Attributes:
        schema: the state of schema auth before.
        created_login: the login did not exist.
        granted: rights that the login lacked.
        excess: rights that the login has and does not need; they stay.
    """

    schema: AuthSchema
    created_tables: bool
    created_login: bool
    set_password: bool
    granted: tuple[ServerRight, ...]
    policies: int
    excess: tuple[ServerRight, ...]

    @property
    def changed(self) -> bool:
        return (
            self.schema is not AuthSchema.OURS
            or self.created_tables
            or self.created_login
            or self.set_password
            or bool(self.granted or self.policies)
        )


def need_own_schema(connection: psycopg.Connection[Any]) -> AuthSchema:
    """Return the state of schema auth, which the sign-in server may serve.

    Raises:
        AuthSchemaForeign: another system made it.
    """
    found = read_auth_schema(connection)
    if found is AuthSchema.FOREIGN:
        raise AuthSchemaForeign(
            "Schema auth of this database belongs to another system, such as Supabase Auth, which serves sign-in there. Nothing was"
            " changed.",
            hint="Use that server, and verify its tokens with tenantry.auth.verify. If the schema is a leftover, rename or drop it.",
        )
    return found


def login_exists(connection: psycopg.Connection[Any], login: str) -> bool:
    """Return whether the role exists.

    Raises:
        ServerLoginUnfit: it exists and has more power than the server's login may have, or cannot log in.
    """
    row = connection.execute(load_blocks(_SQL, "state")["login"], {"login": login}).fetchone()
    if row is None:
        return False
    may_log_in, reasons = row
    found = list(reasons) if may_log_in else ["it cannot log in", *reasons]
    if found:
        raise ServerLoginUnfit(
            f"Role {login} cannot be the login of the sign-in server: {'; '.join(found)}. Nothing was changed.",
            hint="Name another one with --login, which is created, or take that power from this role.",
        )
    return True


def install_database(connection: psycopg.Connection[Any], login: str, password: str | None) -> Installed:
    """Create or complete schema auth, the server's tables, its login and the login's rights.

    Args:
        password: for a new login, or a new one for an existing login; None: an existing login keeps its own. The server gets a SCRAM
            verifier only: its logs cannot hold the password.

    Raises:
        AuthSchemaForeign
        ServerLoginUnfit
        RightsMissing: this role may not create schemas or roles.
    """
    try:
        need_own_schema(connection)
        _need_power(connection, login, exists=login_exists(connection, login))
        schema = complete_auth_schema(connection)
        with connection.transaction():
            return _install(connection, schema, login, password)
    except psycopg.errors.InsufficientPrivilege as error:
        raise RightsMissing(
            f"This role may not prepare the database: {error.diag.message_primary}.",
            hint="Run the command as the owner of schema auth, with CREATEROLE, or give a DBA the script of `tenantry auth init --sql`.",
        ) from None


def _install(connection: psycopg.Connection[Any], schema: AuthSchema, login: str, password: str | None) -> Installed:
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    exists = login_exists(connection, login)
    had_tables, had_functions = _state(connection)[0], read_functions(connection)
    for script in scripts():
        connection.execute(script.encode())
    if not exists:
        connection.execute(_create_login_sql(login).encode())
    if password is not None:
        verifier = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
        connection.execute(f"alter role {ident(login)} password {literal(verifier)}".encode())
    functions = read_functions(connection)
    wanted, present = wanted_rights(functions), read_rights(connection, login)
    missing = tuple(sorted(wanted - present))
    policies = policies_sql(login, read_policies(connection, login))
    for statement in [*(right.grant(login) for right in missing), *policies]:
        connection.execute(statement.encode())
    return Installed(
        schema,
        not had_tables or set(functions) != set(had_functions),
        not exists,
        password is not None,
        missing,
        len(policies),
        tuple(sorted(present - wanted)),
    )


def scripts() -> list[str]:
    """Return the SQL of the server's own tables and functions, and of the functions with which applications ask for sessions."""
    folder = resources.files(_SQL)
    own = [load_sql(_SQL, name) for name in _SCRIPTS if folder.joinpath(f"{name}.sql").is_file()]
    return [*own, session_alive_script()]


def installation_sql(login: str) -> str:
    """Return everything that an installation runs, as one script for a DBA. It can be run again on an installed database."""
    name = literal(login)
    role = _create_login_sql(login)
    grants = "\n".join(f"{right.grant(login)};" for right in sorted(wanted_rights(())) if right.kind != "function")
    policies = "\n".join(
        f"drop policy if exists {ident(login)} on {each.split(' on ')[1].split(' to ')[0]};\n{each};"
        for each in policies_sql(login)
    )
    return "\n".join(
        [
            comment(
                "What `tenantry auth init` runs: schema auth, the sign-in server's tables and functions, its login and its rights."
            ),
            comment(
                "Run it as a role that may create schemas and roles, in one transaction: psql --single-transaction."
            ),
            comment(f"The login has no password yet. Set one that reaches no log, in psql:  \\password {login}"),
            "",
            auth_script().rstrip(),
            "",
            *(each.rstrip() + "\n" for each in scripts()),
            role,
            grants,
            f"grant execute on all functions in schema tenantry_auth to {ident(login)};",
            policies,
            f"select 'installed for ' || {name} as done;",
            "",
        ]
    )


def new_password() -> str:
    """Return a random password that needs no quotes in a URL or a settings file."""
    return secrets.token_urlsafe(32)


def _create_login_sql(login: str) -> str:
    # Roles belong to the cluster: an installation in another database may create it in the same moment.
    return f"""\
do $$
begin
    if to_regrole({literal(ident(login))}) is null then
        create role {ident(login)} login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
    end if;
exception when duplicate_object or unique_violation then
    null;
end
$$;"""


def _state(connection: psycopg.Connection[Any]) -> tuple[bool, bool, bool, str, str]:
    row = connection.execute(load_blocks(_SQL, "state")["server"]).fetchone()
    assert row is not None
    return bool(row[0]), bool(row[1]), bool(row[2]), str(row[3]), str(row[4])


def _need_power(connection: psycopg.Connection[Any], login: str, *, exists: bool) -> None:
    tables, may_create, may_create_roles, database, role = _state(connection)
    if not tables and not may_create:
        raise RightsMissing(
            f"Role {role} may not create schemas in database {database}. Nothing was changed.",
            hint=f"Run `GRANT CREATE ON DATABASE {ident(database)} TO {ident(role)}` as its owner, or run the command as the owner.",
        )
    if not exists and not may_create_roles:
        raise RightsMissing(
            f"Role {role} may not create the login {login}. Nothing was changed.",
            hint="Run the command as a role with CREATEROLE, or let a DBA run the script of `tenantry auth init --sql`.",
        )
