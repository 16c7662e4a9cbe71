"""Whether the session of a verified token is still alive, asked of the database that has it.

The functions are those of session_alive_script(). tenant(…, check_session=True) asks in the round trip that opens the
transaction; the functions here ask on any connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from tenantry.auth.verify.caller import VerifiedCaller
from tenantry.errors import SessionEnded
from tenantry.postgres import ident, load_sql

_ALIVE: LiteralString = "select tenantry_auth.auth_session_alive(%s, %s)"


def session_alive_script(*logins: str) -> str:
    """Return the SQL that creates the functions, and lets these logins of applications call them.

    Repeatable; to be run in one transaction by the owner of schema auth, or on a Supabase by postgres.
    """
    functions = ", ".join(f"tenantry_auth.{name}(uuid, uuid)" for name in ("auth_session_alive", "require_session"))
    grants = [
        f"grant usage on schema tenantry_auth to {ident(login)};\ngrant execute on function {functions} to {ident(login)};\n"
        for login in logins
    ]
    return "\n".join([load_sql("tenantry.auth.verify.sql", "session_alive"), *grants])


def require_session(connection: psycopg.Connection[Any], caller: VerifiedCaller) -> None:
    """Check that the caller's session is alive, in one statement.

    Raises:
        SessionEnded: they signed out, were banned or deleted, or the token names no session.
        psycopg.Error: the database cannot tell.
    """
    cursor = psycopg.Cursor(connection, row_factory=tuple_row).execute(_ALIVE, _named(caller))
    _check(cursor.fetchone())


async def async_require_session(connection: psycopg.AsyncConnection[Any], caller: VerifiedCaller) -> None:
    """Like require_session(), over an asynchronous connection."""
    cursor = await psycopg.AsyncCursor(connection, row_factory=tuple_row).execute(_ALIVE, _named(caller))
    _check(await cursor.fetchone())


def session_check(pool: AsyncConnectionPool[Any]) -> Callable[[VerifiedCaller], Awaitable[None]]:
    """Return a check for TokenMiddleware and TokenGuard: one round trip for each request, on a connection of this pool."""

    async def check(caller: VerifiedCaller) -> None:
        _named(caller)
        async with pool.connection() as connection:
            await async_require_session(connection, caller)

    return check


def _named(caller: VerifiedCaller) -> list[str]:
    if caller.session_id is None:
        raise SessionEnded("The token names no session, so that nobody can tell whether it is alive.")
    return [caller.session_id, caller.user_id]


def _check(row: tuple[Any, ...] | None) -> None:
    if row != (True,):
        raise SessionEnded("The session has ended.")
