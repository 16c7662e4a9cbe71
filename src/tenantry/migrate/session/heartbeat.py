"""Detects a lost network while a statement runs.

A connection that waits for an answer cannot distinguish a long statement from a network that drops everything. TCP keepalives
detect it only if the other end is the server: a proxy in between answers them itself. So a separate session repeatedly sends
the server a trivial query.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable

import psycopg

from tenantry.errors import ServerUnreachable, TenantryError
from tenantry.journal.journal import Connection
from tenantry.postgres import connect

EVERY = 5.0
PATIENCE = 20.0
"""Seconds without an answer after which the network counts as lost."""


class Heartbeat(threading.Thread):
    """Queries the server until stopped; calls `lost` once if no answer arrives."""

    def __init__(self, dsn: str, lost: Callable[[], None]) -> None:
        super().__init__(name="tenantry: heartbeat", daemon=True)
        self._dsn, self._lost = dsn, lost
        self._stopped = threading.Event()
        self._unanswered = 0.0
        """Seconds spent since the last answer in attempts to connect that nothing answered."""

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        connection: Connection | None = None
        try:
            while not self._stopped.wait(EVERY):
                if connection is None or connection.closed:
                    connection = self._connect()
                    if connection is None and self._unanswered >= PATIENCE:
                        self._lost()
                        return
                elif not self._answers(connection):
                    self._lost()
                    return
        finally:
            if connection is not None:
                connection.close()

    def _connect(self) -> Connection | None:
        """Open the connection if the server allows it. A refusal is an answer: the network works, and the next try may succeed."""
        begun = time.monotonic()
        try:
            connection = connect(self._dsn, name="tenantry: heartbeat")
        except ServerUnreachable:
            # A server that is down refuses at once, and has ended the other connections itself.
            self._unanswered += time.monotonic() - begun
            return None
        except TenantryError:
            connection = None
        self._unanswered = 0.0
        return connection

    def _answers(self, connection: Connection) -> bool:
        """Whether an answer arrived, even if it is the end of the session."""
        try:
            connection.pgconn.send_query(b"select 1")
            deadline = time.monotonic() + PATIENCE
            while not self._stopped.is_set():
                connection.pgconn.flush()
                connection.pgconn.consume_input()
                if not connection.pgconn.is_busy():
                    if connection.pgconn.get_result() is None:
                        return True
                    continue
                if not select.select([connection.fileno()], [], [], 0.2)[0] and time.monotonic() > deadline:
                    return False
        except psycopg.Error:
            connection.close()
        return True


__all__ = ["EVERY", "PATIENCE", "Heartbeat"]
