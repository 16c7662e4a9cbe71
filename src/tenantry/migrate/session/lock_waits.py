"""Finds who holds a lock that a connection of Tenantry waits for, from another connection during the wait.

Row locks are visible only during a wait: PostgreSQL stores them in the rows, and shows a wait for the holder's transaction.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg

from tenantry.errors import SourceLocked
from tenantry.journal.journal import Connection
from tenantry.migrate.session.locks import look, prepared_transaction

_EVERY = 0.4
"""Seconds between checks during an attempt: below lock_timeout (900 ms), so that no failing wait is missed."""
_AGAIN = 10.0
"""Seconds after which the same session is named again."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A session, or a prepared transaction, that holds a lock which Tenantry waits for.

    Attributes:
        since: seconds since its transaction began; None if the login may not see it.
        tables: the table that is waited for or, if the server does not report it, the tables on which the session has locks.
        gid, owner: of a prepared transaction, which has no session.
    """

    pid: int | None
    application: str
    state: str
    since: float | None
    tables: str
    gid: str = ""
    owner: str = ""

    def __str__(self) -> str:
        where = f" holds a lock on {self.tables}" if self.tables else ""
        if self.gid:
            return prepared_transaction(self.gid, self.owner, self.since or 0.0) + where
        if self.since is None:
            state = "its state and age are shown to members of pg_monitor only"
        else:
            state = f"{self.state or 'busy'}, in a transaction for {self.since:.0f} s"
        return f"pid {self.pid} ({self.application or 'no name'}, {state}){where}"


def holders(connection: Connection, waiting: int, schemas: Sequence[str]) -> list[Holder]:
    """Return who blocks a session that waits for a lock; empty if it does not wait.

    Args:
        waiting: its pid.
        schemas: the schemas whose tables are named.
    """
    return [
        Holder(pid, application or "", state or "", since, tables or "", gid or "", owner or "")
        for pid, application, state, since, tables, gid, owner in look(
            connection, "in_front", waiting=waiting, schemas=list(schemas)
        )
    ]


class LockWaits:
    """Reports who blocks the rounds of a run.

    Attributes:
        found: who blocked the last attempt; empty once an attempt has succeeded.
    """

    def __init__(self, schemas: Sequence[str], notice: Callable[[str], None]) -> None:
        self._schemas, self._notice = schemas, notice
        self._named: dict[object, float] = {}
        self.found: list[Holder] = []

    @contextmanager
    def watched(self, connection: Connection, other: Connection) -> Iterator[None]:
        """Watch for blocking sessions during an attempt.

        Args:
            other: a connection that is not in use meanwhile.
        """
        waiting, over = connection.info.backend_pid, threading.Event()

        def watch() -> None:
            while not over.wait(_EVERY):
                with suppress(psycopg.Error):
                    if found := holders(other, waiting, self._schemas):
                        self.found = found
                        self._name()

        watcher = threading.Thread(target=watch, name="tenantry: lock waits", daemon=True)
        watcher.start()
        try:
            yield
        except BaseException:
            over.set()
            watcher.join()
            raise
        over.set()
        watcher.join()
        self.found = []

    def _name(self) -> None:
        now = time.monotonic()
        due = [each for each in self.found if now - self._named.get(each.pid or each.gid, -_AGAIN) >= _AGAIN]
        if due:
            self._named.update({each.pid or each.gid: now for each in due})
            self._notice(f"Replay waits for a lock: {'; '.join(str(each) for each in due)}. Tenantry tries again.")

    def error(self) -> SourceLocked:
        """Return the error that replaces the server's if blocking sessions were found."""
        said = "; ".join(str(each) for each in self.found)
        return SourceLocked(
            f"Replay could not get a lock that another session holds, however often it tried. Blocked by: {said}. This round was"
            " rolled back.",
            hint="Commit or roll back that transaction, or end its session (select pg_terminate_backend(pid)). Then run the same command"
            " again: it resumes from the journal. idle_in_transaction_session_timeout keeps sessions from waiting with locks.",
            detail={"blockers": [str(each) for each in self.found]},
        )


__all__ = ["Holder", "LockWaits", "holders"]
