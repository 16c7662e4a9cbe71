"""What a plan must know of the server besides the two schemas; gathered once, passed in as a value."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import psycopg


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


def read_environment(connection: psycopg.Connection[tuple[object, ...]]) -> Environment:
    """The facts, in one round trip."""
    sql = resources.files("tenantry.plan").joinpath("environment.sql").read_text()
    row = connection.execute(sql).fetchone()
    assert row is not None
    return Environment(str(row[0]), str(row[1]), str(row[2]), int(str(row[3])), bool(row[4]), bool(row[5]))
