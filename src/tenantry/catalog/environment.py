"""What a plan must know of the server besides the two schemas; gathered once, passed in as a value."""

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
    """session_user: by it Tenantry's own writes are told from those of applications."""
    server_version: int
    has_auth: bool
    """There is a table auth.users: a Supabase, or what an earlier run made."""
    owns_auth: bool = False
    auth_triggers: tuple[str, ...] = ()
    """Triggers of others on the tables of schema auth, as `on_auth_user_created on auth.users`."""


def read_environment(connection: psycopg.Connection[tuple[object, ...]]) -> Environment:
    """The facts, in one round trip."""
    sql = load_sql("tenantry.catalog.sql", "environment")
    row = connection.execute(sql).fetchone()
    assert row is not None
    name, user, login, version, has_auth, owns_auth, triggers = row
    assert isinstance(triggers, list)
    return Environment(
        str(name), str(user), str(login), int(str(version)), bool(has_auth), bool(owns_auth), tuple(triggers)
    )
