"""What keeping accounts and profiles synchronized could not do yet: listed, and tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

from tenantry.errors import NoRun
from tenantry.postgres import load_blocks

Connection = psycopg.Connection[Any]

_BATCH = 20
"""Events of one transaction: it holds the rows that it writes until its end."""


@dataclass(frozen=True, slots=True)
class RetriedEvents:
    """How many events were tried and done, and how many are open still."""

    tried: int
    done: int
    open: int


def need_events(connection: Connection) -> None:
    """
    Raises:
        NoRun: accounts and profiles are not kept synchronized here.
    """
    if connection.execute(_block("exists")).fetchone() != (True,):
        raise NoRun(
            "Accounts and profiles are not synchronized in this database (there is no tenantry.auth_event).",
            hint="`tenantry migrate` makes what does it, where the manifest says [users] in_step = true.",
        )


def list_events(connection: Connection, *, everything: bool, limit: int | None) -> tuple[int, list[dict[str, Any]]]:
    """How many events are open, and those that are asked for, the oldest first.

    Args:
        everything: also events that are done.
        limit: None: all of them.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_block("listed"), {"everything": everything, "limit": limit}).fetchall()
        count = cursor.execute(_block("open")).fetchone()
    return (0 if count is None else int(count["open"])), found


def retry_events(connection: Connection, *, everything: bool) -> RetriedEvents:
    """Try what is due, batch by batch, each in a transaction of its own.

    Args:
        everything: also what would wait longer.
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
