"""The course of a run as data: rates and lag over time from the journal's samples, reduced to what a picture can show, with
phases and switchovers. timeline_svg.py draws it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tenantry.journal.journal import Connection, journal_exists
from tenantry.migrate.observe.status import gained
from tenantry.postgres import load_blocks

POINTS = 300
"""Approximate number of points of a line, however long the run lasted."""

PAUSE = 10.0
"""Seconds without a sample after which no process counts as active: samples are written about once a second."""

SWITCHES: Mapping[str, str] = {
    "cut_over": "cut over",
    "rolled_back": "rolled back",
    "grace_ended": "dual-write window ended",
}
"""Events at which writers waited; their data says how long."""

_EVENTS: Mapping[str, str] = {
    **SWITCHES,
    "ready": "ready",
    "failed": "failed",
    "interrupted": "interrupted",
    "resumed": "resumed",
    "turn_failed": "switchover failed",
    "server_changed": "server changed",
    "altered": "tables altered",
    "undoing": "undoing",
    "contracted": "contracted",
}
_FOLLOWS = ("target follows", "source follows")
"""The activity between phases: before the cut-over, and after it."""
_RAGGED = 1.5
"""Maximum error, in seconds, of samples: their time has whole seconds only."""
_FINE = 5_000
"""Maximum number of points in memory while the samples are read."""


@dataclass(frozen=True, slots=True)
class Point:
    """An interval; times in seconds since the run began.

    Attributes:
        band: the activity: a phase, or which side followed the other.
        copied, replayed: rows a second, on average.
        lag_entries, lag_seconds: the maximum.
        p50_ms, p99_ms: the application's latency, if it was measured: the average, and the worst.
    """

    begun: float
    ended: float
    band: str
    copied: float
    replayed: float
    lag_entries: int
    lag_seconds: float
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


@dataclass(frozen=True, slots=True)
class Band:
    """A phase, from start to end."""

    name: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Mark:
    """An event. `stall_ms`: how long writers waited; None if they did not."""

    at: float
    code: str
    stall_ms: float | None = None
    entries: int | None = None

    @property
    def word(self) -> str:
        return _EVENTS.get(self.code, self.code)

    @property
    def is_switch(self) -> bool:
        return self.code in SWITCHES


@dataclass(frozen=True, slots=True)
class Timeline:
    begun: datetime
    points: tuple[Point, ...]
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "begun": self.begun.isoformat(),
            "points": [_rounded(asdict(point)) for point in self.points],
            "bands": [_rounded(asdict(band)) for band in self.bands],
            "marks": [_rounded(asdict(mark)) for mark in self.marks],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Timeline:
        return cls(
            datetime.fromisoformat(data["begun"]),
            tuple(Point(**point) for point in data["points"]),
            tuple(Band(**band) for band in data["bands"]),
            tuple(Mark(**mark) for mark in data["marks"]),
        )


def _rounded(data: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in data.items()}


def read_timeline(connection: Connection) -> Timeline | None:
    """Return the course of the newest run; None if there is no run, or none long enough for samples."""
    if not journal_exists(connection):
        return None
    blocks = load_blocks("tenantry.report", "timeline")
    row = connection.execute(blocks["timeline"]).fetchone()
    if row is None or row[2] == 0:
        return None
    run, started, _, first, last = row
    # Weeks of samples may be read here, one by one.
    with connection.cursor() as cursor:
        samples = (
            {"at": at, "phase": phase, "rows": rows, "lag_entries": entries, "lag_seconds": seconds, "data": data}
            for at, phase, rows, entries, seconds, data in cursor.stream(blocks["timeline_samples"], {"run": run})
        )
        fine = thin(stretches(samples, started), (last - first).total_seconds() / _FINE)
    points = thin(fine, sum(point.seconds for point in fine) / POINTS)
    steps = [
        Band(phase, (begun - started).total_seconds(), (ended - started).total_seconds())
        for phase, begun, ended in connection.execute(blocks["timeline_steps"], {"run": run})
    ]
    marks = tuple(
        Mark((at - started).total_seconds(), code, data.get("stall_ms"), data.get("entries"))
        for at, code, data in connection.execute(blocks["timeline_events"], {"run": run, "codes": list(_EVENTS)})
    )
    return Timeline(started.astimezone(UTC), tuple(points), tuple(bands(points, steps, marks)), marks)


def stretches(samples: Iterable[Mapping[str, Any]], started: datetime) -> Iterator[Point]:
    """Yield the interval between each sample and the next; nothing while no process was active."""
    before: Mapping[str, Any] | None = None
    for sample in samples:
        at = sample["at"]
        if before is None and (at - started).total_seconds() < PAUSE:
            # The run's first second: nothing had been migrated when it began.
            before = {**sample, "at": started, "rows": 0, "data": {**sample["data"], "replayed": 0}}
        if before is not None and 0 < (seconds := (at - before["at"]).total_seconds()) < PAUSE:
            copied, replayed = gained(before, sample)
            data = sample["data"]
            yield Point(
                begun=(before["at"] - started).total_seconds(),
                ended=(at - started).total_seconds(),
                band=_band(sample),
                copied=copied / seconds,
                replayed=replayed / seconds,
                lag_entries=sample["lag_entries"],
                lag_seconds=sample["lag_seconds"],
                p50_ms=_number(data.get("app_p50_ms")),
                p99_ms=_number(data.get("app_p99_ms")),
            )
        before = sample


def _band(sample: Mapping[str, Any]) -> str:
    if not sample["data"].get("following"):
        return str(sample["phase"])
    return _FOLLOWS[sample["phase"] == "cut over"]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def thin(points: Iterable[Point], width: float) -> list[Point]:
    """Join neighbours until each is at least `width` seconds long: average the rates, keep the maximum of lags.

    Intervals that are not adjacent, or belong to different phases, stay separate.
    """
    thinned: list[Point] = []
    for point in points:
        last = thinned[-1] if thinned else None
        if (
            last is not None
            and last.band == point.band
            and point.begun - last.ended < 1e-3
            and last.seconds < width * 0.999
        ):
            thinned[-1] = _joined(last, point)
        else:
            thinned.append(point)
    return thinned


def _joined(a: Point, b: Point) -> Point:
    whole = a.seconds + b.seconds
    share = b.seconds / whole if whole else 0.5

    def mean(x: float, y: float) -> float:
        return x + share * (y - x)

    medians = [each for each in (a.p50_ms, b.p50_ms) if each is not None]
    return replace(
        a,
        ended=b.ended,
        copied=mean(a.copied, b.copied),
        replayed=mean(a.replayed, b.replayed),
        lag_entries=max(a.lag_entries, b.lag_entries),
        lag_seconds=max(a.lag_seconds, b.lag_seconds),
        p50_ms=mean(*medians) if len(medians) == 2 else next(iter(medians), None),
        p99_ms=max((each for each in (a.p99_ms, b.p99_ms) if each is not None), default=None),
    )


def bands(points: Sequence[Point], steps: Sequence[Band], marks: Sequence[Mark] = ()) -> list[Band]:
    """Return the phases in order. Steps record to the millisecond when they last ran; samples also cover earlier attempts,
    and times without a running step. Marks record when a direction ended and the next began."""
    painted: list[_Painted] = []
    for point in points:
        painted = _paint(painted, Band(point.band, point.begun, point.ended), exact=False)
    for step in sorted(steps, key=lambda step: step.begun):
        if step.name != "cut over":
            painted = _paint(painted, step, exact=True)
    found = _neighbours(painted)
    kept: list[_Painted] = []
    before: float | None = None
    for n, (band, exact) in enumerate(found):
        follows = found[n + 1] if n + 1 < len(found) else None
        scrap = not exact and band.ended - band.begun < _RAGGED
        if scrap and kept and kept[-1][1] and kept[-1][0].ended == band.begun:
            # Between two steps a sample adds nothing, and its time may be too early.
            kept[-1] = (replace(kept[-1][0], ended=band.ended), True)
        elif scrap and follows is not None and follows[1] and follows[0].begun == band.ended:
            before = band.begun
        else:
            kept.append((band if before is None else replace(band, begun=before), exact))
            before = None
    return _switched([band for band, _ in _neighbours(kept)], marks)


def _switched(found: list[Band], marks: Sequence[Mark]) -> list[Band]:
    """Return the border between two directions: their switchover. The next sample would place it too early."""
    for n in range(1, len(found)):
        before, behind = found[n - 1], found[n]
        if {before.name, behind.name} == set(_FOLLOWS) and before.ended == behind.begun:
            turn = next((m.at for m in marks if m.is_switch and before.begun < m.at < behind.ended), before.ended)
            found[n - 1], found[n] = replace(before, ended=turn), replace(behind, begun=turn)
    return found


_Painted = tuple[Band, bool]
"""Return a band, and whether it comes from a step."""


def _neighbours(painted: Iterable[_Painted]) -> list[_Painted]:
    """Join adjacent entries with the same name, in order."""
    found: list[_Painted] = []
    for band, exact in sorted(painted, key=lambda each: each[0].begun):
        last = found[-1] if found else None
        if last is not None and last[0].name == band.name and band.begun - last[0].ended < _RAGGED:
            found[-1] = (replace(last[0], ended=max(band.ended, last[0].ended)), exact or last[1])
        else:
            found.append((band, exact))
    return found


def _paint(painted: list[_Painted], over: Band, *, exact: bool) -> list[_Painted]:
    """Lay one band over the others, which keep their remainder on either side."""
    left: list[_Painted] = []
    for band, was_exact in painted:
        if band.ended <= over.begun or band.begun >= over.ended:
            left.append((band, was_exact))
            continue
        if band.begun < over.begun:
            left.append((replace(band, ended=over.begun), was_exact))
        if band.ended > over.ended:
            left.append((replace(band, begun=over.ended), was_exact))
    return [*left, (over, exact)]


# -- in numbers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A phase in numbers, for readers who cannot see the picture."""

    name: str
    begun: float
    seconds: float
    copied: float
    replayed: float
    lag_entries: int
    lag_seconds: float
    p99_ms: float | None


