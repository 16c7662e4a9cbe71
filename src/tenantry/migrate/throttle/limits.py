"""Evaluates one reading of the server: a run's effect on others, and the reasons to back off. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from tenantry.errors import nearest
from tenantry.manifest.model import Throttle as Settings
from tenantry.postgres import ident

Work = Literal["copy", "replay"]
Effect = Literal["waits", "slows", "goes on"]

PAUSE, FIRST_SIZE = "pause", "first_database_size"
"""Rows of tenantry.setting that are not settings."""

_EFFECTS: Mapping[str, tuple[Effect, Effect]] = {
    "paused": ("waits", "waits"),
    "unanswered": ("waits", "slows"),
    "lock_wait": ("waits", "slows"),
    "replication_lag": ("waits", "slows"),
    "slot_lag": ("waits", "slows"),
    "wal_directory": ("waits", "slows"),
    "wal_rate": ("slows", "slows"),
    "wraparound": ("waits", "goes on"),
    "autovacuum": ("slows", "goes on"),
    "long_transaction": ("slows", "goes on"),
    "free_disk": ("waits", "goes on"),
    "database_growth": ("waits", "goes on"),
}
"""Code → effects on copy and replay. Only a pause stops replay: pending changes would accumulate in the queue, on the same
disk, and the other side would fall behind. Minor reasons only slow down a copy, since they can last
forever without being caused by it."""

_SLOW = 4
"""When slowed down: rest at most this many times `chunk_target` after each piece of work, i.e. about a fifth of the speed."""
_DEBT_SECONDS = 30
"""The longest wait for excess WAL: copying continues even if applications alone write more than the pace."""
_TOLERANCE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """The effective settings in seconds and bytes; None is off."""

    sleep: float
    chunk_target: float
    max_lock_wait: float | None
    max_replication_lag: float | None
    max_slot_lag: float | None
    max_transaction_age: float | None
    max_wal_per_second: float | None
    max_wal_directory: float | None
    max_database_growth: float | None
    min_free_disk: float | None
    yield_to_autovacuum: bool

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        amounts: dict[str, Any] = {
            name: Settings.amount(value) or None if isinstance(value, str) else value
            for name, value in settings.model_dump().items()
        }
        return cls(**{**amounts, "sleep": amounts["sleep"] or 0.0})


@dataclass(frozen=True, slots=True)
class ServerReading:
    """The current value that a setting limits: seconds, bytes, or tables. `unknown` says what cannot be measured, and why."""

    setting: str
    value: float | None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason to back off.

    Attributes:
        value, limit: the measured value and its limit, in seconds or bytes; None without a number.
        setting: the setting that defines the limit; empty for a pause.
        tables: if it concerns a single table, all its names (its own, and its partitioned parents).
    """

    code: str
    text: str
    value: float | None = None
    limit: float | None = None
    setting: str = ""
    tables: tuple[str, ...] = ()

    def effect(self, work: Work, table: str | None = None) -> Effect:
        copy, replay = _EFFECTS[self.code]
        if work == "replay":
            return replay
        if self.tables and table not in self.tables:
            # A table in danger of wraparound is more urgent than any copy: leave the disk to autovacuum.
            return "slows" if self.code == "wraparound" else "goes on"
        return copy

    def patience(self, work: Work, table: str | None, limits: Limits) -> float:
        """Return the seconds of one wait."""
        match self.effect(work, table):
            case "waits":
                return math.inf
            case "slows" if self.code == "wal_rate" and work == "copy":
                return _DEBT_SECONDS
            case "slows":
                return _SLOW * limits.chunk_target
        return 0.0

    def to_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "text": self.text,
            "value": self.value,
            "limit": self.limit,
            "setting": self.setting,
            "tables": list(self.tables),
            "copy": _EFFECTS[self.code][0],
            "replay": _EFFECTS[self.code][1],
        }


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of the server; `at` is the client's monotonic clock. The rows are those of look.sql."""

    at: float
    stored: Mapping[str, Any]
    waiters: Sequence[Mapping[str, Any]]
    transactions: Sequence[Mapping[str, Any]]
    standbys: Sequence[Mapping[str, Any]]
    slots: Sequence[Mapping[str, Any]]
    vacuums: Sequence[Mapping[str, Any]]
    wal: int
    wal_directory: int | None
    database_size: int | None
    may_see: bool
    hidden_standbys: int
    free_disk: int | None = None
    free_disk_unknown: str = ""


