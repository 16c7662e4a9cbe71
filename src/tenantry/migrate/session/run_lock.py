"""The run lock: one process at a time works on the run of a database, for as long as its connection exists.

Clients may take any advisory lock whose key they know, so a fixed key would let each of them block the engine forever. The lock
is therefore a row of tenantry.run_lock, which clients can neither read nor write. An advisory lock with a random key, drawn for
this session only, shows whether the session that wrote the row still exists: nobody can have taken it before, and
the server releases it whenever the session ends. Without a journal there is nothing to protect.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.pq import TransactionStatus

from tenantry.errors import RunInProgress
from tenantry.journal.ddl import reverse_ddl, run_lock_ddl
from tenantry.journal.journal import Connection, journal_exists, last_run
from tenantry.postgres import load_blocks
from tenantry.postgres.ours import is_foreign

_NEWEST = "deleted_id"
"""The table of the journal that was added last."""
_EVERY = 0.1
"""Seconds between two attempts."""


def take_run_lock(connection: Connection) -> None:
    """Take the run lock for as long as the connection exists. Do nothing if it has the lock. Do nothing without a journal: the
    transaction that makes the journal takes the lock.

    Raises:
        RunInProgress: another process holds it; the message names it.
    """
    if not _made(connection) or run_lock_holder(connection) == connection.info.backend_pid:
        return
    if _try(connection, _key(connection)):
        return
    raise RunInProgress(
        f"Another run is in progress in this database: {describe_holder(connection)}.",
        hint="Watch it with `tenantry status`. Only one run at a time is possible.",
    )


@contextmanager
def one_makes_the_journal() -> Iterator[None]:
    """Wrap the statements that make the journal.

    Raises:
        RunInProgress: another process made it at the same time.
    """
    try:
        yield
    except (pg.UniqueViolation, pg.DuplicateSchema, pg.DuplicateTable, pg.DuplicateFunction) as error:
        raise RunInProgress(
            "Another process has just begun a run in this database.",
            hint="Watch it with `tenantry status`. Only one run at a time is possible.",
        ) from error


def wait_for_run_lock(connection: Connection, patience: float, notice: Callable[[str], None]) -> None:
    """Take the run lock as soon as another process releases it; `tenantry replay` does so when it sees
    a waiting process.

    Args:
        patience: seconds to wait.
        notice: receives the holder for which this process waits.

    Raises:
        RunInProgress: the holder did not release it in time.
    """
    if not _made(connection):
        return
    key = _key(connection)
    if _try(connection, key):
        return
    holder = describe_holder(connection)
    notice(f"Waiting up to {patience:.0f} s for the run: {holder} works on it.")
    deadline = time.monotonic() + patience
    try:
        _say(connection, "ask", key=key)
        while not _try(connection, key):
            if time.monotonic() > deadline:
                raise RunInProgress(
                    f"Another process works on the run in this database: {describe_holder(connection)}.",
                    hint="Watch it with `tenantry status`, or stop it (Ctrl-C there). Then run the same command again.",
                )
            time.sleep(_EVERY)
    except BaseException:
        with suppress(psycopg.Error):
            _say(connection, "ask_no_more", key=key)
        raise


def release_run_lock(connection: Connection) -> None:
    """Release the run lock before the connection ends, so that no row remains. Ignores failures."""
    with suppress(psycopg.Error):
        if connection.info.transaction_status == TransactionStatus.IDLE and _there(connection):
            _say(connection, "release")


def run_lock_holder(connection: Connection) -> int | None:
    """Return the pid of the server process that holds the run lock, or None."""
    if not _there(connection):
        return None
    row = _say(connection, "holder").fetchone()
    return None if row is None else int(row[0])


def is_awaited(connection: Connection) -> bool:
    """Whether another process waits for the run lock that this connection holds."""
    return _there(connection) and _say(connection, "awaited").fetchone() is not None


def describe_holder(connection: Connection) -> str:
    """Describe who works on the run."""
    pid = run_lock_holder(connection)
    said = f"server process {pid}" if pid is not None else "a process that has just released it"
    run = last_run(connection) if journal_exists(connection) else None
    if run is not None and run.process:
        return (
            f"process {run.process.get('pid')} of {run.process.get('user')} on {run.process.get('host')},"
            f" run {run.id}, in phase {run.phase} ({said})"
        )
    return said


def _made(connection: Connection) -> bool:
    """Whether a journal exists; a journal of an older version gets its missing tables."""
    if _there(connection, _NEWEST):
        return True
    if not journal_exists(connection) or is_foreign(connection):
        return False
    with suppress(pg.UniqueViolation, pg.DuplicateTable):  # another process made it at the same time
        connection.execute(run_lock_ddl())
        connection.execute(reverse_ddl())
    return True


def _there(connection: Connection, table: str = "run_lock") -> bool:
    # Not with to_regclass(), which fails if another role owns the schema.
    found = connection.execute(
        "select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'tenantry' and c.relname = %s",
        [table],
    )
    return found.fetchone() is not None


def _key(connection: Connection) -> int:
    """Return a random key that is locked for as long as the session exists."""
    while True:
        key = secrets.randbits(63)
        if connection.execute("select pg_try_advisory_lock(%s)", [key]).fetchone() == (True,):
            return key


def _try(connection: Connection, key: int) -> bool:
    try:
        with connection.transaction():
            _say(connection, "forget_ended")
            return _say(connection, "take", key=key).rowcount == 1
    except pg.UniqueViolation:
        return False


def _say(connection: Connection, block: str, **values: object) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.execute(load_blocks("tenantry.migrate.session", "run_lock")[block], values or None)


__all__ = [
    "describe_holder",
    "is_awaited",
    "one_makes_the_journal",
    "release_run_lock",
    "run_lock_holder",
    "take_run_lock",
    "wait_for_run_lock",
]
