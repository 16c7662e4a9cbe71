"""Locks on tables that applications use: requested with short timeouts, repeatedly. `run_lock` has the lock that prevents a
second run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg

from tenantry.errors import SourceLocked
from tenantry.journal.journal import Connection
from tenantry.migrate.session.write_pause import STOOD_STILL
from tenantry.postgres import literal, load_blocks


@dataclass(frozen=True, slots=True)
class LockedTables:
    """The tables that a transaction locks, for messages.

    Attributes:
        tables: of the schema; empty: any of them.
        others: schema and tables that are locked too.
    """

    schema: str
    tables: Sequence[str]
    others: tuple[str, Sequence[str]] | None = None


def capture_tables(
    connection: Connection,
    locked: LockedTables,
    statements: Sequence[str],
    mark: Callable[[], None],
    *,
    patience: float,
    notice: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Alter tables that applications use, in one transaction.

    Each attempt waits at most 900 ms (below deadlock_timeout, so that a deadlock never ends an application's transaction), then
    releases the queue behind it; attempts repeat, with jitter, for `patience` seconds.

    Args:
        mark: called last in the transaction.

    Raises:
        SourceLocked: with the blocking sessions.
    """
    schema, tables, others = locked.schema, locked.tables, locked.others
    deadline = time.monotonic() + patience
    attempt = 0
    while True:
        try:
            with connection.transaction():
                # In one message: a failure of this process or the network between two statements cannot keep the locks.
                connection.execute(
                    ";\n".join(
                        [
                            "set local lock_timeout = '900ms'",
                            "set local synchronous_commit = on",
                            f"set local idle_in_transaction_session_timeout = '{STOOD_STILL}'",
                            *(statement.rstrip().rstrip(";") for statement in statements),
                        ]
                    )
                )
                mark()
            return
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            attempt += 1
            holders = [*blockers(connection, schema, tables), *(blockers(connection, *others) if others else ())]
            said = "; ".join(holders) or "a session that has just released it"
            wanted = ", ".join(tables) or f"The tables of {schema}"
            if time.monotonic() > deadline or stopped():
                raise SourceLocked(
                    f"{wanted} could not be locked within {patience:.0f} s. Blocked by: {said}.",
                    hint="End those transactions (select pg_terminate_backend(pid)) or wait for a quieter time, then run the"
                    " same command again: it resumes from the journal.",
                ) from None
            if attempt == 1:
                notice(f"Waiting for {', '.join(tables) or f'the tables of {schema}'}: {said}")
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - jitter


def look(connection: Connection, block: str, **parameters: object) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run a block of locks.sql; read-only."""
    return connection.execute(load_blocks("tenantry.migrate.session", "locks")[block], parameters or None)


def blockers(connection: Connection, schema: str, tables: Sequence[str]) -> list[str]:
    """Describe who holds writers' locks: pid, application, duration. Without any, describe readers, since dropping an object
    waits for them too.

    Args:
        tables: of the schema; empty: all.
    """
    rows: list[tuple[Any, ...]] = []
    for readers in (False, True):
        rows = rows or look(connection, "blockers", schema=schema, tables=list(tables), readers=readers).fetchall()
    return [
        f"pid {pid} ({application or 'no name'}, {state or 'busy'}, in a transaction for {seconds:.0f} s)"
        if gid is None
        else prepared_transaction(str(gid), str(owner), seconds)
        for pid, application, state, seconds, gid, owner in rows
    ]


def prepared_transaction(gid: str, owner: str, seconds: float) -> str:
    """Describe a prepared transaction, which has no session that could be ended."""
    name = literal(gid)
    return (
        f"prepared transaction {name} of {owner} (prepared {seconds:.0f} s ago; it holds its locks until you run, in this"
        f" database, commit prepared {name} or rollback prepared {name})"
    )
