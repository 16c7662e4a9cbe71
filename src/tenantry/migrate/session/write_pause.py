"""The write pause: bounded and measured by the server, even if this process or the network fails.

A timer of this process is not enough. It stops when the process hangs, its cancel request can arrive between two
statements or never, and its measurement misses the duration of a hang. So a second session waits on the server for the
end of the transaction that blocks writers. At the bound it ends that session, and records the true pause.
"""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from uuid import uuid4

import psycopg

from tenantry.journal.journal import Connection
from tenantry.migrate.session.connections import Session
from tenantry.postgres import load_blocks

_BLOCKS = "tenantry.migrate.session", "write_pause"

STOOD_STILL = "2s"
"""Time without a statement after which the server ends a session of Tenantry that blocks applications."""

_ANSWER_SECONDS = 90.0
_TRANSACTION_TIMEOUT = 170000
_LATER = 100


@dataclass(frozen=True, slots=True)
class Pause:
    """One write pause, as measured by the server.

    Attributes:
        seconds: from the request for the locks to their release.
        ended: whether the server ended the session at the bound.
    """

    seconds: float
    ended: bool


class Guard:
    """The session that supervises attempts, one at a time."""

    def __init__(self, session: Session, run: int) -> None:
        self._session, self._run = session, run
        self._connection: Connection | None = None
        self._attempt = ""

    def bound(self, connection: Connection, seconds: float) -> str:
        """Supervise and bound the open transaction of a connection. Call it right before taking the locks.

        Returns:
            The attempt's name: a journal event with this name as `attempt` in its data receives the true pause.
        """
        blocks = load_blocks(*_BLOCKS)
        own, milliseconds = self._open(), max(1, round(seconds * 1000))
        self._attempt = uuid4().hex
        own.execute(
            blocks["tell_guard"],
            {
                "run": str(self._run),
                "attempt": self._attempt,
                "pid": str(connection.info.backend_pid),
                "bound": str(milliseconds),
            },
        )
        bounds = ["idle_in_transaction_session_timeout", "statement_timeout"]
        if connection.info.server_version >= _TRANSACTION_TIMEOUT:
            bounds.append("transaction_timeout")
        connection.execute(
            # A little later than the guard, which records that it ended the session.
            "; ".join(f"set local {name} = '{milliseconds + _LATER}ms'" for name in bounds)
            + "; lock table tenantry.only in share update exclusive mode"
        )
        # Sent without waiting: the answer arrives when the transaction ends.
        own.pgconn.send_query(blocks["guard"].encode())
        while own.pgconn.flush():
            select.select([], [own.fileno()], [])
        return self._attempt

    def ended(self) -> Pause | None:
        """Return the server's measurement of the finished attempt; None if the server cannot be reached."""
        if not self._attempt or self._connection is None:
            return None
        try:
            self._wait(self._connection)
            row = self._connection.execute(
                load_blocks(*_BLOCKS)["held"], {"run": self._run, "attempt": self._attempt}
            ).fetchone()
        except psycopg.Error:
            self._connection.close()
            return None
        self._attempt = ""
        return None if row is None else Pause(float(row[0]) / 1000, bool(row[1]))

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._session.open("tenantry: guard")
            # It must finish even if its client is gone.
            self._connection.execute("set client_connection_check_interval = 0")
        elif self._attempt:
            self._wait(self._connection)
        return self._connection

    def _wait(self, connection: Connection) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            connection.pgconn.consume_input()
            if not connection.pgconn.is_busy():
                if connection.pgconn.get_result() is None:
                    return
                continue
            select.select([connection.fileno()], [], [], 1.0)
            if time.monotonic() > deadline:
                raise psycopg.OperationalError("the guard gave no answer")


__all__ = ["STOOD_STILL", "Guard", "Pause"]
