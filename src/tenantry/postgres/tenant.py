"""Transactions on behalf of a caller: role, sealed claims, search path and timeouts, all for one transaction only.

The first round trip begins the transaction and asks the database for its challenge; the second opens the context, with a token for
that transaction only, and runs the first query. Without seals there is one round trip.

    pool = tenant_pool(dsn)
    with pool.connection() as connection, tenant(connection, claims, key, schema="clinic") as me:
        rows = me.execute("select name from providers").fetchall()

`claims` are the facts that the application verified about the caller (`sub`, `role`, …). Any SQL in the transaction
acts as that caller: SQL cannot make another caller's seal, and a leaked token or seal is valid in no other transaction.
Tokens are sent as protocol parameters, whatever the connection's cursors do; the database refuses a token in a statement's text.

Connections must not prepare named statements (prepare_threshold=None: a caller's SQL could replace them) and
must be reset with DISCARD ALL before the next user: tenant_pool() and async_tenant_pool() do both. They also give each user a
new seed of random(), which DISCARD ALL does not reset.

The settings that decide how statements and policies are interpreted are set when a connection begins, and in each transaction, over
those of the login and the session: memberships are read live only under READ COMMITTED, and tenantry.postgres.stated
fixes the meaning of literals, dates and numbers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import MappingProxyType
from typing import Any, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.abc import Params
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from tenantry.errors import ContextOutdated, RightsMissing, SessionEnded, SettingsError
from tenantry.postgres.seal import SealKey, claims_text
from tenantry.postgres.sql import idents
from tenantry.postgres.stated import STATED
from tenantry.postgres.tenant_pools import async_tenant_pool, tenant_pool

Query = bytes | sql.SQL | sql.Composed | LiteralString

CLIENT_ROLES = ("anon", "authenticated")

_SETTINGS = (
    "pg_catalog.set_config('role', %s, true), pg_catalog.set_config('search_path', %s, true),"
    " pg_catalog.set_config('statement_timeout', %s, true), pg_catalog.set_config('lock_timeout', %s, true),"
    " pg_catalog.set_config('idle_in_transaction_session_timeout', %s, true)"
)
_SETTING = ", pg_catalog.set_config(%s, %s, true)"
_BEGIN = "begin isolation level read committed read write not deferrable"
# The previous user's session settings must not end the wait between the two round trips, or the opening.
_CHALLENGE = (
    f"{_BEGIN}; set local role none; set local statement_timeout = '30s'; set local idle_in_transaction_session_timeout = '30s';"
    " select tenantry.challenge()"
)
_SEALED = f"tenantry.open(%s, %s), {_SETTINGS}"
_UNSEALED = f"pg_catalog.set_config('request.jwt.claims', %s, true), {_SETTINGS}"
# First, while the role is still that of the login. If it fails, what travels with it does not run.
_SESSION = "tenantry_auth.require_session(%s, %s), "
_SESSION_ENDED = "TN623"
"""SQLSTATE of require_session()."""


class _Opening:
    """The statement that opens a context, and its parameters."""

    def __init__(
        self,
        claims: Mapping[str, Any],
        key: SealKey | None,
        schema: str | Sequence[str],
        roles: Sequence[str],
        statement_timeout: float,
        lock_timeout: float,
        idle_timeout: float,
        settings: Mapping[str, str],
        check_session: bool,
    ) -> None:
        role = claims.get("role")
        if role not in roles:
            raise SettingsError(
                "The claims name no role that a client may have. No transaction was begun.",
                hint=f"`role` must be one of: {', '.join(roles)}.",
            )
        self._claims, self._key = claims_text(claims), key
        self._session = [claims.get("session_id"), claims.get("sub")] if check_session else []
        if None in self._session:
            raise SessionEnded("The claims name no session, so that nobody can tell whether it is alive.")
        names = [schema] if isinstance(schema, str) else list(schema)
        self._settings = [
            role,
            f"pg_catalog, {idents(names)}, pg_temp" if names else "pg_catalog, pg_temp",
            *(f"{max(0, round(seconds * 1000))}ms" for seconds in (statement_timeout, lock_timeout, idle_timeout)),
        ]
        # tenantry.open() applies these settings itself.
        self._more = dict(settings) if key is not None else {**STATED, **settings}

    @property
    def sealed(self) -> bool:
        return self._key is not None

    def statement(self, challenge: str | None) -> tuple[LiteralString, list[Any]]:
        """Build the statement right before sending it: a token is valid for seconds, and for one transaction."""
        token = [] if self._key is None or challenge is None else [self._key.token(self._claims, challenge)]
        more = [each for setting in self._more.items() for each in setting]
        text: LiteralString = "select " + (_SESSION if self._session else "") + (_SEALED if token else _UNSEALED)
        return text + _SETTING * len(self._more), [*self._session, self._claims, *token, *self._settings, *more]


def _check(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    if not connection.autocommit or connection.prepare_threshold is not None:
        raise SettingsError(
            "This connection cannot be used for tenants: it must be in autocommit mode and must not prepare named statements.",
            hint="Take it from tenant_pool(), or connect with autocommit=True, prepare_threshold=None.",
        )
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise SettingsError("A transaction is already open on this connection. End it before opening one for a caller.")


class Tenant:
    """A transaction on behalf of one caller; it begins with the first query."""

    def __init__(self, connection: psycopg.Connection[Any], opening: _Opening) -> None:
        self._connection, self._opening = connection, opening
        self._begun = self._ended = False
        self._challenge: str | None = None

    def execute(self, query: Query, params: Params | None = None) -> psycopg.Cursor[Any]:
        """Run a statement as the caller; the first one travels together with the opening of the context.

        Raises:
            psycopg.errors.InvalidAuthorizationSpecification: the database refused the seal; the statement did not run.
            SessionEnded: the caller's session is not alive (check_session); the statement did not run.
            SettingsError: the block has ended, and the connection may have another user by now.
        """
        _check_not_ended(self._ended)
        if self._begun:
            _check_end(self._connection.info.transaction_status)
            return self._connection.execute(query, params)
        challenge = self._begin()
        with _opening(), self._connection.pipeline():
            self._open(challenge)
            cursor = self._connection.cursor()
            cursor.execute(query, params)
        return cursor

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection, with the context open: for COPY, server-side cursors and savepoints."""
        _check_not_ended(self._ended)
        if not self._begun:
            challenge = self._begin()
            with _opening(), self._connection.pipeline():
                self._open(challenge)
        return self._connection

    def _begin(self) -> str | None:
        """Begin the transaction; return its challenge if the context is sealed."""
        self._begun = True
        if not self._opening.sealed:
            return None
        # A separate cursor, here and below: the connection's cursor class may put values into the text, or rows into objects.
        with _explained():
            cursor = psycopg.Cursor(self._connection, row_factory=tuple_row).execute(_CHALLENGE)
        self._challenge = _last_value(cursor)
        return self._challenge

    def _open(self, challenge: str | None) -> None:
        """Open the context, within a pipeline."""
        cursor = psycopg.Cursor(self._connection, row_factory=tuple_row)
        if challenge is None:
            cursor.execute(_BEGIN)
        cursor.execute(*self._opening.statement(challenge))

    def commit(self) -> None:
        """End the transaction.

        Raises:
            psycopg.errors.InFailedSqlTransaction: a statement had failed, and everything was rolled back.
            psycopg.errors.NoActiveSqlTransaction: SQL of the caller had ended the transaction.
        """
        ended, self._ended = self._ended, True
        if self._begun and not ended:
            _check_end(self._connection.info.transaction_status)
            status = self._connection.info.transaction_status
            with _same_transaction():
                cursor = psycopg.Cursor(self._connection).execute(_commit(self._challenge, status))
            _check_commit(_last_status(cursor))

    def rollback(self) -> None:
        """Roll back, if the connection still works; close a connection that hangs during a COPY."""
        if not self._ended:
            self._ended = True
            self._undo()

    def _undo(self) -> None:
        if self._begun and not self._connection.closed:
            if _is_stuck(self._connection):
                self._connection.close()
            else:
                self._connection.execute("rollback")


