"""The connections of one run: the main one with the run lock, those of workers, and retries after transient errors."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg
from psycopg import errors as pg

from tenantry.journal.journal import Connection
from tenantry.migrate.session.heartbeat import Heartbeat
from tenantry.postgres import connect

T = TypeVar("T")

ENDED = (pg.AdminShutdown, pg.IdleInTransactionSessionTimeout, pg.TransactionTimeout)
"""The server ended the session: on request, or because this process was idle in a transaction."""

TRANSIENT = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable, pg.QueryCanceled)
_TRIES = 12


class Session:
    """Connections to one database, each used by one thread at a time."""

    def __init__(self, dsn: str, *, work_mem: str = "128MB", maintenance_work_mem: str = "256MB") -> None:
        self.dsn = dsn
        self.stop = threading.Event()
        self._settings = {
            "work_mem": work_mem,
            "maintenance_work_mem": maintenance_work_mem,
            "synchronous_commit": "off",  # the journal is in the same commit: both are lost, or neither
            "hash_mem_multiplier": "2",
        }
        self._all: list[Connection] = []
        self._free: list[Connection] = []
        self._guard = threading.Lock()
        self._heartbeat: Heartbeat | None = None
        self.lost = False
        """The network was lost, and the connections were closed: opening another one would wait for it again."""

    def open(self, name: str) -> Connection:
        """Open a connection with the server's own commit settings; it stays open until the session is closed."""
        connection = connect(self.dsn, name=name)
        with self._guard:
            self._all.append(connection)
            if self.lost:  # opened just before: nothing watches it any more
                connection.close()
            if self._heartbeat is None and not (connection.info.host or "/").startswith("/"):
                self._heartbeat = Heartbeat(self.dsn, self._cut)
                self._heartbeat.start()
        return connection

    @contextmanager
    def worker(self) -> Iterator[Connection]:
        """Provide a connection for bulk work, opening one if none is free."""
        with self._guard:
            connection = self._free.pop() if self._free else None
        if connection is None or connection.closed:
            connection = self.open("tenantry: worker")
            for name, value in self._settings.items():
                connection.execute("select set_config(%s, %s, false)", [name, value])
        try:
            yield connection
        finally:
            with self._guard:
                self._free.append(connection)

    def again(self, action: Callable[[], T]) -> T:
        """Retry an action, with jitter, after transient errors."""
        for attempt in range(_TRIES):
            try:
                return action()
            except TRANSIENT as error:
                if attempt + 1 == _TRIES or self.stop.is_set():
                    raise
                if isinstance(error, pg.QueryCanceled) and attempt > 3:
                    raise
                time.sleep(random.uniform(0.05, 0.2) * 2 ** min(attempt, 4))  # noqa: S311 - jitter
        raise AssertionError

    def cancel(self) -> None:
        """Cancel all running statements."""
        self.stop.set()
        with self._guard:
            for connection in self._all:
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=5)

    def _cut(self) -> None:
        """End all connections after the network was lost, so that no thread waits for an answer."""
        self.lost = True
        with self._guard:
            for connection in self._all:
                with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as wire:
                    wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()
        with self._guard:
            for connection in self._all:
                with suppress(psycopg.Error):
                    connection.close()
            self._all.clear()
            self._free.clear()
