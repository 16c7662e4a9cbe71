"""Pools of connections for tenant(): no named prepared statements, and each session is reset before its next user."""

from __future__ import annotations

from random import SystemRandom
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from tenantry.postgres.connect import normalise_dsn
from tenantry.postgres.stated import start_options

_CONNECTION = {"autocommit": True, "prepare_threshold": None}


def _kwargs(dsn: str, *, startup: bool) -> dict[str, Any]:
    stated: dict[str, Any] = {"options": start_options(dsn)} if startup else {}
    return {"client_encoding": "UTF8", **_CONNECTION, **stated}


def tenant_pool(
    dsn: str, *, min_size: int = 1, max_size: int = 10, startup: bool = True, **more: Any
) -> ConnectionPool[Any]:
    """Return a pool of connections for tenant(); each session is reset before its next user.

    Args:
        startup: set tenantry.postgres.stated.AT_START when a connection begins, so that settings of the login have
            no effect. False behind a pooler that refuses `options`; then only the settings of contexts are certain.
        more: arguments of psycopg_pool.ConnectionPool.
    """
    return ConnectionPool(
        normalise_dsn(dsn),
        min_size=min_size,
        max_size=max_size,
        kwargs=_kwargs(normalise_dsn(dsn), startup=startup),
        reset=_empty,
        open=True,
        **more,
    )


def async_tenant_pool(
    dsn: str, *, min_size: int = 1, max_size: int = 10, startup: bool = True, **more: Any
) -> AsyncConnectionPool[Any]:
    """Like tenant_pool(), for asynchronous connections; open it with `async with` or open()."""
    return AsyncConnectionPool(
        normalise_dsn(dsn), min_size=min_size, max_size=max_size, kwargs=_kwargs(normalise_dsn(dsn), startup=startup),
        reset=_empty_async, open=False, **more,
    )  # fmt: skip


_SEED = "select pg_catalog.setseed(%s)"
_random = SystemRandom()


def _empty(connection: psycopg.Connection[Any]) -> None:
    connection.execute("discard all")
    # Received notifications stay in the driver, and the next user would get them.
    list(connection.notifies(timeout=0))
    connection.execute(_SEED, [_random.uniform(-1, 1)])


async def _empty_async(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("discard all")
    async for _ in connection.notifies(timeout=0):
        pass
    await connection.execute(_SEED, [_random.uniform(-1, 1)])
