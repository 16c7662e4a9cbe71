"""The state of one rehearsal, and the timing of its stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from tenantry.dbcopy.original import Copy
from tenantry.errors import RunInterrupted, TenantryError, VerificationFailed
from tenantry.journal.journal import Connection
from tenantry.manifest import Manifest
from tenantry.migrate.follow import follow
from tenantry.migrate.switch.switchover import Bounds, Switchover
from tenantry.postgres import explain
from tenantry.rehearse.fingerprint import State
from tenantry.rehearse.model import Carried, Rehearsal, RehearsalProblem, RehearsalStage, RehearsedSwitch, Wishes
from tenantry.rehearse.synthetic_writes import Writer
from tenantry.rehearse.watching import Meter, RehearsalWatcher


class StageFailed(Exception):
    """A part failed; its problem is recorded."""


@dataclass
class RehearsalRun:
    """One rehearsal, on its copy.

    Attributes:
        connection: to the copy, as the login that migrates.
        prefix: the program's name in commands of the report.
        keys: source table → keys of the rows that synthetic writes change.
        before: the source's content before the migration.
        digest: of the source's schema before the migration.
        also: source table → columns that triggers change with the synthetic writes.
    """

    copy: Copy
    manifest: Manifest
    wishes: Wishes
    watcher: RehearsalWatcher
    result: Rehearsal
    prefix: str
    connection: Connection
    meter: Meter
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    before: State = field(default_factory=State)
    digest: str = ""
    also: dict[str, set[str]] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.wishes.max_stall, max(30.0, 20 * self.wishes.max_stall))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, and record its failure as a problem.

        Raises:
            StageFailed: it failed; its problem is recorded.
        """
        begun, (_, wal) = time.monotonic(), self.meter.look()
        self.watcher.stage(name)
        error: TenantryError | None = None
        try:
            yield
        except TenantryError as found:
            error = found
        except psycopg.Error as found:
            error = explain(found, f"rehearsing ({name})")
        if isinstance(error, RunInterrupted):
            raise error
        try:
            size, now = self.meter.look()
        except psycopg.Error:
            size, now = 0, wal
        self.result.stages.append(RehearsalStage(name, time.monotonic() - begun, now - wal, size))
        if error is not None:
            if isinstance(error, VerificationFailed):
                listed = error.detail.get("differences")
                self.result.differences += [str(each) for each in listed] if isinstance(listed, list) else []
            self.problem(name, error.message, error.hint, error.code)
            raise StageFailed

    def problem(self, stage: str, what: str, advice: str = "", code: str = "") -> None:
        self.result.problems.append(RehearsalProblem(stage, what, advice, code))

    def differ(self, stage: str, found: Sequence[str]) -> None:
        self.result.differences += found
        if found:
            self.problem(
                stage,
                f"Source and target differ in {len(found)} places: {'; '.join(found[:3])}",
                "The cause is a transform of the manifest, its reverse, or a defect of Tenantry.",
            )

    def follow(self, until: float | None = None) -> None:
        """Replay the writes: until none is left, or, under load, until the given time."""
        if until is not None:
            stopped: Callable[[], bool] = lambda: time.monotonic() > until  # noqa: E731
            done = follow(self.copy.dsn, self.manifest, observer=self.watcher, stopped=stopped)
        else:
            done = follow(self.copy.dsn, self.manifest, until_idle=True, observer=self.watcher)
        if done.entries:
            self.result.carried.append(Carried(done.direction, done.entries, done.rows, done.refused, done.conflicts))

    def switched(self, name: str, done: Switchover) -> None:
        self.result.turns.append(RehearsedSwitch(name, done.stall, done.longest_stall, done.attempts, done.entries))
