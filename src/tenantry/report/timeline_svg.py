"""Draws a timeline as self-contained SVG, once for each page width, so that letters keep their size.

The page's style.css defines the colours of classes with the prefix `tl-`, so dark pages and print use the same picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from tenantry.migrate.observe.status import MOST_ENTRIES
from tenantry.report.time_axis import Axis, clock, nice_top, short_number
from tenantry.report.timeline import Band, Mark, Point, Row, Timeline, rows_of, thin
from tenantry.report.timeline_panels import LATENCY, SIZES, Panel, Series, Size, panels_of

_LETTER = 6.4
"""Upper bound of a letter's width at the picture's font size of 12 px."""
_LINE = 15
_LANES = 3
"""Lines of mark labels above the picture."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The parts of the page that show the course of a run.

    Attributes:
        begun: when the run began, as text.
        capped: the lag exceeded the counted maximum.
        measured: the application's latency was measured.
    """

    begun: str
    pictures: tuple[tuple[str, Markup], ...]
    turns: tuple[Mark, ...]
    events: tuple[Mark, ...]
    rows: tuple[Row, ...]
    capped: bool
    measured: bool


def course_of(report: Mapping[str, Any]) -> Curve | None:
    """Draw the pictures and collect their numbers; None without samples."""
    said = report.get("timeline")
    if said is None or not said["points"]:
        return None
    timeline = Timeline.from_json(said)
    return Curve(
        begun=said["begun"],
        pictures=tuple((size.name, draw(timeline, size)) for size in SIZES),
        turns=tuple(mark for mark in timeline.marks if mark.is_switch),
        events=tuple(mark for mark in timeline.marks if not mark.is_switch),
        rows=tuple(rows_of(timeline)),
        capped=any(point.lag_entries >= MOST_ENTRIES for point in timeline.points),
        measured=LATENCY in panels_of(timeline),
    )


# -- time ------------------------------------------------------------------------------------------------------------


# -- values ----------------------------------------------------------------------------------------------------------


# -- the picture -----------------------------------------------------------------------------------------------------


def draw(timeline: Timeline, size: Size) -> Markup:
    """The picture in one size."""
    left, right = float(size.left), float(size.width - size.right)
    axis = Axis(_spans(timeline), left, right)
    worked = sum(segment.ended - segment.begun for segment in axis.segments)
    points = thin((replace(point, band="") for point in timeline.points), worked / size.points)
    panels = panels_of(timeline)
    labels, lanes = _labels(timeline.marks, axis, left, right)
    top = lanes * _LINE + 6
    band_top, first = top, top + 22
    pitch = size.panel + 34
    bottom = first + pitch * len(panels) - 6
    height = bottom + 24

    tops = [first + number * pitch + 22 for number in range(len(panels))]
    parts = [_bands(timeline.bands, axis, band_top, bottom), _pauses(axis, size, band_top, bottom, tops[1])]
    parts += [_chart(panel, points, axis, size, at, left, right) for panel, at in zip(panels, tops, strict=True)]
    parts += [_mark(mark, axis, band_top, bottom) for mark in timeline.marks]
    # Words are drawn last, on top of all lines.
    parts.append(_names(timeline.bands, axis, band_top + 14))
    parts += [_head(panel, at - 8, left, right) for panel, at in zip(panels, tops, strict=True)]
    parts += labels
    parts.append(_time(axis, size, bottom))
    if size.name == "wide":
        parts.append(_hover(points, axis, first, bottom, panels))
    name = f"course-{size.name}"
    return Markup(
        '<svg class="tl tl-{}" viewBox="0 0 {} {}" role="img" aria-labelledby="{}" preserveAspectRatio="xMidYMin meet">'
        '<title id="{}">{}</title>{}</svg>'
    ).format(size.name, size.width, round(height), name, name, in_words(timeline), Markup("\n").join(parts))


def in_words(timeline: Timeline) -> str:
    """Describe the picture in a sentence or two, for readers who cannot see it; the table below has the numbers."""
    said = ["Rows copied and replayed per second, and the replay lag, over time"]
    if timeline.bands:
        names = dict.fromkeys(band.name for band in timeline.bands)
        last = max(band.ended for band in timeline.bands)
        said.append(f"{clock(last)} from the start; phases: {', '.join(names)}")
    worst = max((point.lag_entries for point in timeline.points), default=0)
    said.append(f"at most {worst:,} changes were not replayed yet")
    said += [
        f"{mark.word} at {clock(mark.at)}"
        + (f" with {mark.stall_ms:.0f} ms of write pause" if mark.stall_ms is not None else "")
        for mark in timeline.marks
        if mark.is_switch
    ]
    return "; ".join(said) + ". The table below has the numbers."


def _spans(timeline: Timeline) -> list[tuple[float, float]]:
    spans = [(point.begun, point.ended) for point in timeline.points]
    spans += [(band.begun, band.ended) for band in timeline.bands]
    # A switchover by another command, outside all samples, gets a little room of its own.
    spans += [(mark.at - 0.2, mark.at + 0.2) if mark.at > 0.2 else (0.0, 0.4) for mark in timeline.marks]
    return spans


def _bands(bands: Sequence[Band], axis: Axis, top: float, bottom: float) -> Markup:
    return Markup("").join(
        Markup(
            '<rect class="tl-band{}" x="{:.1f}" y="{:.0f}" width="{:.1f}" height="{:.0f}"><title>{}</title></rect>'
        ).format(
            number % 2,
            axis.x(band.begun),
            top,
            max(axis.x(band.ended) - axis.x(band.begun), 0.5),
            bottom - top,
            f"{band.name}: {clock(band.ended - band.begun)}",
        )
        for number, band in enumerate(bands)
    )


def _names(bands: Sequence[Band], axis: Axis, y: float) -> Markup:
    """Return the names of the phases that are wide enough for them."""
    return Markup("").join(
        _text(axis.x(band.begun) + 4, y, band.name, "tl-name tl-clear")
        for band in bands
        if axis.x(band.ended) - axis.x(band.begun) >= len(band.name) * _LETTER + 6
    )


def _pauses(axis: Axis, size: Size, top: float, bottom: float, panel: float) -> Markup:
    """Draw an omitted pause; its length is written vertically within a panel that has no other words."""
    parts = []
    for a, b in pairwise(axis.segments):
        length, width = clock(b.begun - a.ended), b.left - a.right
        parts.append(
            Markup(
                '<rect class="tl-pause" x="{:.1f}" y="{:.0f}" width="{:.1f}" height="{:.0f}"><title>{}</title></rect>'
            ).format(a.right, top, width, bottom - top, f"pause of {length}")
        )
        if width >= 14:
            parts.append(
                Markup(
                    '<text class="tl-small" text-anchor="middle" transform="translate({:.1f} {:.1f}) rotate(-90)">{}</text>'
                ).format(a.right + width / 2 + 4, panel + size.panel / 2, f"{length} later")
            )
    return Markup("").join(parts)


def _head(panel: Panel, y: float, left: float, right: float) -> Markup:
    """Draw title and legend above a chart."""
    parts = [_text(left, y, panel.title, "tl-title tl-clear")]
    at = right
    for series in reversed(panel.series if len(panel.series) > 1 else ()):
        parts.append(_text(at, y, series.name, "tl-small tl-clear", anchor="end"))
        at -= len(series.name) * (_LETTER + 0.8) + 23
        parts.append(
            Markup('<line class="tl-line tl-{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
                series.kind, at, y - 4, at + 17, y - 4
            )
        )
        at -= 10
    return Markup("").join(parts)


def _chart(
    panel: Panel, points: Sequence[Point], axis: Axis, size: Size, top: float, left: float, right: float
) -> Markup:
    """Draw one chart: three lines with their values, and the series."""
    bottom = top + size.panel
    values = [value for point in points for series in panel.series if (value := series.value(point)) is not None]
    ceiling = nice_top(max(values, default=0.0))
    parts = []
    for share in (0.0, 0.5, 1.0):
        y, value = bottom - share * size.panel, share * ceiling
        parts.append(
            Markup('<line class="tl-{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                "grid" if share else "base", left, right, y, y
            )
        )
        if not panel.whole or value == int(value):
            said = short_number(value) + (panel.unit if share == 1 else "")
            parts.append(_text(left - 6, y + 4, said, "tl-small", anchor="end"))
    for number, series in enumerate(panel.series):
        lines, areas = _paths(points, series, axis, bottom, size.panel / ceiling)
        if number == 0 and areas:
            parts.append(Markup('<path class="tl-area tl-{}" d="{}"/>').format(series.kind, areas))
        if lines:
            parts.append(Markup('<path class="tl-line tl-{}" d="{}"/>').format(series.kind, lines))
    return Markup("").join(parts)


def _paths(points: Sequence[Point], series: Series, axis: Axis, bottom: float, scale: float) -> tuple[str, str]:
    """Draw line and area as steps, since each point represents an interval. They break at gaps."""
    lines: list[str] = []
    areas: list[str] = []
    run: list[str] = []
    started = ended = 0.0

    def close() -> None:
        if run:
            lines.append("M" + " ".join(run))
            areas.append(f"M{started:.1f} {bottom:.1f} L" + " ".join(run) + f" L{ended:.1f} {bottom:.1f} Z")
            run.clear()

    reached: float | None = None
    for point in points:
        value = series.value(point)
        if value is None:
            close()
            reached = None
            continue
        if reached is None or point.begun - reached > 0.05:
            close()
            started = axis.x(point.begun)
        reached = point.ended
        begun, ended, y = axis.x(point.begun), axis.x(point.ended), bottom - value * scale
        run.append(f"{begun:.1f} {y:.1f} {ended:.1f} {y:.1f}")
    close()
    return "".join(lines), "".join(areas)


def _mark(mark: Mark, axis: Axis, top: float, bottom: float) -> Markup:
    x = axis.x(mark.at)
    return Markup('<line class="tl-mark{}" x1="{:.1f}" x2="{:.1f}" y1="{:.0f}" y2="{:.0f}"/>').format(
        " tl-turn" if mark.is_switch else "", x, x, top - 3, bottom
    )


def label_of(mark: Mark) -> str:
    """`cut over, 214 ms`."""
    return mark.word + (f", {mark.stall_ms:.0f} ms" if mark.stall_ms is not None else "")


def _labels(marks: Sequence[Mark], axis: Axis, left: float, right: float) -> tuple[list[Markup], int]:
    """Arrange labels in lanes without overlap, switchovers first. A label without room keeps its line, and is listed in the
    table."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_LANES)]
    placed: list[tuple[int, float, Mark]] = []
    for mark in sorted(marks, key=lambda each: (not each.is_switch, each.at)):
        said, x = label_of(mark), axis.x(mark.at)
        width = len(said) * _LETTER
        begun = min(max(x - width / 2, left - 40), right - width)
        for lane, spans in enumerate(taken):
            if all(begun + width + 8 <= a or begun >= b + 8 for a, b in spans):
                spans.append((begun, begun + width))
                placed.append((lane, begun, mark))
                break
    lanes = max((lane for lane, _, _ in placed), default=-1) + 1
    return [
        # The lowest lane is next to the picture.
        _text(
            begun + len(label_of(mark)) * _LETTER / 2,
            (lanes - lane) * _LINE - 2,
            label_of(mark),
            "tl-small tl-turned" if mark.is_switch else "tl-small",
            anchor="middle",
        )
        for lane, begun, mark in placed
    ], lanes


