"""The context and the results of a run so far: one value that the engine makes and its executors share."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenantry.journal.journal import Connection, Journal
from tenantry.mapping import Project
from tenantry.migrate.copy import ranges
from tenantry.migrate.replay.round import Rounds
from tenantry.migrate.session.connections import Session
from tenantry.migrate.session.guard import Watch
from tenantry.migrate.session.observer import Observer
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.migrate.verify.results import Verification
from tenantry.plan import Step


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run.

    Attributes:
        workers: number of connections that copy, index and verify in parallel.
        chunk_rows: source rows of the smallest key range; ranges are copied together until a statement takes chunk_seconds.
        chunk_seconds: approximate duration of one statement of the copy; None: chunk_target of [throttle].
        lock_patience: seconds of attempts to lock a table, to set triggers.
        work_mem, maintenance_work_mem: what each worker may use in the server for hashing, and for building indexes.
    """

    workers: int = 2
    chunk_rows: int = ranges.CHUNK_ROWS
    chunk_seconds: float | None = None
    lock_patience: float = 60.0
    work_mem: str = "128MB"
    maintenance_work_mem: str = "256MB"


@dataclass
class Results:
    """The results of a run.

    Attributes:
        rows: target rows that the copy has written.
        candidates: mapping → keys of candidate mismatches, which differed while both sides were read at different moments.
        ranges: mapping → number of compared key ranges.
        verifications: results of checks of the whole target, and at the end also of all mappings.
    """

    rows: int = 0
    candidates: dict[str, list[str]] = field(default_factory=dict)
    ranges: dict[str, int] = field(default_factory=dict)
    verifications: list[Verification] = field(default_factory=list)


@dataclass(frozen=True)
class RunContext:
    """Everything that a step needs. `main` is the engine's own connection; workers have their own."""

    main: Connection
    journal: Journal
    project: Project
    session: Session
    throttle: Throttle
    options: Options
    observer: Observer
    watch: Watch
    rounds: Rounds
    results: Results = field(default_factory=Results)

    def mark_done(self, connection: Connection, step: Step, rows: int | None = None) -> None:
        """Mark a step as done in the journal, within the transaction that did it, if there is one."""
        self.journal.say(connection, "step_done", step=step.id, rows=rows, message=None)
