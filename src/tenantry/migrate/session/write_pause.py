"""For how long writers are kept out: bounded and measured by the server, whatever becomes of this process or of the network.

A timer of this process is not enough. It stands still when the process does, its cancel request can arrive between two
statements or not at all, and nothing that it measures counts what a freeze adds. So a second session waits on the server for the
end of the transaction that keeps writers out. When the bound is over it ends that session, and then it notes the true pause.
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
"""After that time without a statement the server ends a session of ours that holds locks of applications."""

_ANSWER_SECONDS = 90.0
_TRANSACTION_TIMEOUT = 170000
_LATER = 100


@dataclass(frozen=True, slots=True)
class Pause:
    """One attempt to keep writers out, as the server saw it.

    Attributes:
        seconds: from the request for the locks to their release.
        ended: the server ended the session, since the bound was over.
    """

    seconds: float
    ended: bool


class Guard:
    """The session that watches over attempts, one at a time."""

    def __init__(self, session: Session, run: int) -> None:
        self._session, self._run = session, run
        self._connection: Connection | None = None
        self._attempt = ""

    def bound(self, connection: Connection, seconds: float) -> str:
        """Begin to watch over the transaction that is open on a connection, and bound it. Call it right before the locks.

        Returns:
            The attempt's name: an event of the journal whose data has it as `attempt` is given the true pause.
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
            # A little later than the guard, which knows whether it did it.
            "; ".join(f"set local {name} = '{milliseconds + _LATER}ms'" for name in bounds)
            + "; lock table tenantry.only in share update exclusive mode"
        )
        # Sent, and not waited for: the answer comes when the transaction is over.
        own.pgconn.send_query(blocks["guard"].encode())
        while own.pgconn.flush():
            select.select([], [own.fileno()], [])
        return self._attempt

    def ended(self) -> Pause | None:
        """What the server saw of the attempt, which must be over; None where that cannot be learned: the server is not reached."""
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
            # It does its work although its client may be gone.
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