def _time(axis: Axis, size: Size, bottom: float) -> Markup:
    parts = []
    for seconds, x in axis.ticks(58 if size.name == "narrow" else 72):
        said = clock(seconds)
        half = len(said) * _LETTER / 2
        at = min(max(x, half), size.width - half)
        parts.append(
            Markup('<line class="tl-base" x1="{:.1f}" x2="{:.1f}" y1="{:.0f}" y2="{:.0f}"/>').format(
                x, x, bottom, bottom + 4
            )
        )
        parts.append(_text(at, bottom + 17, said, "tl-small", anchor="middle"))
    return Markup("").join(parts)


def _hover(points: Sequence[Point], axis: Axis, top: float, bottom: float, panels: Sequence[Panel]) -> Markup:
    """Return the numbers shown for the position of the pointer."""
    parts = []
    for point in points:
        values = [
            f"{series.name if len(panel.series) > 1 else panel.title}: {value:,.{_places(value)}f}{panel.unit}"
            for panel in panels
            for series in panel.series
            if (value := series.value(point)) is not None
        ]
        begun, ended = axis.x(point.begun), axis.x(point.ended)
        parts.append(
            Markup(
                '<rect class="tl-hover" x="{:.1f}" y="{:.0f}" width="{:.1f}" height="{:.0f}"><title>{}</title></rect>'
            ).format(begun, top, max(ended - begun, 0.5), bottom - top, "\n".join([clock(point.begun), *values]))
        )
    return Markup("").join(parts)


def _places(value: float) -> int:
    return 0 if value >= 10 or value == round(value) else 1


def _text(x: float, y: float, said: str, kind: str, *, anchor: str = "start") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}"{}>{}</text>').format(
        kind, x, y, Markup(' text-anchor="{}"').format(anchor) if anchor != "start" else "", said
    )


__all__ = ["Curve", "course_of", "draw", "in_words", "label_of"]
