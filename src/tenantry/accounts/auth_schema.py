"""Schema auth: whose it is, and how one that an earlier version made is brought up to date."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import psycopg

from tenantry.errors import RightsMissing, TenantryError
from tenantry.postgres import explain, load_sql

_SQL = "tenantry.accounts.sql"

TABLES = (
    "users",
    "identities",
    "mfa_factors",
    "mfa_challenges",
    "sessions",
    "mfa_amr_claims",
    "refresh_tokens",
    "one_time_tokens",
    "flow_state",
    "audit_log_entries",
)
"""What auth.sql makes, in the order of its foreign keys."""


class AuthSchema(StrEnum):
    """What there is of accounts in a database."""

    MISSING = "missing"
    """There is no schema auth."""
    OURS = "ours"
    """Tenantry made it, and it is complete."""
    OLDER = "older"
    """An earlier version of Tenantry made it: tables, or the rule that tokens are never null, are missing."""
    FOREIGN = "foreign"
    """Somebody else made it, as a Supabase: it is used as it stands."""


def auth_script() -> str:
    """The SQL that makes or completes the schema; to be run in one transaction by its owner-to-be. It refuses a schema that
    somebody else made."""
    return load_sql(_SQL, "auth")


def drop_auth_script() -> str:
    """The SQL that takes the schema away again, where Tenantry made it."""
    return load_sql(_SQL, "drop_auth")


def read_auth_schema(connection: psycopg.Connection[Any]) -> AuthSchema:
    """Whose schema auth is. Only reads."""
    row = connection.execute(load_sql(_SQL, "auth_state"), {"tables": list(TABLES)}).fetchone()
    assert row is not None
    return AuthSchema(row[0])


def complete_auth_schema(connection: psycopg.Connection[Any]) -> AuthSchema:
    """Make schema auth where there is none, and complete one that an earlier version of Tenantry made. Returns what was there
    before; a foreign one is left as it is.

    Takes ACCESS EXCLUSIVE on auth.users for a moment where token columns may be null yet.

    Raises:
        RightsMissing: the login may not create it, or does not own it.
    """
    found = read_auth_schema(connection)
    if found in (AuthSchema.OURS, AuthSchema.FOREIGN):
        return found
    try:
        with connection.transaction():
            connection.execute(auth_script().encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise RightsMissing(
            f"The login may not create or complete schema auth: {error.diag.message_primary}.",
            hint="Run the same command as the owner of schema auth. If there is no schema auth: GRANT CREATE ON DATABASE … TO ….",
        ) from None
    except psycopg.Error as error:
        refused: TenantryError = explain(error, "completing schema auth")
        raise refused from error
    return found


__all__ = ["TABLES", "AuthSchema", "auth_script", "complete_auth_schema", "drop_auth_script", "read_auth_schema"]