class AsyncTenant:
    """Like Tenant, over an asynchronous connection."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], opening: _Opening) -> None:
        self._connection, self._opening = connection, opening
        self._begun = self._ended = False
        self._challenge: str | None = None

    async def execute(self, query: Query, params: Params | None = None) -> psycopg.AsyncCursor[Any]:
        """Like Tenant.execute()."""
        _check_not_ended(self._ended)
        if self._begun:
            _check_end(self._connection.info.transaction_status)
            return await self._connection.execute(query, params)
        challenge = await self._begin()
        with _opening():
            async with self._connection.pipeline():
                await self._open(challenge)
                cursor = self._connection.cursor()
                await cursor.execute(query, params)
        return cursor

    async def connection(self) -> psycopg.AsyncConnection[Any]:
        """Like Tenant.connection."""
        _check_not_ended(self._ended)
        if not self._begun:
            challenge = await self._begin()
            with _opening():
                async with self._connection.pipeline():
                    await self._open(challenge)
        return self._connection

    async def _begin(self) -> str | None:
        self._begun = True
        if not self._opening.sealed:
            return None
        with _explained():
            cursor = await psycopg.AsyncCursor(self._connection, row_factory=tuple_row).execute(_CHALLENGE)
        self._challenge = _last_value(cursor)
        return self._challenge

    async def _open(self, challenge: str | None) -> None:
        cursor = psycopg.AsyncCursor(self._connection, row_factory=tuple_row)
        if challenge is None:
            await cursor.execute(_BEGIN)
        await cursor.execute(*self._opening.statement(challenge))

    async def commit(self) -> None:
        """Like Tenant.commit()."""
        ended, self._ended = self._ended, True
        if self._begun and not ended:
            _check_end(self._connection.info.transaction_status)
            status = self._connection.info.transaction_status
            with _same_transaction():
                cursor = await psycopg.AsyncCursor(self._connection).execute(_commit(self._challenge, status))
            _check_commit(_last_status(cursor))

    async def rollback(self) -> None:
        """Like Tenant.rollback()."""
        if not self._ended:
            self._ended = True
            await self._undo()

    async def _undo(self) -> None:
        if self._begun and not self._connection.closed:
            if _is_stuck(self._connection):
                await self._connection.close()
            else:
                await self._connection.execute("rollback")


def _last_value(cursor: psycopg.Cursor[tuple[Any, ...]] | psycopg.AsyncCursor[tuple[Any, ...]]) -> str:
    """Return the result of the last of several statements, without another round trip."""
    result = cursor.pgresult
    while cursor.nextset():
        result = cursor.pgresult
    value = result.get_value(0, 0) if result is not None else None
    assert value is not None
    return value.decode()


@contextmanager
def _explained() -> Iterator[None]:
    """Explain errors of databases whose functions are older than this library."""
    try:
        yield
    except (errors.UndefinedFunction, errors.InvalidSchemaName) as error:
        raise ContextOutdated(
            f"The database lacks tenantry.challenge(), which opens sealed contexts: {error.diag.message_primary}.",
            hint="Update its context functions to this version of Tenantry (`tenantry access apply`), and grant the API's login"
            " execute on tenantry.challenge(). If contexts are not sealed, pass no key.",
        ) from None


@contextmanager
def _opening() -> Iterator[None]:
    """Say what the check of the session found, and where that check is missing."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate == _SESSION_ENDED:
            raise SessionEnded("The session has ended. No statement was run.") from None
        said = error.diag.message_primary or ""
        if isinstance(error, errors.InsufficientPrivilege) and ("tenantry_auth" in said or "require_session" in said):
            raise RightsMissing(
                f"The login may not ask whether the caller's session is alive, as check_session does: {said}.",
                hint="Grant it usage on schema tenantry_auth and execute on function tenantry_auth.require_session(uuid, uuid).",
            ) from None
        if error.sqlstate in ("3F000", "42883") and "tenantry_auth" in said:
            raise ContextOutdated(
                f"The database lacks tenantry_auth.require_session(), which check_session needs: {said}.",
                hint="Run `tenantry auth init`, or the SQL of tenantry.auth.verify.sessions.session_alive_script().",
            ) from None
        raise


