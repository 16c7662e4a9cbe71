"""Schema auth: who created it, and how to complete one that an earlier version made."""

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
"""The tables that auth.sql creates, in the order of their foreign keys."""


class AuthSchema(StrEnum):
    """The state of schema auth in a database."""

    MISSING = "missing"
    """Schema auth does not exist."""
    OURS = "ours"
    """Tenantry created it, and it is complete."""
    OLDER = "older"
    """An earlier version of Tenantry created it: tables, or the constraint that tokens are never null, are missing."""
    FOREIGN = "foreign"
    """Another system, such as Supabase, created it: it is used without changes."""


def auth_script() -> str:
    """Return the SQL that creates or completes the schema, to be run in one transaction by its future owner. It rejects a
    schema that another system created."""
    return load_sql(_SQL, "auth")


def drop_auth_script() -> str:
    """Return the SQL that drops the schema if Tenantry created it."""
    return load_sql(_SQL, "drop_auth")


def read_auth_schema(connection: psycopg.Connection[Any]) -> AuthSchema:
    """Determine who created schema auth. Only reads."""
    row = connection.execute(load_sql(_SQL, "auth_state"), {"tables": list(TABLES)}).fetchone()
    assert row is not None
    return AuthSchema(row[0])


def complete_auth_schema(connection: psycopg.Connection[Any]) -> AuthSchema:
    """Create schema auth if it is missing, or complete one that an earlier version of Tenantry created. Returns the state
    before; a foreign schema is not changed.

    Takes ACCESS EXCLUSIVE on auth.users for a moment if its token columns can still be null.

    Raises:
        RightsMissing: the login must not create the schema, or does not own it.
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
