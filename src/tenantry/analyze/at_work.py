"""Who is at work in the database at this moment: open transactions that a run would have to wait for, and the sessions for which there
is room. `look_who_is_at_work` reads; the rest is pure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from tenantry.analyze.finding import Finding
from tenantry.mapping import Project
from tenantry.postgres import ident, literal, load_blocks

Connection = psycopg.Connection[tuple[Any, ...]]

SESSIONS = 7
"""What `tenantry migrate` opens: two workers, and five sessions beside them."""

_LONG = 5.0
"""Seconds from which a transaction is one that others notice; locks are tried for 900 ms at a time."""
_LOOK_AGAIN = 1.1


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that has not ended.

    Attributes:
        tables: source tables that others cannot lock against writers meanwhile.
        who: the session, or the prepared transaction, in words.
        seconds: None where the login may not see it: longer than one second.
        gid: of a prepared one, which has no session.
    """

    tables: tuple[str, ...]
    who: str
    seconds: float | None
    idle: bool = False
    gid: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of sessions.

    Attributes:
        what: whose, as it stands in ALTER: role x, database y; or the server.
    """

    what: str
    most: int
    used: int


@dataclass(frozen=True, slots=True)
class AtWork:
    """
    Attributes:
        limits: those that leave too little room for a run.
    """

    transactions: tuple[OpenTransaction, ...] = ()
    limits: tuple[Limit, ...] = ()
    standby: bool = False


NOBODY = AtWork()


def look_who_is_at_work(connection: Connection, project: Project) -> AtWork:
    """Ask the server's views. Where they do not say how old a transaction is, a second look a moment later tells who is still there."""
    blocks = load_blocks("tenantry.analyze", "surroundings")
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


def at_work(now: AtWork) -> Iterator[Finding]:
    """The findings about it."""
    for each in now.transactions:
        table = each.tables[0] if len(each.tables) == 1 else ""
        if each.gid:
            name = literal(each.gid)
            locked = f", has written {', '.join(each.tables)}" if each.tables else ", has locked no source table"
            yield Finding(
                "TA-150", "warning" if each.tables else "notice", "risk", table,
                f"{each.who}, prepared {each.seconds or 0:.0f} s ago{locked}",
                advice=("It holds its locks until somebody ends it, however long that takes: the run can set no triggers there, and cannot"
                " be cut over. " if each.tables else "It keeps VACUUM from its work, and nobody may know of it. ")
                + f"Run commit prepared {name} or rollback prepared {name} in this database.",
            )  # fmt: skip
            continue
        age = "for more than a second" if each.seconds is None else f"for {each.seconds:.0f} s"
        yield Finding(
            "TA-151", "warning", "risk", table,
            f"{each.who} has been in a transaction {age} that has locked {', '.join(each.tables)}",
            advice="As long as one such transaction is open, the run can set no triggers there, and cannot be cut over: it waits, tries again,"
            " and gives up. "
            + (
                "The application leaves it open and does nothing: let it end its transactions, or bound them"
                " (idle_in_transaction_session_timeout)."
                if each.idle
                else "Begin the run, and cut over, when no work of that kind is going on."
            ),
        )  # fmt: skip
    for limit in now.limits:
        mend = "raise max_connections" if limit.what == "the server" else f"alter {limit.what} connection limit …"
        yield Finding(
            "TA-152", "warning", "risk", "",
            f"{limit.what} may have {limit.most} sessions, of which {limit.used} are taken: a run needs {SESSIONS}",
            advice=f"It would end with TN-207 in the middle of its work. Before the run, {mend}, or close sessions that nobody needs;"
            " `tenantry migrate --workers 1` needs one less.",
        )  # fmt: skip
    if now.standby:
        yield Finding(
            "TA-153", "notice", "risk", "", "this server is a standby, which nobody can write",
            advice="`tenantry analyze` and `plan` may read it. Give `tenantry migrate` and all that follows the address of the primary"
            " server: here they refuse to begin (TN-408).",
        )  # fmt: skip


__all__ = ["NOBODY", "AtWork", "Limit", "OpenTransaction", "at_work", "look_who_is_at_work"]
