"""Reads the current activity: open transactions that a run would have to wait for, and the sessions that are still
available."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from tenantry.analyze.surroundings import SESSIONS, AtWork, Limit, OpenTransaction
from tenantry.mapping import Project
from tenantry.postgres import ident, literal, load_blocks

Connection = psycopg.Connection[tuple[Any, ...]]

_LONG = 5.0
"""Seconds after which a transaction can delay others; locks are tried for 900 ms at a time."""
_LOOK_AGAIN = 1.1


def look_who_is_at_work(connection: Connection, project: Project) -> AtWork:
    """Query the server's views. If they do not show the age of a transaction, a second look shows whether it is still
    open."""
    blocks = load_blocks("tenantry.analyze.probes", "surroundings")
    tables = [
        ident(each.schema, each.name)
        for table in project.source_tables
        for each in (project.source.table(table.name) or table).holding
    ]

    def look() -> list[tuple[Any, ...]]:
        return connection.execute(blocks["open_transactions"], {"tables": tables}).fetchall()

    found = look()
    if any(row[6] is None for row in found):
        time.sleep(_LOOK_AGAIN)
        still = {row[0] for row in look()}
        found = [row for row in found if row[6] is not None or row[0] in still]
    transactions = []
    for _, locked, pid, application, user, state, seconds, gid, owner in found:
        if gid is not None:
            who = f"prepared transaction {literal(gid)} of {owner}"
        elif seconds is None or seconds >= _LONG:
            who = f"pid {pid} ({', '.join(str(each) for each in (application, user, state) if each) or 'no name'})"
        else:
            continue
        idle = state is not None and str(state).startswith("idle in transaction")
        transactions.append(OpenTransaction(tuple(locked), who, seconds, idle, gid or ""))
    limits = []
    for kind, name, most, used in connection.execute(blocks["room"]).fetchall():
        if most - used < SESSIONS:
            limits.append(Limit(f"{kind} {ident(str(name))}" if name else "the server", int(most), int(used)))
    standby = connection.execute(blocks["standby"]).fetchone()
    return AtWork(tuple(transactions), tuple(limits), standby == (True,))
