"""The hook that edits the claims of access tokens: a SQL function of the owner, as Supabase Auth calls it."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tenantry.auth.server.database import Unit
from tenantry.auth.server.failures import SignInRefused

SECONDS = 2
"""How long the function may take."""

_REQUIRED = ("aud", "exp", "iat", "sub", "email", "phone", "role", "aal", "session_id", "is_anonymous")
_log = logging.getLogger("tenantry.auth")


async def edited_claims(
    unit: Unit, function: tuple[str, str], account: UUID, claims: dict[str, Any], method: str
) -> dict[str, Any]:
    """Return the claims that the function returns for these. To be called in a transaction: a failing hook undoes the sign-in.

    Raises:
        SignInRefused: what the function answers as `{"error": {"http_code", "message"}}`; 500 where it fails, takes too long, or leaves
            out a claim that every token has; sub, session_id, exp and iat cannot be changed.
    """
    event = Jsonb({"user_id": str(account), "claims": claims, "authentication_method": method})
    call = sql.SQL("select {}(%s) as answer").format(sql.Identifier(*function))
    try:
        await unit.connection.execute(f"set local statement_timeout = '{SECONDS}s'")
        cursor = await unit.connection.execute(call, [event])
        row = await cursor.fetchone()
    except psycopg.errors.QueryCanceled:
        raise SignInRefused(
            422, "hook_timeout", f"Failed to reach hook within maximum time of {SECONDS} seconds"
        ) from None
    except psycopg.Error as problem:
        _log.error("the hook %s failed: SQLSTATE %s", ".".join(function), problem.sqlstate)
        raise SignInRefused(500, "unexpected_failure", "Error running hook") from None
    await unit.connection.execute("reset statement_timeout")
    answer = row["answer"] if row else None
    if not isinstance(answer, dict):
        raise _unusable("the hook returned no object")
    error = answer.get("error")
    if isinstance(error, dict) and (error.get("message") or error.get("http_code")):
        status = error.get("http_code")
        told = status if isinstance(status, int) and 400 <= status < 600 else 500
        raise SignInRefused(told, "unexpected_failure", str(error.get("message") or "Hook error"))
    edited = answer.get("claims")
    if not isinstance(edited, dict):
        raise _unusable("output claims field is missing")
    missing = [name for name in _REQUIRED if name not in edited]
    if missing:
        raise _unusable(f"output claims do not conform to the expected schema: {', '.join(missing)} is required")
    return {**edited, **{name: claims[name] for name in ("iss", "sub", "session_id", "iat", "exp")}}


def _unusable(reason: str) -> SignInRefused:
    return SignInRefused(500, "unexpected_failure", reason)


__all__ = ["edited_claims"]
