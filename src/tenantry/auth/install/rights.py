"""The rights of the server's login: every one of them, and how they differ from what the database has. Pure, but for read_rights()."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from tenantry.postgres import ident, idents, load_blocks

LOGIN = "tenantry_auth_server"
"""Default name of the login that the server uses."""


@dataclass(frozen=True, slots=True, order=True)
class ServerRight:
    """One privilege of the login.

    Attributes:
        kind: schema, table, sequence, function.
        name: qualified where the object is in a schema; a function with its argument types.
        privilege: select, insert, update, delete, usage, execute.
        columns: empty: the whole table.
    """

    kind: str
    name: str
    privilege: str
    columns: tuple[str, ...] = ()

    def grant(self, login: str) -> str:
        listed = f" ({idents(self.columns)})" if self.columns else ""
        return f"grant {self.privilege}{listed} on {self.kind} {self.name} to {ident(login)}"

    def __str__(self) -> str:
        listed = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"{self.privilege}{listed} on {self.kind} {self.name}"


_TOKENS = (
    "confirmation_token confirmation_sent_at recovery_token recovery_sent_at email_change_token_new email_change_token_current email_change"
    " email_change_sent_at email_change_confirm_status phone_change phone_change_token phone_change_sent_at reauthentication_token"
    " reauthentication_sent_at"
)
_USER = (
    "aud role email encrypted_password email_confirmed_at invited_at phone phone_confirmed_at banned_until raw_app_meta_data raw_user_meta_data"
    f" is_anonymous updated_at last_sign_in_at deleted_at {_TOKENS}"
)
_IDENTITY = "provider_id identity_data last_sign_in_at updated_at"
_SESSION = "updated_at factor_id aal not_after refreshed_at user_agent ip tag"

# What may be inserted, and updated, by column; then what may be done with whole rows. Never is_super_admin, is_sso_user, or another id.
_TABLES: tuple[tuple[str, str, str, str], ...] = (
    ("auth.users", f"instance_id id created_at {_USER}", _USER, "select delete"),
    ("auth.identities", f"id user_id provider created_at {_IDENTITY}", _IDENTITY, "select delete"),
    ("auth.sessions", f"id user_id created_at {_SESSION}", _SESSION, "select delete"),
    (
        "auth.refresh_tokens",
        "instance_id token user_id revoked created_at updated_at parent session_id",
        "revoked updated_at",
        "select",
    ),
    (
        "auth.mfa_amr_claims",
        "id session_id created_at updated_at authentication_method",
        "updated_at",
        "select delete",
    ),
    (
        "auth.mfa_factors",
        "id user_id friendly_name factor_type status created_at updated_at secret",
        "friendly_name status updated_at last_challenged_at",
        "select delete",
    ),
    ("auth.mfa_challenges", "id factor_id created_at ip_address", "verified_at", "select delete"),
    (
        "auth.one_time_tokens",
        "id user_id token_type token_hash relates_to created_at updated_at",
        "token_hash relates_to created_at updated_at",
        "select delete",
    ),
    (
        "auth.flow_state",
        "id user_id auth_code code_challenge_method code_challenge provider_type created_at updated_at authentication_method",
        "user_id auth_code auth_code_issued_at updated_at",
        "select delete",
    ),
    # The log is only added to.
    ("auth.audit_log_entries", "instance_id id payload created_at ip_address", "", "select"),
    ("tenantry_auth.rate_limits", "key tat", "tat", "select delete"),
)
POLICED = tuple(name for name, *_ in _TABLES)
"""Tables whose rows a policy gives to the login: row-level security is on in schema auth, and may be put on everywhere by a trigger."""


def wanted_rights(functions: Iterable[str]) -> frozenset[ServerRight]:
    """Return the rights that the login needs.

    Args:
        functions: those of schema tenantry_auth, with their argument types.
    """
    found = {ServerRight("schema", "auth", "usage"), ServerRight("schema", "tenantry_auth", "usage")}
    for table, inserted, updated, whole in _TABLES:
        found |= {ServerRight("table", table, privilege) for privilege in whole.split()}
        for privilege, columns in (("insert", inserted), ("update", updated)):
            if columns:
                found.add(ServerRight("table", table, privilege, tuple(sorted(columns.split()))))
    found.add(ServerRight("sequence", "auth.refresh_tokens_id_seq", "usage"))
    return frozenset(found | {ServerRight("function", each, "execute") for each in functions})


def read_functions(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Return the functions of schema tenantry_auth, qualified, with their argument types."""
    return tuple(str(name) for (name,) in connection.execute(_block("functions")).fetchall())


def read_rights(connection: psycopg.Connection[Any], login: str) -> frozenset[ServerRight]:
    """Return all privileges in this database that are granted to the login itself, outside of the system's schemas."""
    columns: dict[tuple[str, str, str], list[str]] = {}
    found = set()
    for kind, name, privilege, column in connection.execute(_block("rights"), {"login": login}).fetchall():
        if column:
            columns.setdefault((kind, name, privilege), []).append(column)
        else:
            found.add(ServerRight(kind, name, privilege))
    return frozenset(found | {ServerRight(*key, tuple(sorted(names))) for key, names in columns.items()})


def policies_sql(login: str, existing: Iterable[str] = ()) -> list[str]:
    """Return the statements that give the login the rows of the tables with row-level security.

    Args:
        existing: tables that have the policy.
    """
    return [
        f"create policy {ident(login)} on {table} to {ident(login)} using (true) with check (true)"
        for table in POLICED
        if table not in set(existing)
    ]


def read_policies(connection: psycopg.Connection[Any], login: str) -> tuple[str, ...]:
    """Return the tables that have the login's policy."""
    return tuple(str(name) for (name,) in connection.execute(_block("policies"), {"login": login}).fetchall())


def _block(name: str) -> str:
    return load_blocks("tenantry.auth.install.sql", "state")[name]
