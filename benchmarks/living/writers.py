"""An application that writes: short transactions of two statements, each writer on a connection and in a process of its own.

Every transaction is noted with the moment in which it was due, that in which it began, and that in which its commit was
acknowledged. The clock is the machine's, so that all processes mean the same by a moment.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg

from benchmarks.copying.ground import Connection
from tenantry.postgres import ident, literal, with_parameters

LAUNCHER = Path(__file__).resolve().parents[1] / "live.py"

APP = {"source": "clinic_app", "target": "clinic_service"}
"""The logins of the old application and of the new one; neither is the migrator's."""

_POOL = 20_000
"""Metric values that a writer knows of: more than the server's cache has room for, less than takes long to read."""
_INSERTS = 0.3
_TURNED_AWAY = (pg.ReadOnlySqlTransaction, pg.InsufficientPrivilege)
"""What an application gets that writes the side from which it was sent away."""


def make_logins(dsn: str) -> None:
    """The applications' logins and rights. For the server's superuser; can be called again."""
    with psycopg.connect(dsn, autocommit=True, application_name="tenantry: benchmark") as admin:
        for login in APP.values():
            admin.execute(
                f"do $$ begin if to_regrole({literal(login)}) is null then create role {ident(login)} login; end if; end $$"
            )
        admin.execute(
            f"grant service_role to {APP['target']}; grant usage on schema public to {APP['source']};"
            f" grant select, insert, update, delete on all tables in schema public to {APP['source']}"
        )


# -- in the process of one writer ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Orders:
    """What one writer is to do.

    Attributes:
        rate: transactions a second; 0: each as soon as the last one has been acknowledged.
        both: it goes to the other side when it is turned away.
        file: where it writes down its transactions.
    """

    dsn: str
    number: int
    rate: float
    both: bool
    file: str


