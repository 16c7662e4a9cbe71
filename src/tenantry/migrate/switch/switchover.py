"""Switches which side applications write: source to target (cutover), both (dual-write window), or back. Each switch is one
transaction that locks the active side, replays the rest, compares it, and opens the other side.

Writers wait meanwhile, so the write pause has a bound that the server enforces. An attempt that exceeds it is rolled back and
retried a little later.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import psycopg
from psycopg import errors as pg

from tenantry.errors import CutOverFailed, VerificationFailed
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import from_part, source_key
from tenantry.migrate.replay.queue import EVERYTHING, Round
from tenantry.migrate.replay.round import run_round
from tenantry.migrate.run.carry import carry_changes
from tenantry.migrate.run.compare_sides import touched_differences
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.connections import ENDED
from tenantry.migrate.session.locks import blockers
from tenantry.migrate.session.write_pause import Pause
from tenantry.migrate.verify import compare as verify
from tenantry.migrate.verify.likely_causes import likely
from tenantry.migrate.verify.results import Difference
from tenantry.plan import Step
from tenantry.postgres import ident, verbatim
from tenantry.statements.capture import direction_sql

Direction = Literal["forward", "both", "reverse"]

_SHARE_OF_COMMIT = 0.85
"""The share of the bound after which no commit starts: the commit itself takes time."""


@dataclass(frozen=True, slots=True)
class Switchover:
    """A switch that was done.

    Attributes:
        stall: write pause of the successful attempt in seconds, measured by the server.
        longest_stall: write pause of the longest attempt, in seconds.
        entries: queue entries that were replayed meanwhile.
        already: it was done before, and this call changed nothing; the figures are those of the earlier call.
    """

    direction: Direction
    stall: float
    longest_stall: float
    attempts: int
    entries: int
    already: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the attempts.

    Attributes:
        max_stall: longest write pause in seconds; an attempt that takes longer is rolled back.
        patience: seconds after which no further attempt is made.
    """

    max_stall: float = 1.0
    patience: float = 120.0


@dataclass(frozen=True, slots=True)
class Switch:
    """What a switchover changes.

    Attributes:
        to: which side applications write afterwards.
        statements: what opens one side and closes the other.
        tables: qualified names of the tables of the active side, which are locked.
        phase, status: those of the run afterwards.
        event: code and text for the journal.
        step: the plan's step that the switch does or undoes.
        undone: whether it undoes the step.
        grace: seconds of the dual-write window.
        check: called after everything is replayed; an exception rolls the attempt back and is raised.
    """

    to: Direction
    statements: Sequence[str]
    tables: Sequence[str]
    phase: str
    status: str
    event: tuple[str, str]
    step: Step | None = None
    undone: bool = False
    grace: float | None = None
    check: Callable[[Connection], None] = lambda _connection: None


def turn(live: RunHandle, switch: Switch, bounds: Bounds) -> Switchover:
    """Do it, within the bounds.

    Raises:
        CutOverFailed: no attempt succeeded; nothing was changed.
        VerificationFailed: the replayed rows differ; nothing was changed.
    """
    to = switch.to
    deadline = time.monotonic() + bounds.patience
    attempts, longest = 0, 0.0
    while True:
        attempts += 1
        clock = _Clock()
        begun = time.monotonic()
        try:
            # Only part of the patience is spent here: only an attempt shows whether the bound can be met.
            enough = begun + max(5.0, bounds.patience / 4)
            _caught_up(live, bounds.max_stall / 4, until=min(deadline, enough))
            done = _Attempt(live, switch, bounds, clock, attempts, longest).run()
            live.watch.begin(live.main)
            return Switchover(
                to, clock.seconds, max(longest, clock.seconds), attempts, done.entries + done.reversed_entries
            )
        except (*_PASSING, *ENDED, psycopg.OperationalError, _TooLong) as error:
            longest = max(longest, clock.seconds)
            if _is_switched(live, to):
                return Switchover(
                    to, clock.seconds, longest, attempts, 0
                )  # the commit arrived, only its answer did not
            if not isinstance(error, (*_PASSING, _TooLong)):
                if live.main.closed or not (clock.measured or isinstance(error, ENDED)):
                    raise  # the server is gone, not only this session
                # While this process hung, no attempt could be made.
                deadline += time.monotonic() - begun
                said = (
                    f"{clock.seconds * 1000:.0f} ms: this process hung while it held the locks, or lost its connection"
                )
                what = f"was ended by the server after {said}"
            else:
                said = "; ".join(_in_the_way(live)) or "no session that could be found"
                what = f"was rolled back after {clock.seconds * 1000:.0f} ms. Blocked by: {said}"
            if time.monotonic() > deadline:
                live.journal.event(
                    live.main, "turn_failed", "the switch-over failed",
                    to=to, attempts=attempts, longest_stall_ms=round(longest * 1000),
                )  # fmt: skip
                raise CutOverFailed(
                    f"The switch-over failed: {attempts} attempts in {bounds.patience:g} s exceeded the write pause of"
                    f" {bounds.max_stall:g} s. Nothing was changed. The last attempt {what}. Writers waited for at most"
                    f" {longest * 1000:.0f} ms.",
                    hint="End those transactions, wait for a quieter time (--when-idle, --at), or allow a longer write pause"
                    " (--max-write-pause 3).",
                    detail={"attempts": attempts, "longest_stall_ms": round(longest * 1000)},
                ) from error
            live.observer.notice(f"Attempt {attempts} {what}. Nothing was changed; Tenantry tries again.")
            time.sleep(random.uniform(0.2, 0.8) * min(attempts, 5))  # noqa: S311 - jitter


