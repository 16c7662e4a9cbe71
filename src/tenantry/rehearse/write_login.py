"""Logins of synthetic writes: other ones than the login that migrates, whose writes are not captured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tenantry.journal.journal import Connection
from tenantry.manifest import Manifest
from tenantry.postgres import ident, load_blocks


class CannotWrite(Exception):
    """There is no login for synthetic writes; the text says why."""


def login_address(copy_dsn: str, manifest: Manifest, login_dsn: str | None) -> str:
    """Return how the API's login connects to the copy: with the given name and password, otherwise with the manifest's name."""
    parts = {
        key: value for key, value in conninfo_to_dict(copy_dsn).items() if key not in ("user", "password", "options")
    }
    given = conninfo_to_dict(login_dsn) if login_dsn else {}
    parts["user"] = given.get("user") or manifest.database_roles.login
    if given.get("password"):
        parts["password"] = given["password"]
    return make_conninfo(**{key: str(value) for key, value in parts.items() if value is not None})


@contextmanager
def opened(copy_dsn: str, manifest: Manifest, login_dsn: str | None, role: str | None = None) -> Iterator[Connection]:
    """Open a connection whose session_user is not the migrator.

    Args:
        role: the role to set.

    Raises:
        CannotWrite: the login failed.
    """
    name = manifest.database_roles.login
    address, application, become = login_address(copy_dsn, manifest, login_dsn), "rehearsal writer", ""
    with psycopg.connect(copy_dsn, autocommit=True, application_name="tenantry: rehearsal") as migrator:
        row = migrator.execute(
            "select session_user, (select rolsuper from pg_roles where rolname = session_user)"
        ).fetchone()
    assert row is not None
    if row[1] and login_dsn is None:
        # A superuser can become any login without its password.
        address, application, become = (
            copy_dsn,
            "tenantry: rehearsal writer",
            f"set session authorization {ident(name)}",
        )
    elif conninfo_to_dict(address).get("user") == row[0]:
        raise CannotWrite(f"{row[0]} is the login that migrates: its writes are not captured")
    try:
        connection = psycopg.connect(address, autocommit=True, application_name=application, connect_timeout=10)
    except psycopg.Error as error:
        raise CannotWrite(
            f"the login {name} cannot connect ({(str(error).strip().splitlines() or ['?'])[-1]})"
        ) from None
    with connection:
        for statement in ("reset role" if become else "", become, f"set role {ident(role)}" if role else ""):
            if statement:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    raise CannotWrite(f"{error.diag.message_primary}") from None
        connection.execute("set statement_timeout = '30s'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'")
        yield connection


@contextmanager
def allowed(connection: Connection, schema: str, role: str) -> Iterator[None]:
    """Let a role write a schema's tables, as far as the migrator may grant that."""
    statements = connection.execute(
        load_blocks("tenantry.rehearse", "synthetic_writes")["rights"], {"schema": schema, "role": role}
    ).fetchall()
    for grant, _ in statements:
        connection.execute(str(grant).encode())
    try:
        yield
    finally:
        if not connection.closed:
            for _, revoke in reversed(statements):
                connection.execute(str(revoke).encode())