def _check_not_ended(ended: bool) -> None:
    if ended:
        raise SettingsError(
            "This transaction is over: its connection may serve another caller by now.",
            hint="Run statements within the block of tenant(), and open a new one for what comes after it.",
        )


def _is_stuck(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether no further statement can be sent, since the caller's was an unexpected COPY."""
    return connection.info.transaction_status == TransactionStatus.ACTIVE


def _check_end(status: TransactionStatus) -> None:
    if status == TransactionStatus.IDLE:
        raise errors.NoActiveSqlTransaction("SQL that ran in it has ended the caller's transaction")


def _commit(challenge: str | None, status: TransactionStatus) -> bytes:
    """Return COMMIT together with a check that the transaction is still the opened one: each transaction has its own start time."""
    if challenge is None or status != TransactionStatus.INTRANS:
        return b"commit"
    began = challenge.partition(".")[2]
    same = f"extract(epoch from pg_catalog.transaction_timestamp())::pg_catalog.text operator(pg_catalog.=) '{began}'"
    return f"select pg_catalog.int4div(1, ({same})::pg_catalog.int4); commit".encode()


@contextmanager
def _same_transaction() -> Iterator[None]:
    try:
        yield
    except errors.DivisionByZero:
        raise errors.NoActiveSqlTransaction(
            "SQL that ran in it has ended the caller's transaction and begun another, which is rolled back"
        ) from None


def _last_status(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any]) -> str | None:
    said = cursor.statusmessage
    while cursor.nextset():
        said = cursor.statusmessage
    return said


