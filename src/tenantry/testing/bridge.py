"""An asynchronous connection for code that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import Params

from tenantry.postgres.tenant import Query

T = TypeVar("T")


class Bridge:
    """The part of Connection that creating a caller needs, for a worker thread, over an AsyncConnection of the event loop."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._connection, self._loop = connection, loop

    def wait(self, work: Awaitable[T]) -> T:
        async def done() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result()

    @property
    def info(self) -> psycopg.ConnectionInfo:
        return self._connection.info

    @property
    def row_factory(self) -> Any:
        return self._connection.row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        self._connection.row_factory = factory

    def execute(self, query: Query, params: Params | None = None) -> _BridgeCursor:
        return _BridgeCursor(self, self.wait(self._connection.execute(query, params)))

    @contextmanager
    def cursor(self, **options: Any) -> Iterator[_BridgeCursor]:
        cursor = self._connection.cursor(**options)
        try:
            yield _BridgeCursor(self, cursor)
        finally:
            self.wait(cursor.close())

    @contextmanager
    def transaction(self, **options: Any) -> Iterator[None]:
        block = self._connection.transaction(**options)
        self.wait(block.__aenter__())
        try:
            yield
        except BaseException as error:
            if not self.wait(block.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            self.wait(block.__aexit__(None, None, None))


class _BridgeCursor:
    def __init__(self, bridge: Bridge, cursor: psycopg.AsyncCursor[Any]) -> None:
        self._bridge, self._cursor = bridge, cursor

    def execute(self, query: Query, params: Params | None = None, **options: Any) -> _BridgeCursor:
        self._bridge.wait(self._cursor.execute(query, params, **options))
        return self

    def fetchone(self) -> Any:
        return self._bridge.wait(self._cursor.fetchone())

    def fetchall(self) -> list[Any]:
        return self._bridge.wait(self._cursor.fetchall())

    def nextset(self) -> bool | None:
        return self._cursor.nextset()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


__all__ = ["Bridge", "T"]