class Course:
    """Facts from several readings: the rate of WAL, and for how long a standby has not advanced."""

    def __init__(self) -> None:
        # Ten minutes at four readings per second.
        self._looks: deque[tuple[float, int]] = deque(maxlen=2400)
        self.debt = 0.0
        """Bytes of WAL ahead of the pace."""

    def add(self, at: float, wal: int, pace: float | None) -> None:
        if self._looks and pace is not None:
            before, written = self._looks[-1]
            more = max(0, wal - written) - pace * (at - before)
            self.debt = min(max(0.0, self.debt + more), pace * _DEBT_SECONDS)
        else:
            self.debt = 0.0
        self._looks.append((at, wal))

    def rate(self, seconds: float = 2.0) -> float | None:
        """Return the recent rate of WAL in bytes per second; None before the second reading."""
        if len(self._looks) < 2:
            return None
        now, wal = self._looks[-1]
        earlier = next(((at, was) for at, was in reversed(self._looks) if now - at >= seconds), self._looks[0])
        return max(0, wal - earlier[1]) / (now - earlier[0])

    def behind(self, replayed: int) -> float:
        """Return the smallest possible age in seconds of WAL that a standby has not replayed; 0 if unknown.

        The server's own figure does not change while a standby stops.
        """
        now = self._looks[-1][0]
        return next((now - at for at, wal in self._looks if wal > replayed), 0.0)


