"""How a run stands, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

from tenantry.migrate.observe.process_stats import Process
from tenantry.migrate.switch.cutover import Readiness
from tenantry.migrate.throttle.limits import Reason
from tenantry.migrate.verify.missing import Missing

STOPPED = ("failed", "interrupted", "died")
"""States from which a run comes back only by being run again."""


@dataclass(frozen=True, slots=True)
class StepStatus:
    id: str
    phase: str
    status: str
    seconds: float | None
    rows: int | None
    message: str | None


@dataclass(frozen=True, slots=True)
class PhaseStatus:
    """`seconds` from the first step's begin to the last one's end, or to now; with the pauses of a run that was gone on with."""

    phase: str
    done: int
    steps: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """A mapping's copy; its key ranges are known from its begin on. Rate in source rows a second."""

    mapping: str
    chunks: int
    chunks_done: int
    source_rows: int
    target_rows: int
    quarantined_rows: int
    rate: float | None
    remaining_seconds: float | None


@dataclass(frozen=True, slots=True)
class Log:
    """What has been noted and not yet carried over, in one direction.

    Attributes:
        entries: at most MOST_ENTRIES; there are `more` then.
        seconds: age of the oldest of them.
        bytes: size on disk, with what was carried over and not vacuumed yet.
    """

    direction: str
    entries: int
    more: bool
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Lately, by the samples of the process that works on the run; None where none does.

    Attributes:
        copied, replayed: target rows a second.
        lag: entries a second by which the lag grows.
        wal_bytes: WAL that the server writes, by all its users, a second.
    """

    copied: float | None = None
    replayed: float | None = None
    lag: float | None = None
    wal_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Waiter:
    """A session that waits for a lock that Tenantry holds."""

    pid: int
    application: str
    seconds: float
    relation: str | None
    held_by: str
    query: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A transaction that has written on the side that is written now: a turn waits for its end."""

    pid: int | None
    application: str
    state: str
    seconds: float
    query: str
    gid: str = ""
    """Of a prepared transaction, which has no session."""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds a lock, perhaps on a row only, which Tenantry waits for.

    Attributes:
        seconds: since its transaction began; None where the login may not see it.
        relation: the table; None where the server does not say.
        waiting: the connection of Tenantry that waits.
    """

    pid: int
    application: str
    state: str
    seconds: float | None
    relation: str | None
    waiting: str


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime
    code: str
    message: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """The whole server, not the run alone. None is what cannot be known; `free_disk_unknown` says why."""

    wal_bytes: int
    database_bytes: int | None
    database_bytes_at: datetime | None
    free_disk_bytes: int | None
    free_disk_unknown: str
    standby: bool


@dataclass(frozen=True, slots=True)
class Status:
    """A run at one moment.

    Attributes:
        at: the server's clock.
        status: running, interrupted, failed, ready, cut over, contracted; 'died' where it says running and nobody does.
        working: a process has the run: it migrates, or keeps both sides in step.
        writers: which side applications write, in words.
        lag_entries, lag_seconds: of the logs of the run's direction.
        remaining_seconds: of the phase, estimated.
        hidden_writers: sessions with writers' locks whose age only members of pg_monitor may see.
        reasons: what holds a run back now; None where that was not asked for.
        cut_over, rolled_back: the last of their kind.
        missing: rows that applications have written and that are not on the side that serves them; some in `missing_rows`.
        trial: of a run that takes some tenants only: how many, in words; else empty.
        held_up: sessions whose locks Tenantry waits for now.
        begun_with: the condition of the trial with which the run began, where it did.
    """

    at: datetime
    run: int
    name: str
    source_schema: str
    target_schema: str
    status: str
    phase: str
    direction: str
    writers: str
    working: bool
    started_at: datetime
    finished_at: datetime | None
    verified_at: datetime | None
    grace_until: datetime | None
    process: Process
    server_process: str
    phases: tuple[PhaseStatus, ...]
    steps: tuple[StepStatus, ...]
    copies: tuple[CopyStatus, ...]
    rows_copied: int
    rows_replayed: int
    logs: tuple[Log, ...]
    lag_entries: int
    lag_seconds: float
    rates: Rates
    remaining_seconds: float | None
    quarantined: int
    merged: int
    conflicts: int
    kept: int
    missing: int
    waiters: tuple[Waiter, ...]
    standing: tuple[Standing, ...]
    hidden_writers: int
    readiness: Readiness
    reasons: tuple[Reason, ...] | None
    server: Server
    cut_over: Event | None
    rolled_back: Event | None
    events: tuple[Event, ...]
    trial: str = ""
    begun_with: str = ""
    missing_rows: tuple[Missing, ...] = ()
    held_up: tuple[Blocker, ...] = ()

    @property
    def stopped(self) -> bool:
        return self.status in STOPPED

    def to_json(self) -> dict[str, object]:
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: Any) -> Any:
    """Plain JSON types."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Reason):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(each) for name, each in asdict(value).items()}
    return value


__all__ = [
    "STOPPED",
    "Blocker",
    "CopyStatus",
    "Event",
    "Log",
    "PhaseStatus",
    "Rates",
    "Server",
    "Standing",
    "Status",
    "StepStatus",
    "Waiter",
]