class _Side:
    """The statements of the application on one side."""

    def __init__(self, dsn: str, side: str, rng: random.Random) -> None:
        self.rng = rng
        self.connection: Connection = psycopg.connect(
            with_parameters(dsn, user=APP[side]), autocommit=True, application_name="clinic"
        )
        self.values = self._pool(self.VALUES, "metric_values")
        self.goals, self.widgets, self.sheets = (self._rows(text) for text in self.OTHERS)

    VALUES: str
    OTHERS: tuple[str, str, str]
    INSERT: str
    UPDATE: str
    GOAL: str
    WIDGET: str
    SHEET: str

    def _rows(self, text: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(text.encode()).fetchall()

    def _pool(self, text: str, table: str) -> list[tuple[Any, ...]]:
        schema = "clinic" if isinstance(self, _Target) else "public"
        row = self.connection.execute(
            "select reltuples from pg_class where oid = to_regclass(%s)", [f"{schema}.{table}"]
        )
        found = row.fetchone()
        assert found is not None
        share = min(100.0, max(0.01, 100.0 * _POOL / max(1.0, float(found[0]))))
        return self._rows(f"{text} tablesample bernoulli ({share}) repeatable ({self.rng.randrange(1000)})")

    def write(self) -> None:
        """One transaction: a metric value comes or changes, and something else with it."""
        rng, connection = self.rng, self.connection
        with connection.transaction():
            row = dict(zip(("id", "metric", "clinic", "provider", "sheet"), rng.choice(self.values), strict=True))
            row["amount"] = amount = f"{rng.randrange(1_000_000) / 100:.2f}"
            if rng.random() < _INSERTS:
                row["id"], row["day"] = self.new_key(), datetime(1990, 1, 1) + timedelta(days=rng.randrange(7000))
                connection.execute(self.INSERT.encode(), row)
            else:
                connection.execute(self.UPDATE.encode(), row)
            dice = rng.random()
            if dice < 0.5:
                connection.execute(self.GOAL, [amount, *rng.choice(self.goals)])
            elif dice < 0.8:
                connection.execute(self.WIDGET, [rng.randrange(12), *rng.choice(self.widgets)])
            else:
                connection.execute(self.SHEET, rng.choice(self.sheets))

    def new_key(self) -> object:
        return uuid.uuid4()  # not of the seed: every load is to have its own


class _Source(_Side):
    VALUES = "select id, metric_definition_id, clinic_id, provider_id, data_source_id from metric_values"
    OTHERS = ("select id from goals", "select id from widgets", "select id from data_sources")
    INSERT = (
        "insert into metric_values (id, date, value, source_type, metric_definition_id, clinic_id, provider_id, data_source_id,"
        " updated_at) values (%(id)s, %(day)s, %(amount)s, 'form', %(metric)s, %(clinic)s, %(provider)s, %(sheet)s,"
        " localtimestamp)"
    )
    UPDATE = "update metric_values set value = %(amount)s, updated_at = localtimestamp where id = %(id)s"
    GOAL = "update goals set target_value = %s, updated_at = localtimestamp where id = %s"
    WIDGET = "update widgets set position_x = %s, updated_at = localtimestamp where id = %s"
    SHEET = "update data_sources set last_synced_at = localtimestamp, updated_at = localtimestamp where id = %s"

    def new_key(self) -> object:
        return f"c{uuid.uuid4().hex[:24]}"


class _Target(_Side):
    VALUES = "select id, metric_definition_id, clinic_id, provider_id, connection_id from clinic.metric_values"
    OTHERS = (
        "select clinic_id, id from clinic.goals",
        "select clinic_id, id from clinic.widgets",
        "select clinic_id, id from clinic.spreadsheet_connections",
    )
    INSERT = (
        "insert into clinic.metric_values (id, date, value, source_type, metric_definition_id, clinic_id, provider_id,"
        " connection_id) values (%(id)s, %(day)s, %(amount)s, 'form', %(metric)s, %(clinic)s, %(provider)s, %(sheet)s)"
        " on conflict do nothing"
    )
    UPDATE = (
        "update clinic.metric_values set value = %(amount)s, updated_at = now()"
        " where clinic_id = %(clinic)s and id = %(id)s"
    )
    GOAL = "update clinic.goals set target_value = %s where clinic_id = %s and id = %s"
    WIDGET = "update clinic.widgets set position_x = %s where clinic_id = %s and id = %s"
    SHEET = "update clinic.spreadsheet_connections set last_synced_at = now() where clinic_id = %s and id = %s"


def child(orders: Orders) -> None:
    """What runs in the process of one writer, until SIGTERM, or until whoever started it is gone."""
    parent = os.getppid()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rng = random.Random(orders.number)  # noqa: S311 - invented data
    sides: list[_Side] = [_Source(orders.dsn, "source", rng)]
    if orders.both:
        sides.append(_Target(orders.dsn, "target", rng))
    for side in sides:
        side.connection.prepare_threshold = 0
    print("ready", flush=True)
    done = array("d")
    # Not all at the same moment.
    due = time.monotonic() + (rng.random() / orders.rate if orders.rate else 0)
    while not stopped and os.getppid() == parent:
        now = time.monotonic()
        if not orders.rate:
            due = now
        elif due > now:
            time.sleep(min(due - now, 0.2))
            continue
        begun = now
        while not stopped:
            try:
                sides[0].write()
                break
            except (pg.DeadlockDetected, pg.SerializationFailure):
                continue  # as any application would
            except _TURNED_AWAY:
                if not orders.both:
                    raise
                sides.reverse()
                # Nobody asks faster: between two turns both sides refuse for a moment.
                time.sleep(0.002)
        else:
            break
        done.extend((due, begun, time.monotonic()))
        due += 1 / orders.rate if orders.rate else 0
    with Path(orders.file).open("wb") as file:
        done.tofile(file)


# -- in the process that measures ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speed:
    """Transactions that were acknowledged in some stretches of time. Latencies in milliseconds.

    Attributes:
        p50, p99: from the moment in which a transaction began.
        due_p50, due_p99: from the moment in which it was due: who comes behind one that takes long waits as well, and
            where writers cannot keep their pace any more, it says how far they are behind.
        stall: the longest one.
    """

    count: int
    rate: float
    p50: float
    p99: float
    due_p50: float
    due_p99: float
    stall: float


class Log:
    """What a load's writers noted."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.done: list[tuple[float, float, float]] = []
        for path in files:
            numbers = array("d")
            numbers.frombytes(path.read_bytes())
            self.done += zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True)
        self.done.sort(key=lambda each: each[2])

    def speed(self, *stretches: tuple[float, float]) -> Speed:
        found: list[tuple[float, float, float]] = []
        seconds = 0.0
        for begin, end in stretches:
            low = bisect_left(self.done, begin, key=lambda each: each[2])
            high = bisect_left(self.done, end, key=lambda each: each[2])
            found += self.done[low:high]
            seconds += end - begin
        if not found:
            return Speed(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        own = sorted((end - begun) * 1000 for _, begun, end in found)
        due = sorted((end - due) * 1000 for due, _, end in found)
        return Speed(
            len(found),
            len(found) / seconds,
            _part(own, 0.5),
            _part(own, 0.99),
            _part(due, 0.5),
            _part(due, 0.99),
            own[-1],
        )

    def stall(self, begin: float, end: float) -> float:
        """Milliseconds of the longest transaction that was under way at some moment of a stretch of time."""
        low = bisect_left(self.done, begin, key=lambda each: each[2])
        longest = 0.0
        for _, begun, ended in self.done[low:]:
            if begun <= end:
                longest = max(longest, ended - begun)
            if ended > end + 30:
                break
        return longest * 1000


def _part(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Load:
    """Writers at work; `log` is filled when they have stopped."""

    def __init__(self, dsn: str, writers: int, *, rate: float = 0.0, both: bool = False) -> None:
        """
        Args:
            rate: transactions a second of all writers together; 0: a closed loop.
        """
        self.log: Log = Log(())
        self._folder = Path(tempfile.mkdtemp(prefix="tenantry-load-"))
        self._files = [self._folder / str(number) for number in range(writers)]
        self._processes = []
        for number, file in enumerate(self._files):
            orders = Orders(dsn, number, rate / writers, both, str(file))
            command = [sys.executable, str(LAUNCHER), "--writer", json.dumps(asdict(orders))]
            self._processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                self.stop()
                raise RuntimeError("a writer could not begin")
        time.sleep(0.3)

    def stop(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=60) for process in self._processes]
        if any(codes):
            raise RuntimeError(f"a writer failed: {codes}")
        self.log = Log(self._files)
        for file in self._files:
            file.unlink()
        self._folder.rmdir()


@contextmanager
def load(dsn: str, writers: int, *, rate: float = 0.0, both: bool = False) -> Iterator[Load]:
    """Writers for as long as the context lasts."""
    made = Load(dsn, writers, rate=rate, both=both)
    try:
        yield made
    finally:
        made.stop()


__all__ = ["APP", "LAUNCHER", "Load", "Log", "Orders", "Speed", "child", "load", "make_logins"]
