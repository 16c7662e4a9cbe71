"""How a run stands, read from the journal by anybody who may, from another terminal as well."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from tenantry.errors import NoRun
from tenantry.migrate.journal import Connection, Journal, last_run, run_sql
from tenantry.migrate.lock import run_lock_holder
from tenantry.plan import PHASES


@dataclass(frozen=True, slots=True)
class StepStatus:
    id: str
    phase: str
    status: str
    seconds: float | None
    rows: int | None
    message: str | None


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """A mapping's copy. `total` is known as soon as its key ranges are planned; rate in rows a second."""

    mapping: str
    chunks: int
    chunks_done: int
    source_rows: int
    target_rows: int
    quarantined_rows: int
    rate: float | None
    remaining_seconds: float | None


@dataclass(frozen=True, slots=True)
class Status:
    run: int
    name: str
    status: str
    """running, interrupted, failed, cut over; 'died' where it says running and nobody does."""
    phase: str
    started_at: datetime
    finished_at: datetime | None
    process: str
    phases: tuple[tuple[str, int, int], ...]
    """(phase, steps done, steps)."""
    steps: tuple[StepStatus, ...]
    copies: tuple[CopyStatus, ...]
    quarantined: int
    merged: int

    def to_json(self) -> dict[str, object]:
        data = asdict(self)
        data["started_at"] = self.started_at.isoformat()
        data["finished_at"] = self.finished_at.isoformat() if self.finished_at else None
        return data


def read_status(connection: Connection) -> Status:
    """The newest run's state.

    Raises:
        NoRun: there is none.
    """
    run = last_run(connection)
    if run is None:
        raise NoRun(
            "There is no run of Tenantry in this database yet.",
            hint="`tenantry plan` shows what would be done, `tenantry migrate` does it.",
        )
    journal = Journal(run.id)
    steps = tuple(
        StepStatus(row[0], row[7], row[1], row[4], row[5], row[6]) for row in journal.say(connection, "steps")
    )
    now = datetime.now(UTC)
    started = {row[0]: row[2] for row in journal.say(connection, "steps")}
    copies = []
    for mapping, count, done, source, target, quarantined, _changed, _first, last in journal.say(
        connection, "progress"
    ):
        begun = started.get(f"copy.{mapping}")
        rate = remaining = None
        if begun is not None and done:
            span = ((now if done < count else last) - begun).total_seconds()
            rate = source / span if span > 0 else None
            remaining = span / done * (count - done)
        copies.append(CopyStatus(mapping, count, done, source, target, quarantined, rate, remaining))
    alive = run_lock_holder(connection) is not None
    state = run.status if run.status != "running" or alive else "died"
    phases = tuple(
        (phase, sum(s.status == "done" for s in steps if s.phase == phase), sum(1 for s in steps if s.phase == phase))
        for phase in PHASES
    )
    return Status(
        run=run.id,
        name=run.name,
        status=state,
        phase=run.phase,
        started_at=run.started_at,
        finished_at=run.finished_at,
        process=f"{run.process.get('pid')} of {run.process.get('user')} on {run.process.get('host')}",
        phases=phases,
        steps=steps,
        copies=tuple(copies),
        quarantined=sum(row[3] for row in run_sql(connection, "quarantine_summary")),
        merged=sum(row[2] for row in run_sql(connection, "merged_summary")),
    )
