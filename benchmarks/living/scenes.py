"""The scenes of the benchmark: who writes, what Tenantry does meanwhile, and what is measured of both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import psycopg

from benchmarks.copying.ground import Connection, Ground, say
from benchmarks.living.tool import Ran, Task, manifest, run
from benchmarks.living.writers import Speed, load, make_logins
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import connect
from tenantry.statements.capture import source_capture

_SETTLE = 0.5
"""Seconds after a change of scene that count for nothing."""


@contextmanager
def _admin(dsn: str) -> Iterator[Connection]:
    # By this name Tenantry does not take it for a stranger under its login.
    with psycopg.connect(dsn, autocommit=True, application_name="tenantry: benchmark") as connection:
        yield connection


def _one(connection: Connection, query: str) -> float:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return float(row[0])


def _wal(connection: Connection) -> float:
    return _one(connection, "select pg_current_wal_insert_lsn() - '0/0'")


@dataclass(frozen=True)
class Migrated:
    """A whole migration, and the bytes of WAL that the server wrote meanwhile."""

    ran: Ran
    wal: float
    speeds: dict[str, Speed]
    """What the writers saw, by phase of the migration."""
    stall: float = 0.0

    @property
    def total(self) -> float:
        return self.ran.total


def migrate(dsn: str, workers: int, *, writers: int = 0, rate: float = 0.0) -> Migrated:
    """Migrate, while writers write or while nobody does.

    Args:
        rate: of all writers together; 0: a closed loop.
    """
    with _admin(dsn) as admin:
        before = _wal(admin)
        if not writers:
            ran = run(Task("migrate", dsn, workers))
            return Migrated(ran, _wal(admin) - before, {})
        with load(dsn, writers, rate=rate) as at_work:
            ran = run(Task("migrate", dsn, workers))
            written = _wal(admin) - before
    speeds = {name: at_work.log.speed(ran.stretch(name)) for name, _ in ran.phases}
    return Migrated(ran, written, speeds, at_work.log.stall(ran.begun, ran.ended))


@dataclass(frozen=True)
class Capture:
    """Writers with and without the triggers that note changes, in turns on one database."""

    plain: Speed
    noted: Speed
    plain_wal: float
    noted_wal: float
    """Bytes of WAL for a transaction."""


def capture(dsn: str, writers: int, *, rate: float, turns: int, seconds: float) -> Capture:
    """Needs a run that has capture and has not begun to copy: what is not noted here need not be carried over."""
    connection = connect(dsn, name="tenantry: benchmark")
    try:
        project = prepare(connection, manifest()).project
        stretches: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        wal = {False: 0.0, True: 0.0}
        with load(dsn, writers, rate=rate) as at_work:
            time.sleep(2 * seconds)  # pages that are touched for the first time cost more
            for turn in range(2 * turns):
                # without, with, with, without: what changes steadily falls on both alike
                on = turn % 4 in (1, 2)
                for statement in source_capture(project, on=on):
                    connection.execute(statement.encode())
                time.sleep(_SETTLE)
                begun, before = time.monotonic(), _wal(connection)
                time.sleep(seconds)
                stretches[on].append((begun, time.monotonic()))
                wal[on] += _wal(connection) - before
        for statement in source_capture(project, on=True):
            connection.execute(statement.encode())
        connection.execute("truncate tenantry.source_log")
    finally:
        connection.close()
    plain, noted = (at_work.log.speed(*stretches[on]) for on in (False, True))
    return Capture(plain, noted, wal[False] / max(1, plain.count), wal[True] / max(1, noted.count))


def begin(dsn: str) -> None:
    """A run up to its copy: changes are noted."""
    run(Task("migrate", dsn, stop="copy"))


@dataclass(frozen=True)
class Drained:
    """Entries a second: noted by writers in a closed loop, and carried over when nobody writes."""

    entries: int
    noted: float
    carried: float


def drain(dsn: str, writers: int, entries: int) -> Drained:
    """Let the log fill, then empty it."""
    with _admin(dsn) as admin, load(dsn, writers):
        time.sleep(_SETTLE)
        begun, before = time.monotonic(), _one(admin, "select count(*) from tenantry.source_log")
        while True:
            time.sleep(0.5)
            found, now = _one(admin, "select count(*) from tenantry.source_log"), time.monotonic()
            if found >= entries:
                break
        noted = (found - before) / (now - begun)
    ran = run(Task("drain", dsn))
    return Drained(ran.entries, noted, ran.entries / ran.seconds)


@dataclass(frozen=True)
class Followed:
    """Writers while replay keeps the target in step, and what it carried over in a second."""

    speed: Speed
    carried: float


def follow(dsn: str, writers: int, *, rate: float, seconds: float) -> Followed:
    with load(dsn, writers, rate=rate) as at_work:
        ran = run(Task("follow", dsn, seconds=seconds))
    return Followed(at_work.log.speed((ran.rounds, ran.ended)), ran.entries / ran.seconds)


@dataclass(frozen=True)
class Turns:
    """Cut-overs and ways back under load; times in milliseconds.

    Attributes:
        held: how long the turn kept writers out, by its own clock: all of them, in every attempt.
        waited: how long the writer waited who waited longest.
        entries: carried over while writers were kept out, the median.
        attempts: of all turns together.
    """

    name: str
    held: tuple[float, ...]
    waited: tuple[float, ...]
    entries: float
    attempts: int


def turn(dsn: str, writers: int, *, rate: float, times: int) -> tuple[list[Turns], Speed, Ran]:
    with load(dsn, writers, rate=rate, both=True) as at_work:
        ran = run(Task("turn", dsn, times=times))
    found = []
    for name in ("cut over", "roll back"):
        mine = [each for each in ran.turns if each["name"] == name]
        found.append(
            Turns(
                name,
                tuple(each["longest_stall"] * 1000 for each in mine),
                tuple(at_work.log.stall(each["begun"], each["ended"]) for each in mine),
                median(each["entries"] for each in mine) if mine else 0,
                sum(each["attempts"] for each in mine),
            )
        )
    return found, at_work.log.speed((ran.begun, ran.ended)), ran


def plain(dsn: str, writers: int, *, rate: float, seconds: float) -> Speed:
    """Writers by themselves, on a database without Tenantry."""
    with load(dsn, writers, rate=rate) as at_work:
        time.sleep(seconds / 2)
        begun = time.monotonic()
        time.sleep(seconds)
        ended = time.monotonic()
    return at_work.log.speed((begun, ended))


def fresh(field: Ground, name: str) -> str:
    """A new database in which the applications have their rights."""
    dsn = field.fresh(name)
    make_logins(dsn)
    return dsn


def told(name: str, speed: Speed) -> None:
    """Progress, with the transactions' own latencies."""
    say(
        f"  {name:28} {speed.rate:7.0f} /s, p50 {speed.p50:6.2f} ms, p99 {speed.p99:7.2f} ms"
        f" (from when due {speed.due_p99:.0f}), longest {speed.stall:7.1f} ms"
    )


__all__ = [
    "Capture",
    "Drained",
    "Followed",
    "Migrated",
    "Turns",
    "begin",
    "capture",
    "drain",
    "follow",
    "fresh",
    "migrate",
    "plain",
    "told",
    "turn",
]
