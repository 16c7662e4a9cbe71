"""The roles of the cluster: the script that makes them, and the missing ones."""

from __future__ import annotations

import re
from typing import Any

import psycopg

from tenantry.manifest import Manifest, Named
from tenantry.postgres import literal, load_sql
from tenantry.postgres.stated import STATED

PINNED = {**STATED, "idle_session_timeout": "0", "default_transaction_read_only": "off"}
"""Settings that the script gives the login in the database. Without `role`: parallel workers would mistake it for the transaction's."""


def roles_sql(manifest: Manifest | Named, *, owner: str, database: str | None) -> str:
    """Return the script that makes the roles, for PostgreSQL 15 and newer; it can be run again, from any database.

    Args:
        owner: the role that owns, or will own, the tables of the target, and that runs the migration.
        database: the database whose temporary tables are closed to PUBLIC; None: the one in which the script is run.
    """
    names = {**manifest.database_roles.model_dump(), "owner": owner}
    stated = ",\n                ".join(f"({literal(name)}, {literal(value)})" for name, value in PINNED.items())
    given = {
        **{name: literal(value) for name, value in names.items()},
        "database": "current_database()" if database is None else literal(database),
        "stated": stated,
    }
    return re.sub(r"\{(\w+)\}", lambda found: given[found[1]], load_sql("tenantry.access.sql", "roles"))


def make_roles(connection: psycopg.Connection[Any], script: str) -> None:
    """Run the script of roles_sql(); the login must be a superuser, or have CREATEROLE."""
    connection.execute(script.encode())


def missing_roles(conn: psycopg.Connection[Any], manifest: Manifest) -> tuple[str, ...]:
    """Return the roles that the manifest names and the cluster lacks, in the manifest's order."""
    wanted = list(manifest.database_roles.model_dump().values())
    found = {row[0] for row in conn.execute("select rolname::text from pg_roles where rolname = any (%s)", [wanted])}
    return tuple(name for name in wanted if name not in found)