def overridden(settings: Settings, stored: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Return the manifest's settings, overridden by tenantry.setting, and the problems of that table."""
    problems = []
    for name, entry in stored.items():
        if name in (PAUSE, FIRST_SIZE):
            continue
        try:
            settings = settings.model_copy(update={name: checked(name, entry["value"])})
        except ValueError as error:
            problems.append(f"tenantry.setting is ignored at {name}: {error}")
    return settings, problems


def checked(name: str, value: object) -> object:
    """Return the value as the manifest's model accepts it.

    Raises:
        ValueError: no such setting, or an invalid value.
    """
    if name not in Settings.model_fields:
        raise ValueError(unknown_setting(name))
    try:
        return getattr(Settings.model_validate({name: value}), name)
    except ValidationError as error:
        # The model's validators have readable messages; pydantic's own are for programmers.
        message = str(error.errors()[0]["ctx"]["error"])
    raise ValueError(message)


def unknown_setting(name: str) -> str:
    """Return the message about a name without a setting."""
    known = list(Settings.model_fields)
    near = nearest(name, known)
    return "no such setting; " + (f"did you mean {near!r}?" if near else f"there are {', '.join(known)}")


def judge(look: Look, settings: Settings, course: Course) -> tuple[list[ServerReading], list[Reason]]:
    """Return the measured value of each limit, and the reasons to back off, the most important first. `course` includes `look`."""
    limits = Limits.of(settings)
    readings: list[ServerReading] = []
    reasons: list[Reason] = []

    def measure(code: str, setting: str, value: float | None, text: str, unknown: str = "") -> None:
        readings.append(ServerReading(setting, value, unknown))
        limit = getattr(limits, setting)
        if limit is not None and value is not None and (value < limit if setting.startswith("min_") else value > limit):
            reasons.append(Reason(code, f"{text} ({setting} is {getattr(settings, setting)})", value, limit, setting))

    pause = look.stored.get(PAUSE)
    if pause is not None:
        reasons.append(Reason("paused", _paused(pause)))

    waiter = look.waiters[0] if look.waiters else None
    measure(
        "lock_wait",
        "max_lock_wait",
        waiter["seconds"] if waiter else 0.0,
        f"{_session(waiter)} has waited {in_time(waiter['seconds'])} for {waiter['relation'] or 'a lock'},"
        " which Tenantry holds"
        if waiter
        else "",
    )

    lags = [(_lag(each, look.wal, course), each) for each in look.standbys]
    lag, standby = max(lags, key=lambda pair: pair[0], default=(0.0, None))
    hidden = look.hidden_standbys > 0
    measure(
        "replication_lag",
        "max_replication_lag",
        None if hidden and standby is None else lag,
        f"standby {standby['application'] or 'without a name'} is {in_time(lag)} behind" if standby else "",
        "how far standbys are behind is shown to members of pg_monitor only" if hidden else "",
    )

    slot = look.slots[0] if look.slots else None
    measure(
        "slot_lag",
        "max_slot_lag",
        float(slot["bytes"]) if slot else 0.0,
        f"replication slot {slot['slot']} holds back {in_bytes(slot['bytes'])} of WAL"
        + (
            ""
            if slot["active"]
            else ", and no process reads it: start its reader, or drop it (pg_drop_replication_slot)"
        )
        if slot
        else "",
    )

    # Without pg_monitor's rights, times of other logins' transactions are null.
    open_ones = [each for each in look.transactions if each["seconds"] is not None]
    oldest = open_ones[0] if open_ones else None
    measure(
        "long_transaction",
        "max_transaction_age",
        oldest["seconds"] if oldest else 0.0 if look.may_see else None,
        f"{_session(oldest)} has been in a transaction for {in_time(oldest['seconds'])} ({oldest['state']}) and holds back"
        " the clean-up of dead rows"
        if oldest
        else "",
        "" if look.may_see else "the age of other logins' transactions is shown to members of pg_monitor only",
    )

    readings.append(ServerReading("max_wal_per_second", course.rate()))
    pace = limits.max_wal_per_second
    if pace is not None and course.debt > pace * _TOLERANCE_SECONDS:
        reasons.append(
            Reason(
                "wal_rate",
                f"WAL is {in_bytes(course.debt)} ahead of its pace (max_wal_per_second is {settings.max_wal_per_second})",
                course.debt,
                pace * _TOLERANCE_SECONDS,
                "max_wal_per_second",
            )
        )

    measure(
        "wal_directory",
        "max_wal_directory",
        look.wal_directory,
        f"the WAL directory holds {in_bytes(look.wal_directory or 0)}",
        "the WAL directory can be listed by members of pg_monitor only"
        if limits.max_wal_directory is not None and look.wal_directory is None
        else "",
    )

    first = look.stored.get(FIRST_SIZE)
    growth = None if first is None or look.database_size is None else float(look.database_size - int(first["value"]))
    measure(
        "database_growth",
        "max_database_growth",
        growth,
        f"the database has grown by {in_bytes(growth or 0)} since the run began",
    )
    measure(
        "free_disk",
        "min_free_disk",
        look.free_disk,
        f"the server's disk has {in_bytes(look.free_disk or 0)} left",
        look.free_disk_unknown,
    )

    readings.append(
        ServerReading(
            "yield_to_autovacuum",
            float(len(look.vacuums)),
            "" if look.may_see else "only members of pg_monitor see whether autovacuum runs to prevent wraparound",
        )
    )
    if limits.yield_to_autovacuum:
        reasons += [_autovacuum(each) for each in sorted(look.vacuums, key=lambda each: not each["wraparound"])]
    return readings, reasons


def _lag(standby: Mapping[str, Any], wal: int, course: Course) -> float:
    if standby["replayed"] >= wal:
        return 0.0
    return max(standby["seconds"] or 0.0, course.behind(int(standby["replayed"])))


def _autovacuum(vacuum: Mapping[str, Any]) -> Reason:
    names = tuple(name for schema, table in vacuum["names"] for name in (ident(schema, table), table))
    percent = "" if vacuum["percent"] is None else f", {vacuum['percent']:.0f} % read"
    why = " to prevent wraparound" if vacuum["wraparound"] else ""
    return Reason(
        "wraparound" if vacuum["wraparound"] else "autovacuum",
        f"autovacuum works on {vacuum['relation']}{why}{percent} (yield_to_autovacuum is true)",
        vacuum["percent"],
        None,
        "yield_to_autovacuum",
        names,
    )


def _paused(pause: Mapping[str, Any]) -> str:
    said = pause["value"] if isinstance(pause["value"], Mapping) else {}
    by = f" by {said['by']}" if said.get("by") else ""
    why = f": {said['reason']}" if said.get("reason") else ""
    at = datetime.fromisoformat(pause["at"])
    return f"paused{by} at {at:%Y-%m-%d %H:%M:%S} UTC{why}; `tenantry resume` continues"


def _session(row: Mapping[str, Any]) -> str:
    return f"pid {row['pid']} ({row['application'] or 'no name'})"


def in_time(seconds: float) -> str:
    """Format seconds: `0.4s`, `12s`, `3min 20s`, `2h 5min`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 90:
        return f"{seconds:.0f}s"
    if seconds < 5400:
        return f"{int(seconds // 60)}min {int(seconds % 60)}s"
    return f"{int(seconds // 3600)}h {int(seconds % 3600 // 60)}min"


def in_bytes(size: float) -> str:
    """Format bytes in PostgreSQL's units, as in the settings: `812kB`, `4.2MB`."""
    size /= 1024
    for unit in ("kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f}{unit}" if size >= 100 or unit == "kB" else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}TB"
