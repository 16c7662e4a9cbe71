"""The change queues: pending entries, taking entries, and the size of a round."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL

ROUND_ENTRIES = 50_000
"""The largest number of entries per round, however fast it is: limits what a kill costs."""

BOTH_LEAST = 20
"""The smallest number of source entries per round in the dual-write window, however long they take."""

ROUND_SECONDS = 1.0
"""The approximate duration of a round. During a round, TRUNCATE and ALTER of the tables that it reads wait for it, and block
everyone behind them."""

EVERYTHING = 1_000_000_000
"""A limit of entries that means: all visible ones."""


@dataclass
class Round:
    """The result of one round. Times in seconds."""

    entries: int = 0
    keys: int = 0
    rows: int = 0
    refused: int = 0
    oldest: float = 0.0
    """Age in seconds of the oldest taken entry."""
    complete: bool = True
    """Whether it took all visible entries. If not, some rows may be newer than others, and are not compared yet."""
    reversed_entries: int = 0
    """Entries of the target's queue."""
    conflicts: int = 0


class RoundPace:
    """The number of entries per round: as many as recent rounds replayed within some seconds."""

    def __init__(self, *, seconds: float = ROUND_SECONDS, least: int = 2_000, first: int = ROUND_ENTRIES // 5) -> None:
        self._seconds, self._least = seconds, least
        self.limit = first

    def tell(self, entries: int, seconds: float) -> None:
        """Record the entries and the duration of a round with this limit."""
        if seconds > 2 * self._seconds:
            self.limit = max(self._least, int(min(entries, self.limit) * self._seconds / seconds))
        elif entries >= self.limit and seconds < self._seconds / 2:
            self.limit = min(ROUND_ENTRIES, 2 * self.limit)

    def less(self) -> None:
        """Record that a round with this limit was given up."""
        self.limit = max(self._least, self.limit // 4)


class TooLong(Exception):
    """A round took longer than writers may wait behind it; it was rolled back."""


def take_log(
    connection: Connection, log: str, into: str, limit: int, *, side: str | None = None, also: str | None = None
) -> tuple[int, float]:
    """Move the keys of visible entries into a temporary table, each with the time of its last change, and remove exactly these
    entries. Return their number, and the age of the oldest in seconds.

    The time is that of the commit if the server records it (track_commit_timestamp), otherwise that of the statement.

    Args:
        side: in the dual-write window, the side of the queue: the contents of its changes are kept for the round.
        also: a condition over entries that are taken in addition to the limit.
    """
    row = connection.execute("select current_setting('track_commit_timestamp')").fetchone()
    when = "pg_xact_commit_timestamp(xmin)" if row is not None and row[0] == "on" else "at"
    some = f" where ctid = any (array(select ctid from {JOURNAL}.{log} limit {limit}))" if limit < EVERYTHING else ""
    if some and also:
        some += f" or {also}"
    said = ""
    if side is not None:
        said = (
            "said as (insert into tenantry_said select distinct on (g.place, k.key)"
            f" '{side}', g.table_name, k.key, g.changed, case when k.key = g.new_key then g.image end, g.was from gone g"
            " cross join lateral (values (g.old_key), (g.new_key)) k (key) where k.key is not null),\n"
        )
    row = connection.execute(
        f"with gone as (delete from {JOURNAL}.{log}{some}"
        f" returning ctid as place, table_name, old_key, new_key, at, image, was, coalesce({when}, at) as changed),\n{said}"
        f"keys as (insert into {into} select g.table_name, k.key, max(g.changed), bool_or(g.was is null) from gone g cross join lateral"
        " (values (g.old_key), (g.new_key)) k (key) where k.key is not null"
        " or (g.old_key is null and g.new_key is null) group by 1, 2)\n"
        "select count(*), coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 from gone"
    ).fetchone()
    assert row is not None
    return int(row[0]), float(row[1])


def pending(connection: Connection, log: str = "source_log") -> tuple[int, float, int]:
    """Return pending entries (100,000 if there are more), age of the oldest in seconds, and bytes of the queue."""
    row = connection.execute(
        f"select (select count(*) from (select from tenantry.{log} limit 100000) z),"
        f" coalesce(extract(epoch from clock_timestamp() - (select min(at) from (select at from tenantry.{log} limit 1000) z)), 0)"
        f"::float8, pg_total_relation_size('tenantry.{log}')"
    ).fetchone()
    assert row is not None
    return int(row[0]), float(row[1]), int(row[2])
