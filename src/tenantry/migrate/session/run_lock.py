"""The run lock: one process at a time works on the run of a database, for as long as its connection lives.

Clients may take any advisory lock whose key they know, so a fixed key would let each of them stop the engine for good. The lock
is therefore a row of tenantry.run_lock, which clients can neither read nor write. Whether the session that wrote the row still
lives is told by an advisory lock whose key was drawn at random for that session alone: nobody can have taken it before, and
the server lets go of it when the session ends, however it ends. Before there is a journal there is nothing to protect.
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

_EVERY = 0.1
"""Seconds between two tries."""


def take_run_lock(connection: Connection) -> None:
    """Become the one run in this database, for as long as the connection lives. Does nothing where there is no journal yet: the
    transaction that makes it takes the lock.

    Raises:
        RunInProgress: another process runs, and which.
    """
    if not _made(connection) or _try(connection, _key(connection)):
        return
    raise RunInProgress(
        f"Another run is in progress in this database: {describe_holder(connection)}.",
        hint="Watch it with `tenantry status`. Only one run at a time is possible.",
    )


@contextmanager
def one_makes_the_journal() -> Iterator[None]:
    """Around the statements that make the journal.

    Raises:
        RunInProgress: another process has made it in this moment.
    """
    try:
        yield
    except (pg.UniqueViolation, pg.DuplicateSchema, pg.DuplicateTable, pg.DuplicateFunction) as error:
        raise RunInProgress(
            "Another process has just begun a run in this database.",
            hint="Watch it with `tenantry status`. Only one run at a time is possible.",
        ) from error


def wait_for_run_lock(connection: Connection, patience: float, notice: Callable[[str], None]) -> None:
    """Become the one process that works on the run, as soon as another one lets go; `tenantry replay` does when it sees
    somebody wait.

    Args:
        patience: seconds to wait.
        notice: is told whom this process waits for.

    Raises:
        RunInProgress: it did not let go in time.
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
    """Let go of the run before the connection ends: what is left of it says nothing then. Does nothing where that fails."""
    with suppress(psycopg.Error):
        if connection.info.transaction_status == TransactionStatus.IDLE and _there(connection):
            _say(connection, "release")


def run_lock_holder(connection: Connection) -> int | None:
    """The server's process that holds the run lock, or None."""
    if not _there(connection):
        return None
    row = _say(connection, "holder").fetchone()
    return None if row is None else int(row[0])


def is_awaited(connection: Connection) -> bool:
    """Whether somebody waits for the run lock that this connection holds."""
    return _there(connection) and _say(connection, "awaited").fetchone() is not None


def describe_holder(connection: Connection) -> str:
    """Who works on the run, in words."""
    pid = run_lock_holder(connection)
    said = f"server process {pid}" if pid is not None else "a process that has just let go"
    run = last_run(connection) if journal_exists(connection) else None
    if run is not None and run.process:
        return (
            f"process {run.process.get('pid')} of {run.process.get('user')} on {run.process.get('host')},"
            f" run {run.id}, in phase {run.phase} ({said})"
        )
    return said


def _made(connection: Connection) -> bool:
    """Whether there is a journal; one of an older version gets the tables that it lacks."""
    if _there(connection):
        return True
    if not journal_exists(connection) or is_foreign(connection):
        return False
    with suppress(pg.UniqueViolation, pg.DuplicateTable):  # somebody else made it in this moment
        connection.execute(run_lock_ddl())
        connection.execute(reverse_ddl())
    return True


def _there(connection: Connection) -> bool:
    # Not by to_regclass(), which fails where the schema is somebody else's.
    found = connection.execute(
        "select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'tenantry' and c.relname = 'run_lock'"
    )
    return found.fetchone() is not None


def _key(connection: Connection) -> int:
    """A key that nobody else has, locked for as long as the session lives."""
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
