"""Converts rows of schema auth to the JSON that Supabase Auth's clients read. Pure, except for read_user()."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

Row = Mapping[str, Any]
"""A row by column name, as psycopg.rows.dict_row returns it."""

# Omitted if null; the order is that of Supabase Auth.
_TIMES_BEFORE = ("email_confirmed_at", "invited_at")
_TIMES_AFTER = ("phone_confirmed_at", "confirmation_sent_at", "confirmed_at", "recovery_sent_at")


def user_json(row: Row, identities: Iterable[Row] = (), factors: Iterable[Row] = ()) -> dict[str, Any]:
    """Return a user as clients see it.

    Args:
        row: a whole row of auth.users.
        identities, factors: the user's rows of auth.identities and auth.mfa_factors, in the order in which they are shown.

    Secrets (the password's hash, tokens) are never included.
    """
    shown = [identity_json(identity) for identity in identities]
    steps = [factor_json(factor) for factor in factors]
    return {
        "id": str(row["id"]),
        "aud": row["aud"] or "",
        "role": row["role"] or "",
        "email": row["email"] or "",
        **_times(row, *_TIMES_BEFORE),
        "phone": row["phone"] or "",
        **_times(row, *_TIMES_AFTER),
        **({"new_email": row["email_change"]} if row["email_change"] else {}),
        **_times(row, "email_change_sent_at"),
        **({"new_phone": row["phone_change"]} if row["phone_change"] else {}),
        **_times(row, "phone_change_sent_at", "reauthentication_sent_at", "last_sign_in_at"),
        "app_metadata": row["raw_app_meta_data"] or {},
        "user_metadata": row["raw_user_meta_data"] or {},
        **({"factors": steps} if steps else {}),
        "identities": shown,
        **_times(row, "created_at", "updated_at", "banned_until", "deleted_at"),
        "is_anonymous": bool(row["is_anonymous"]),
    }


def identity_json(row: Row) -> dict[str, Any]:
    """Convert a row of auth.identities: `id` is the provider's id for the user, `identity_id` the row's."""
    email = (row["identity_data"] or {}).get("email")
    return {
        "identity_id": str(row["id"]),
        "id": row["provider_id"],
        "user_id": str(row["user_id"]),
        "identity_data": row["identity_data"] or {},
        "provider": row["provider"],
        **_times(row, "last_sign_in_at", "created_at", "updated_at"),
        **({"email": str(email).lower()} if email else {}),
    }


def factor_json(row: Row) -> dict[str, Any]:
    """Convert a row of auth.mfa_factors, without its secret."""
    return {
        "id": str(row["id"]),
        **_times(row, "created_at", "updated_at"),
        "status": row["status"],
        **({"friendly_name": row["friendly_name"]} if row["friendly_name"] else {}),
        "factor_type": row["factor_type"],
        "phone": row["phone"] or "",
        "last_challenged_at": time_text(row["last_challenged_at"]) if row["last_challenged_at"] is not None else None,
    }


def session_json(
    user: Mapping[str, Any], *, access_token: str, refresh_token: str, expires_in: int, now: datetime
) -> dict[str, Any]:
    """Return the response to a sign-in. `user` comes from user_json(); `expires_in` counts seconds from `now`."""
    return {
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": expires_in,
        "expires_at": int(now.timestamp()) + expires_in,
        "refresh_token": refresh_token,
        "user": dict(user),
    }


def read_user(connection: psycopg.Connection[Any], user: UUID) -> dict[str, Any] | None:
    """Read a user with identities and factors, as clients see them; None if the id does not exist."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("select * from auth.users where id = %s", [user]).fetchone()
        if row is None:
            return None
        identities = cursor.execute(
            "select * from auth.identities where user_id = %s order by created_at, id", [user]
        ).fetchall()
        factors = cursor.execute(
            "select * from auth.mfa_factors where user_id = %s order by created_at, id", [user]
        ).fetchall()
    return user_json(row, identities, factors)


def _times(row: Row, *names: str) -> dict[str, str]:
    return {name: time_text(row[name]) for name in names if row[name] is not None}


def time_text(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC with as many fractional digits as it has: 2026-02-03T04:05:06.07Z."""
    utc = moment.astimezone(UTC)
    digits = f".{utc.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{utc:%Y-%m-%dT%H:%M:%S}{digits}Z"


__all__ = ["Row", "factor_json", "identity_json", "read_user", "session_json", "time_text", "user_json"]