class _TooLong(Exception):
    """The write pause reached its bound."""


_PASSING = (pg.LockNotAvailable, pg.QueryCanceled, pg.DeadlockDetected, pg.SerializationFailure)


class _Clock:
    """The time that writers have waited: measured by the server once it has, until then by this process's clock."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._ended: float | None = None
        self._pause: Pause | None = None

    @property
    def measured(self) -> bool:
        return self._pause is not None

    def tell(self, pause: Pause | None) -> None:
        self._pause = pause

    def begin(self) -> None:
        self._begun = time.monotonic()

    def end(self) -> None:
        self._ended = time.monotonic()

    @property
    def seconds(self) -> float:
        if self._pause is not None:
            return self._pause.seconds
        if self._begun is None:
            return 0.0
        return (self._ended or time.monotonic()) - self._begun


@dataclass
class _Attempt:
    """Make one attempt in one bounded transaction: lock, replay the last round, compare it, and open the other side."""

    live: RunHandle
    switch: Switch
    bounds: Bounds
    clock: _Clock
    number: int
    longest: float
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Round:
        live, bounds = self.live, self.bounds
        connection = live.rounds
        # Short at first, because other sessions wait as long as a blocked attempt does; at most half of the bound, so that
        # time is left for the work after the lock.
        patience = max(50, min(900, int(bounds.max_stall * 500), 60 * 2 ** (self.number - 1)))
        self._timer = threading.Timer(bounds.max_stall * _SHARE_OF_COMMIT, self._cut_off)
        try:
            return run_round(
                connection,
                live.replayer,
                lambda: self._carry(connection),
                settings=["set local synchronous_commit = on", f"set local lock_timeout = '{patience}ms'"],
                before_commit=self._switch,
            )
        finally:
            self._timer.cancel()
            self.clock.end()
            self.clock.tell(live.guard.ended())

    def _cut_off(self) -> None:
        # Cancelling keeps the session; the server ends it at the bound even if this process hangs.
        self._over.set()
        with suppress(psycopg.Error):
            self.live.rounds.cancel_safe(timeout=1)

    def _in_time(self) -> None:
        if self._over.is_set() or self.clock.seconds > self.bounds.max_stall * _SHARE_OF_COMMIT:
            raise _TooLong

    def _carry(self, connection: Connection) -> Round:
        live = self.live
        # While both sides are written, rows of the other side may be locked too often.
        both = live.run.direction == "both" and self.number > 1
        tables = [*source_tables(live), *target_tables(live)] if both else self.switch.tables
        order = busiest_first(live, tables)
        self._id = live.guard.bound(connection, self.bounds.max_stall)
        self.clock.begin()
        self._timer.start()
        # Locks come before any read: the snapshot is taken after them and sees every committed write.
        connection.execute(f"lock table {', '.join(order)} in share row exclusive mode")
        return carry_changes(live, connection, live.run.direction, EVERYTHING)

    def _switch(self, connection: Connection, done: Round) -> None:
        live, switch = self.live, self.switch
        self._in_time()
        _compare(live, connection, live.run.direction, done)
        switch.check(connection)
        self._in_time()
        live.watch.check(connection)
        # Tables with pending deferred checks cannot be altered.
        connection.execute(
            "set constraints all immediate;\n" + ";\n".join([direction_sql(switch.to), *switch.statements])
        )
        if switch.step is not None:
            live.journal.say(connection, "step_started", step=switch.step.id)
            if switch.undone:
                live.journal.say(connection, "reopen_steps", steps=[switch.step.id])
            else:
                live.journal.say(connection, "step_done", step=switch.step.id, rows=done.entries, message=None)
            live.observer.started(switch.step, rows=done.entries, done_rows=0)
        live.journal.say(
            connection, "turn", direction=switch.to, status=switch.status, phase=switch.phase,
            grace=None if switch.grace is None else f"{switch.grace} seconds",
        )  # fmt: skip
        live.journal.event(
            connection, switch.event[0], switch.event[1], entries=done.entries + done.reversed_entries,
            attempt=self._id, stall_ms=round(self.clock.seconds * 1000), longest_stall_ms=round(self.longest * 1000),
        )  # fmt: skip
        self._timer.cancel()
        self._in_time()


def _compare(live: RunHandle, connection: Connection, direction: str, done: Round) -> None:
    """Verify every row that the last entries changed."""
    if not done.complete:
        return
    differences: list[Difference] = []
    if direction in ("forward", "both") and done.entries:
        differences += touched_differences(live, connection)
    if direction in ("reverse", "both") and done.reversed_entries:
        differences += reversed_differences(live, connection)
    if differences:
        listed = "\n  ".join(str(each) for each in differences[:20])
        raise VerificationFailed(
            f"Source and target differ in the rows that were replayed last. Nothing was switched. Differences:\n  {listed}",
            hint=f"Nothing was changed. {' '.join(likely(differences))}",
            detail={"differences": [str(each) for each in differences]},
        )


def reversed_differences(live: RunHandle, connection: Connection) -> list[Difference]:
    """Return the differences among the rows that this round replayed into the source, without target-only rows and conflicts."""
    found: list[Difference] = []
    for mapping in live.project:
        keys = [
            str(row[0])
            for row in connection.execute(
                f"select distinct {verbatim(source_key(mapping, 'c'))} from tenantry_changed c where c.table_name = %s"
                f"{verbatim(from_part(mapping, ' and', 'c'))} and not exists (select from {JOURNAL}.conflict x"
                " where x.table_name = c.table_name and x.legacy_id = c.legacy_id)",
                [mapping.target.name],
            )
        ]
        if keys:
            kept = verify.target_only_in(connection, live.project, mapping)
            found += verify.compare_rows(connection, live.project, mapping, keys, kept)[0]
    return found


def done_before(live: RunHandle) -> Switchover:
    """Return the switch that led to the current state, for a command that is run again after it was done."""
    row = live.journal.say(live.main, "last_turn").fetchone()
    data = {} if row is None else row[1]
    stall = float(data.get("stall_ms") or 0) / 1000
    to: Direction = "both" if live.run.direction == "both" else "reverse" if live.run.is_over else "forward"
    return Switchover(to, stall, stall, 0, int(data.get("entries") or 0), already=True)


def _is_switched(live: RunHandle, to: Direction) -> bool:
    with suppress(psycopg.Error):
        live.refresh()
        return live.run.direction == to
    return False


def _in_the_way(live: RunHandle) -> list[str]:
    found: list[str] = []
    with suppress(psycopg.Error):
        for schema in dict.fromkeys((live.project.source.schema, live.project.target.schema)):
            names = [table.name for table in (*live.project.source.tables, *live.project.target.tables)]
            found += [each for each in blockers(live.main, schema, names) if each not in found]
    # A session that holds only row locks may have no lock that `blockers` finds.
    found += [str(each) for each in live.waits.found if not any(f"pid {each.pid} (" in other for other in found)]
    return found


def busiest_first(live: RunHandle, tables: Sequence[str]) -> list[str]:
    """Return the tables in the order in which applications probably lock them (most written first), to avoid deadlocks."""
    writes = {
        ident(str(schema), str(name)): int(count)
        for schema, name, count in live.main.execute(
            "select schemaname, relname, n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables"
        )
    }
    return sorted(tables, key=lambda table: -writes.get(table, 0))


def source_tables(live: RunHandle) -> list[str]:
    return [ident(live.project.source.schema, table.name) for table in live.project.source_tables]


def target_tables(live: RunHandle) -> list[str]:
    return [ident(live.project.target.schema, name) for name in live.project.by_target]


def compared_round(live: RunHandle) -> Round:
    """A round whose rows are compared before it is committed."""
    return _looked_at_again(
        lambda: live.round(before_commit=lambda c, done: _compare(live, c, live.run.direction, done))
    )


def _caught_up(live: RunHandle, quick: float, *, until: float) -> Round:
    return _looked_at_again(
        lambda: live.catch_up(
            quick=quick,
            stopped=lambda: time.monotonic() > until,
            before_commit=lambda c, done: _compare(live, c, live.run.direction, done),
        )
    )


def _looked_at_again(do: Callable[[], Round]) -> Round:
    """Compare differing rows again while applications write: to a snapshot from before a TRUNCATE the table looks empty
    (https://www.postgresql.org/docs/current/mvcc-caveats.html), and its queue entry is not visible yet."""
    for _ in range(verify.LOOKS - 1):
        with suppress(VerificationFailed):
            return do()
    return do()


def wait_until(live: RunHandle, moment: float, stopped: Callable[[], bool]) -> None:
    """Keep both sides synchronized until a time (seconds since the epoch)."""
    while time.time() < moment and not stopped():
        compared_round(live)
        time.sleep(min(0.5, max(0.0, moment - time.time())))


def wait_until_idle(live: RunHandle, seconds: float, stopped: Callable[[], bool]) -> None:
    """Keep both sides synchronized until no application has written, or held a write lock, for some seconds."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < seconds and not stopped():
        last = compared_round(live)
        if last.entries or last.reversed_entries or _in_the_way(live):
            quiet_since = time.monotonic()
        time.sleep(0.2)


__all__ = [
    "Bounds",
    "Direction",
    "Switch",
    "Switchover",
    "done_before",
    "reversed_differences",
    "source_tables",
    "target_tables",
    "turn",
    "wait_until",
    "wait_until_idle",
]
