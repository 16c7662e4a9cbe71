"""Facts about the server, besides the two schemas, that a plan needs; read once, passed on as a value."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from tenantry.postgres.sql import load_sql


@dataclass(frozen=True, slots=True)
class Environment:
    """Facts about a database."""

    database: str
    user: str
    login: str
    """session_user: distinguishes Tenantry's own writes from those of applications."""
    server_version: int
    has_auth: bool
    """Whether the table auth.users exists: from Supabase, or from an earlier run."""
    owns_auth: bool = False
    auth_triggers: tuple[str, ...] = ()
    """Triggers that others created on the tables of schema auth, such as `on_auth_user_created on auth.users`."""


def read_environment(connection: psycopg.Connection[tuple[object, ...]]) -> Environment:
    """Read the facts in one round trip."""
    sql = load_sql("tenantry.catalog.sql", "environment")
    row = connection.execute(sql).fetchone()
    assert row is not None
    name, user, login, version, has_auth, owns_auth, triggers = row
    assert isinstance(triggers, list)
    return Environment(
        str(name), str(user), str(login), int(str(version)), bool(has_auth), bool(owns_auth), tuple(triggers)
    )