def _check_commit(said: str | None) -> None:
    if said == "ROLLBACK":
        raise errors.InFailedSqlTransaction("a statement had failed: the caller's transaction was rolled back")


@contextmanager
def tenant(
    connection: psycopg.Connection[Any],
    claims: Mapping[str, Any],
    key: SealKey | None,
    *,
    schema: str | Sequence[str],
    roles: Sequence[str] = CLIENT_ROLES,
    statement_timeout: float = 30.0,
    lock_timeout: float = 5.0,
    idle_timeout: float = 60.0,
    settings: Mapping[str, str] = MappingProxyType({}),
    check_session: bool = False,
) -> Iterator[Tenant]:
    """Run a transaction on behalf of one caller; committed at the end, rolled back after an exception.

    Args:
        connection: idle, in autocommit mode, without named prepared statements.
        claims: the facts that the application verified about the caller; `role` is the database role.
        key: the application's seal key; None if claims are not sealed ([context] sealed = false).
        schema: the schema of unqualified names; pg_catalog comes before it, pg_temp last.
        statement_timeout, lock_timeout, idle_timeout: seconds; 0 for none.
        settings: values other than those of tenantry.postgres.stated.STATED, e.g. {"timezone": "Europe/Berlin"}.
        check_session: refuse a caller whose session (`session_id`) has ended, or who was banned or deleted; in the round trip of the
            opening. The database needs tenantry_auth.require_session(), see tenantry.auth.verify.sessions.

    Raises:
        SettingsError: the connection or the claims are unsuitable.
        SessionEnded: the claims name no session (check_session). See also Tenant.execute().
        psycopg.Error: see Tenant.commit().
    """
    _check(connection)
    me = Tenant(
        connection,
        _Opening(claims, key, schema, roles, statement_timeout, lock_timeout, idle_timeout, settings, check_session),
    )
    try:
        yield me
    except BaseException:
        me.rollback()
        raise
    try:
        me.commit()
    except errors.NoActiveSqlTransaction:
        me._undo()
        raise


@asynccontextmanager
async def async_tenant(
    connection: psycopg.AsyncConnection[Any],
    claims: Mapping[str, Any],
    key: SealKey | None,
    *,
    schema: str | Sequence[str],
    roles: Sequence[str] = CLIENT_ROLES,
    statement_timeout: float = 30.0,
    lock_timeout: float = 5.0,
    idle_timeout: float = 60.0,
    settings: Mapping[str, str] = MappingProxyType({}),
    check_session: bool = False,
) -> AsyncIterator[AsyncTenant]:
    """Like tenant(), over an asynchronous connection."""
    _check(connection)
    me = AsyncTenant(
        connection,
        _Opening(claims, key, schema, roles, statement_timeout, lock_timeout, idle_timeout, settings, check_session),
    )
    try:
        yield me
    except BaseException:
        await me.rollback()
        raise
    try:
        await me.commit()
    except errors.NoActiveSqlTransaction:
        await me._undo()
        raise


__all__ = [
    "CLIENT_ROLES",
    "AsyncTenant",
    "SealKey",
    "Tenant",
    "async_tenant",
    "async_tenant_pool",
    "tenant",
    "tenant_pool",
]