def rows_of(timeline: Timeline) -> list[Row]:
    """Return each band with its migrated rows, the highest lag and the worst latency.

    A point on the border of two phases counts for the one in which it was measured; only the copy phase copies rows.
    """
    if not timeline.bands:
        return []
    mine: list[list[Point]] = [[] for _ in timeline.bands]
    copied = [0.0] * len(timeline.bands)
    for point in timeline.points:
        overlaps = [min(point.ended, band.ended) - max(point.begun, band.begun) for band in timeline.bands]

        def place(name: str, overlaps: Sequence[float] = overlaps) -> int:
            return max(
                range(len(overlaps)),
                key=lambda n: (overlaps[n] > 0, overlaps[n] > 0 and timeline.bands[n].name == name, overlaps[n]),
            )

        mine[place(point.band)].append(point)
        copied[place("copy")] += point.copied * point.seconds
    return [
        Row(
            band.name,
            band.begun,
            band.ended - band.begun,
            copied[n],
            sum(point.replayed * point.seconds for point in mine[n]),
            max((point.lag_entries for point in mine[n]), default=0),
            max((point.lag_seconds for point in mine[n]), default=0.0),
            max((point.p99_ms for point in mine[n] if point.p99_ms is not None), default=None),
        )
        for n, band in enumerate(timeline.bands)
    ]


__all__ = ["PAUSE", "POINTS", "SWITCHES", "Band", "Mark", "Point", "Row", "Timeline", "bands", "read_timeline", "rows_of",
           "stretches", "thin"]  # fmt: skip
