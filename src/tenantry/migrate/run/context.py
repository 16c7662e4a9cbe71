"""What a run is carried out with, and what it has found out so far: one value that the engine makes and its executors share."""

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
    """How a migration is run.

    Attributes:
        workers: connections that copy, index and verify side by side.
        chunk_rows: source rows of the smallest key range; as many are carried over as one as take that long.
        chunk_seconds: how long one statement of the copy takes, about; None: as [throttle] says, chunk_target.
        lock_patience: seconds for which a table's lock is tried for, to set triggers.
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
    """What a run found out.

    Attributes:
        rows: target rows that the copy has written.
        suspects: by mapping, keys of rows that differed while both sides were read at different moments.
        ranges: by mapping, the number of key ranges in which it was compared.
        verifications: results of checks of the whole target, and at the end of all mappings.
    """

    rows: int = 0
    suspects: dict[str, list[str]] = field(default_factory=dict)
    ranges: dict[str, int] = field(default_factory=dict)
    verifications: list[Verification] = field(default_factory=list)


@dataclass(frozen=True)
class RunContext:
    """Everything that carrying out a step needs. `main` is the engine's own connection; workers bring theirs."""

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
        """Have the journal know that a step is done: within the transaction that did it, where there is one."""
        self.journal.say(connection, "step_done", step=step.id, rows=rows, message=None)
