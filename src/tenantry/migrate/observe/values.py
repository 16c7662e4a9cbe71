"""The status of a run, as values."""

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
"""States that a run leaves only when it is resumed."""


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
    """`seconds` from the first step's start to the last one's end, or to now, including the pauses of a resumed run."""

    phase: str
    done: int
    steps: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """The copy of a mapping; its key ranges are known from its start on. Rate in source rows per second."""

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
    """The change queue of one direction.

    Attributes:
        entries: at most MOST_ENTRIES; `more` says that there are further ones.
        seconds: age of the oldest entry.
        bytes: size on disk, including replayed entries that are not vacuumed yet.
    """

    direction: str
    entries: int
    more: bool
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Recent rates, from the samples of the process that works on the run; None without one.

    Attributes:
        copied, replayed: target rows per second.
        lag: growth of the lag, in entries per second.
        wal_bytes: WAL bytes that the whole server writes per second.
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
    """A transaction that has written on the active side: a switchover waits for its end."""

    pid: int | None
    application: str
    state: str
    seconds: float
    query: str
    gid: str = ""
    """The name of a prepared transaction, which has no session."""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session with a lock, perhaps only on a row, that Tenantry waits for.

    Attributes:
        seconds: since its transaction began; None if the login may not see it.
        relation: the table; None if the server does not report it.
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
    """The whole server, not only the run. None means unknown; `free_disk_unknown` says why."""

    wal_bytes: int
    database_bytes: int | None
    database_bytes_at: datetime | None
    free_disk_bytes: int | None
    free_disk_unknown: str
    standby: bool


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a run at one moment.

    Attributes:
        at: the server's clock.
        status: running, interrupted, failed, ready, cut over, contracted; 'died' if it claims to run and no process does.
        working: a process holds the run: it migrates, or keeps both sides synchronized.
        writers: which side applications write, in words.
        lag_entries, lag_seconds: of the logs of the run's direction.
        remaining_seconds: of the phase, estimated.
        hidden_writers: sessions with writers' locks whose age only members of pg_monitor may see.
        reasons: what slows down the run now; None if that was not requested.
        cut_over, rolled_back: the last of their kind.
        missing: number of rows that applications have written and that the active side lacks; some of them in `missing_rows`.
        trial: for a pilot run the number of its tenants, in words; otherwise empty.
        held_up: sessions whose locks Tenantry waits for.
        begun_with: the condition of the pilot with which the run began, if it did.
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
    """Convert a value to plain JSON types."""
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
