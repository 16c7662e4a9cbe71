"""The panels of a timeline: which series are drawn, and in which sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tenantry.report.timeline import Point, Timeline


@dataclass(frozen=True, slots=True)
class Size:
    """One width for which the picture is drawn; in units of about one pixel."""

    name: str
    width: int
    points: int
    left: int = 62
    right: int = 14
    panel: int = 96


SIZES = (
    Size("wide", 1080, 300),
    Size("medium", 640, 200),
    Size("narrow", 340, 110, left=52, right=8, panel=84),
)


@dataclass(frozen=True, slots=True)
class Series:
    """A line. The first of a panel is filled, the second dashed, so that they can be distinguished without colour."""

    name: str
    kind: str
    value: Callable[[Point], float | None]


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    series: tuple[Series, ...]
    unit: str = ""
    whole: bool = False
    """Whether there is a gap between two points."""


RATES = Panel(
    "Rows per second",
    (Series("copied", "copied", lambda p: p.copied), Series("replayed", "replayed", lambda p: p.replayed)),
)


ENTRIES = Panel("Changes not replayed yet", (Series("entries", "lag", lambda p: p.lag_entries),), whole=True)


AGE = Panel("Age of the oldest change", (Series("seconds", "lag", lambda p: p.lag_seconds),), " s")


LATENCY = Panel(
    "Application's latency",
    (Series("median", "p50", lambda p: p.p50_ms), Series("99 %", "p99", lambda p: p.p99_ms)),
    " ms",
)


def panels_of(timeline: Timeline) -> list[Panel]:
    """The series to show; latency only if it was measured."""
    measured = any(point.p50_ms is not None or point.p99_ms is not None for point in timeline.points)
    return [RATES, ENTRIES, AGE, *([LATENCY] if measured else [])]
