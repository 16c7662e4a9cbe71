"""The time axis of a picture, and the labels of moments and numbers on it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from tenantry.report.timeline import PAUSE

_STEPS = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
)  # fmt: skip
"""Readable distances between two ticks, in seconds."""


@dataclass(frozen=True, slots=True)
class Segment:
    """An interval of activity, and its position in the picture."""

    begun: float
    ended: float
    left: float = 0.0
    right: float = 0.0


class Axis:
    """The time axis, from left to right. Idle pauses have a fixed width, otherwise a night would leave no room for the
    run."""

    def __init__(self, spans: Iterable[tuple[float, float]], left: float, right: float) -> None:
        """
        Args:
            spans: intervals of activity, in seconds; in any order, overlapping or not.
        """
        merged: list[tuple[float, float]] = []
        for begun, ended in sorted(spans):
            if merged and begun - merged[-1][1] <= 0:
                merged[-1] = (merged[-1][0], max(ended, merged[-1][1]))
            else:
                merged.append((begun, ended))
        merged = merged or [(0.0, 1.0)]
        worked = sum(ended - begun for begun, ended in merged)
        # A short pause is drawn at its real length.
        short = max(PAUSE, 0.05 * worked)
        joined = [merged[0]]
        for begun, ended in merged[1:]:
            if begun - joined[-1][1] <= short:
                joined[-1] = (joined[-1][0], ended)
            else:
                joined.append((begun, ended))
        pauses = len(joined) - 1
        self.pause = min(26.0, 0.3 * (right - left) / pauses) if pauses else 0.0
        worked = sum(ended - begun for begun, ended in joined) or 1.0
        self.scale = (right - left - pauses * self.pause) / worked
        self.segments: list[Segment] = []
        at = left
        for begun, ended in joined:
            width = (ended - begun) * self.scale
            self.segments.append(Segment(begun, ended, at, at + width))
            at += width + self.pause
        self._begins = [segment.begun for segment in self.segments]

    def x(self, seconds: float) -> float:
        """Return the position of a moment; for one within a pause, the end of the interval before it."""
        segment = self.segments[max(0, bisect_right(self._begins, seconds) - 1)]
        inside = min(max(seconds, segment.begun), segment.ended)
        return segment.left + (inside - segment.begun) * self.scale

    def ticks(self, room: float) -> list[tuple[float, float]]:
        """Return the moments to label, at least `room` apart, with their positions; each interval's start is labelled if
        there is room."""
        step = next((each for each in _STEPS if each * self.scale >= room), _STEPS[-1])
        found: list[tuple[float, float]] = []
        for segment in self.segments:
            if not found or segment.left - found[-1][1] >= room:
                found.append((segment.begun, segment.left))
            for number in range(math.ceil(segment.begun / step), math.floor(segment.ended / step + 1e-9) + 1):
                at = self.x(number * step)
                if not found or at - found[-1][1] >= room * 0.95:
                    found.append((number * step, at))
        return found


def clock(seconds: float) -> str:
    """Format the time since the start briefly: `0`, `45 s`, `12 min`, `2 h 30`, `3 d 4 h`."""
    if seconds < 0.05:
        return "0"
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds == round(seconds) or seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 90:
        return f"{minutes} min" if rest == 0 else f"{minutes}:{rest:02}"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h" if minutes == 0 else f"{hours} h {minutes:02}"
    days, hours = divmod(hours, 24)
    return f"{days} d" if hours == 0 else f"{days} d {hours} h"


def nice_top(value: float) -> float:
    """Return the smallest readable number that is not below `value`, at least 1, so that the panel has a height."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 5, 8, 10) if factor * power >= value * 0.9999)


def short_number(value: float) -> str:
    """`0`, `0.5`, `40`, `1.5k`, `20k`, `1.2M`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"
