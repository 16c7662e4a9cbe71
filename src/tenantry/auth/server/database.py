"""Connections of the sign-in server: a pool, units of work, and statements by name."""

from __future__ import annotations

import logging
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tenantry.auth.server.failures import SignInRefused, email_exists, invalid
from tenantry.postgres import load_blocks, with_parameters

SQL = "tenantry.auth.server.sql"
Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]

LOCK_SECONDS = 5
"""How long a request waits for another one of the same account or session."""
RECONNECT_SECONDS = 10
_OPTIONS = (
    f"-c timezone=UTC -c lock_timeout={LOCK_SECONDS}s -c statement_timeout=10s"
    " -c idle_in_transaction_session_timeout=30s -c search_path=pg_catalog"
)

_log = logging.getLogger("tenantry.auth")


@cache
def statement(name: str) -> str:
    """Return a statement by `file.block`, e.g. `accounts.by_id`."""
    file, _, block = name.partition(".")
    return load_blocks(SQL, file)[block]


class Database:
    """A pool of connections to the accounts' database."""

    def __init__(self, dsn: str, size: int, wait_seconds: float = 5.0) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            with_parameters(dsn, options=_OPTIONS),
            min_size=min(2, size),
            max_size=size,
            timeout=wait_seconds,
            max_waiting=size * 50,
            # Attempts come at longer and longer intervals until then: after a long outage the next request begins again at once.
            reconnect_timeout=RECONNECT_SECONDS,
            open=False,
            kwargs={"row_factory": dict_row, "autocommit": True},
            name="tenantry: sign-in",
        )

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close(timeout=5)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Unit]:
        """A connection on which each statement is a transaction of its own."""
        async with self._taken() as connection:
            yield Unit(connection)

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[Connection]:
        """Take a connection that is there. After a restart of the server each that waited has ended: the pool replaces those at once, while
        its own check of connections would pause between them, longer each time."""
        while True:
            async with self._pool.connection() as connection:
                if not await _has_ended(connection):
                    try:
                        yield connection
                    except psycopg.errors.ReadOnlySqlTransaction:
                        # After a failover this one leads to a standby.
                        await connection.close()
                        raise
                    return
                await connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Unit]:
        """A transaction. A refusal that says `keep` commits what was written and is raised nevertheless."""
        refused: SignInRefused | None = None
        async with self._taken() as connection, connection.transaction():
            try:
                yield Unit(connection)
            except SignInRefused as problem:
                if not problem.keep:
                    raise
                refused = problem
        if refused is not None:
            raise refused

    async def one(self, name: str, **values: Any) -> Row | None:
        """Run one statement in a transaction of its own, on a connection of its own; return its first row."""
        async with self.connection() as unit:
            return await unit.one(name, **values)


async def _has_ended(connection: Connection) -> bool:
    """Return whether the server closed a connection that waited in the pool. It costs no round trip: an idle connection hears nothing else
    than its end, or a notice."""
    hears = select.poll()
    hears.register(connection.fileno(), select.POLLIN)
    if not hears.poll(0):
        return False
    try:
        await connection.execute("select")
    except psycopg.OperationalError:
        return True
    return False


class Unit:
    """Statements by name on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def one(self, name: str, **values: Any) -> Row | None:
        """Return the first row, or None."""
        cursor = await self.connection.execute(statement(name), values)
        return await cursor.fetchone() if cursor.description else None

    async def value(self, name: str, **values: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = await self.one(name, **values)
        return next(iter(row.values())) if row else None

    async def all(self, name: str, **values: Any) -> list[Row]:
        cursor = await self.connection.execute(statement(name), values)
        return await cursor.fetchall()

    async def run(self, name: str, **values: Any) -> int:
        """Run a statement; return how many rows it changed."""
        return (await self.connection.execute(statement(name), values)).rowcount


def database_failure(problem: Exception) -> SignInRefused:
    """Return the answer to a request that the database did not serve; the log gets its kind, never its values."""
    match problem:
        case psycopg.errors.LockNotAvailable():
            return SignInRefused(
                409, "conflict", "Too many concurrent token refresh requests on the same session or refresh token"
            )
        case psycopg.errors.UniqueViolation() if problem.diag.constraint_name == "users_email_partial_key":
            return email_exists()
        case psycopg.DataError() | psycopg.errors.ProgramLimitExceeded():
            return invalid("A value is too long, or cannot be stored")
        case psycopg.errors.QueryCanceled():
            _log.error("a statement took longer than its limit")
            return SignInRefused(
                504, "request_timeout", "Processing this request timed out, please retry after a moment."
            )
        case PoolTimeout() | psycopg.OperationalError() | psycopg.errors.ReadOnlySqlTransaction():
            _log.error("the database does not answer: %s", type(problem).__name__)
            return SignInRefused(
                503, "unexpected_failure", "The database of accounts does not answer, please retry after a moment."
            )
    sqlstate = getattr(problem, "sqlstate", None)
    _log.error("the database refused a statement: %s (SQLSTATE %s)", type(problem).__name__, sqlstate)
    return SignInRefused(500, "unexpected_failure", "Unexpected failure, please check server logs for more information")


__all__ = ["LOCK_SECONDS", "Connection", "Database", "Row", "Unit", "database_failure", "statement"]
