"""Events of synchronization that could not be completed yet: listed, and retried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

from tenantry.errors import NoRun
from tenantry.postgres import load_blocks

Connection = psycopg.Connection[Any]

_BATCH = 20
"""Events per transaction, which keeps the rows it writes locked until it ends."""


@dataclass(frozen=True, slots=True)
class RetriedEvents:
    """How many events were retried and completed, and how many are still open."""

    tried: int
    done: int
    open: int


def need_events(connection: Connection) -> None:
    """
    Raises:
        NoRun: this database does not synchronize accounts and profiles.
    """
    if connection.execute(_block("exists")).fetchone() != (True,):
        raise NoRun(
            "Accounts and profiles are not synchronized in this database (there is no tenantry.auth_event).",
            hint="`tenantry migrate` sets this up if the manifest has [users] in_step = true.",
        )


def list_events(connection: Connection, *, everything: bool, limit: int | None) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of open events, and the requested events, the oldest first.

    Args:
        everything: include completed events.
        limit: maximum number of events; None: all of them.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_block("listed"), {"everything": everything, "limit": limit}).fetchall()
        count = cursor.execute(_block("open")).fetchone()
    return (0 if count is None else int(count["open"])), found


def retry_events(connection: Connection, *, everything: bool) -> RetriedEvents:
    """Retry events that are due, in batches, each in its own transaction.

    Args:
        everything: include events whose next retry is later.
    """
    cursor = psycopg.Cursor(connection, row_factory=tuple_row)
    if everything:
        cursor.execute(_block("due"))
    tried = done = 0
    while True:
        with connection.transaction():
            row = cursor.execute(_block("retry"), {"most": _BATCH}).fetchone()
        assert row is not None
        tried, done = tried + row[0], done + row[1]
        if row[0] == 0:
            return RetriedEvents(tried, done, row[2])


def _block(name: str) -> str:
    return load_blocks("tenantry.accounts.sql", "auth_event")[name]


__all__ = ["RetriedEvents", "list_events", "need_events", "retry_events"]
