"""The timeline of a run: thinning keeps sums and peaks, phases and pauses are where they were, and the picture is a valid one
that says in words what it shows. No database."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from tenantry.report.html import render_html
from tenantry.report.time_axis import Axis, clock, nice_top, short_number
from tenantry.report.timeline import Band, Mark, Point, Timeline, bands, rows_of, stretches, thin
from tenantry.report.timeline_panels import SIZES, panels_of
from tenantry.report.timeline_svg import course_of, draw
from tests.unit.report.test_report import HOSTILE, Page, migrated

BEGUN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def sample(seconds: float, rows: int, replayed: int = 0, *, phase: str = "copy", **more: Any) -> dict[str, Any]:
    lag = {"lag_entries": more.pop("entries", 0), "lag_seconds": more.pop("age", 0.0)}
    data = {**({} if more.get("following") else {"replayed": replayed}), **more}
    return {"at": BEGUN + timedelta(seconds=seconds), "phase": phase, "rows": rows, **lag, "data": data}


def point(begun: float, ended: float, band: str = "copy", **more: Any) -> Point:
    values: dict[str, Any] = {"copied": 0.0, "replayed": 0.0, "lag_entries": 0, "lag_seconds": 0.0, **more}
    return Point(begun, ended, band, **values)


def a_timeline(**more: Any) -> Timeline:
    """A run with a pause of a night, a cut-over and a way back."""
    points = [
        *(point(n, n + 1, "copy", copied=1000.0 + n, lag_entries=10 * n, lag_seconds=float(n)) for n in range(60)),
        *(point(n, n + 1, "replay", replayed=500.0, lag_entries=600 - 10 * (n - 60)) for n in range(60, 100)),
        *(point(n, n + 1, "source follows", replayed=20.0) for n in range(40_000, 40_100)),
    ]
    parts: dict[str, Any] = {
        "begun": BEGUN,
        "points": tuple(points),
        "bands": tuple(bands(points, [])),
        "marks": (Mark(100.0, "ready"), Mark(40_001.0, "cut_over", 214.4, 57), Mark(40_090.0, "rolled_back", 80.0, 3)),
    }
    return Timeline(**{**parts, **more})


def carried_over(points: list[Point]) -> tuple[float, float]:
    return sum(p.copied * p.seconds for p in points), sum(p.replayed * p.seconds for p in points)


# -- from samples to points ------------------------------------------------------------------------------------------------


def test_rates_are_the_gain_between_samples() -> None:
    found = list(stretches([sample(1, 100), sample(2, 350, 50), sample(4, 550, 150)], BEGUN))
    assert [(p.begun, p.ended, p.copied, p.replayed) for p in found] == [
        (0, 1, 100, 0),
        (1, 2, 200, 50),
        (2, 4, 50, 50),
    ]


def test_the_first_sample_of_an_old_run_gives_no_rate() -> None:
    found = list(stretches([sample(3600, 5000), sample(3601, 5100)], BEGUN))
    assert [(p.begun, p.copied) for p in found] == [(3600, 100)]


def test_a_new_process_causes_no_gain_or_loss() -> None:
    copying = [sample(1, 900), sample(2, 40), sample(3, 60)]
    following = [
        sample(at, rows, phase=phase, following=True)
        for at, rows, phase in ((4, 500, "secure"), (5, 530, "secure"), (6, 560, "cut over"))
    ]
    found = list(stretches([*copying, *following], BEGUN))
    assert [(p.band, p.copied, p.replayed) for p in found] == [
        ("copy", 900, 0),
        ("copy", 0, 0),
        ("copy", 20, 0),
        ("target follows", 0, 0),
        ("target follows", 0, 30),
        ("source follows", 0, 30),
    ]


def test_idle_times_have_no_rates() -> None:
    found = list(stretches([sample(1, 10), sample(2, 20), sample(62, 30), sample(63, 40)], BEGUN))
    assert [(p.begun, p.ended) for p in found] == [(0, 1), (1, 2), (62, 63)]


def test_samples_of_one_moment_do_not_divide_by_nothing() -> None:
    assert len(list(stretches([sample(1, 10), sample(1, 10), sample(2, 30)], BEGUN))) == 2


def test_latency_is_taken_where_it_was_measured() -> None:
    found = list(
        stretches([sample(1, 1), sample(2, 2, app_p50_ms=3, app_p99_ms=12.5), sample(3, 3, app_p99_ms="no")], BEGUN)
    )
    assert [(p.p50_ms, p.p99_ms) for p in found] == [(None, None), (3.0, 12.5), (None, None)]


def test_thousands_of_samples_are_thinned_to_about_three_hundred_with_sums_and_peaks_kept() -> None:
    samples = [sample(n, 70 * n, 7 * n, entries=n % 977, age=n / 10) for n in range(1, 20_001)]
    fine = list(stretches(samples, BEGUN))
    thinned = thin(fine, sum(p.seconds for p in fine) / 300)
    assert 250 <= len(thinned) <= 301
    assert carried_over(thinned) == pytest.approx(carried_over(fine))
    assert max(p.lag_entries for p in thinned) == 976
    assert max(p.lag_seconds for p in thinned) == 2000
    assert all(a.ended == pytest.approx(b.begun) for a, b in pairwise(thinned))


def test_thinning_joins_neither_phases_nor_both_sides_of_a_pause() -> None:
    points = [point(0, 1), point(1, 2), point(2, 3, "replay"), point(60, 61, "replay"), point(61, 62, "replay")]
    assert [(p.begun, p.ended, p.band) for p in thin(points, 100)] == [
        (0, 2, "copy"),
        (2, 3, "replay"),
        (60, 62, "replay"),
    ]


def test_joined_latencies_are_the_average_and_the_worst() -> None:
    points = [point(0, 1, p50_ms=2.0, p99_ms=10.0), point(1, 4, p50_ms=6.0, p99_ms=None), point(4, 5, p99_ms=40.0)]
    (joined,) = thin(points, 100)
    assert (joined.p50_ms, joined.p99_ms) == (5.0, 40.0)


# -- phases ----------------------------------------------------------------------------------------------------------------


def test_steps_say_better_than_samples_when_a_phase_ended() -> None:
    points = [point(0, 1), point(1, 2), point(2, 3, "verify"), point(3, 4, "verify")]
    steps = [Band("expand", 0.05, 0.3), Band("copy", 0.3, 2.6), Band("replay", 2.6, 2.7), Band("verify", 2.7, 3.9)]
    assert bands(points, steps) == [
        Band("expand", 0, 0.3),
        Band("copy", 0.3, 2.6),
        Band("replay", 2.6, 2.7),
        Band("verify", 2.7, 4),
    ]


def test_between_two_steps_of_a_phase_a_sample_says_nothing_else() -> None:
    points = [point(0, 1), point(1, 2)]
    steps = [Band("expand", 0.05, 0.2), Band("expand", 0.25, 0.3), Band("capture", 0.31, 0.4), Band("copy", 0.41, 1.9)]
    assert bands(points, steps) == [Band("expand", 0, 0.31), Band("capture", 0.31, 0.4), Band("copy", 0.4, 2)]


def test_what_follows_upon_the_last_step_is_not_lost_in_it() -> None:
    points = [point(0, 1, "secure"), *(point(n, n + 1, "target follows") for n in range(1, 5))]
    assert bands(points, [Band("secure", 0, 0.9)]) == [Band("secure", 0, 1), Band("target follows", 1, 5)]


def test_the_direction_changes_at_the_turn_and_not_where_the_last_sample_was() -> None:
    points = [point(0, 5, "target follows"), point(5, 14, "source follows"), point(14, 30, "target follows")]
    assert bands(points, [], (Mark(7.5, "cut_over"), Mark(8, "failed"), Mark(14.25, "rolled_back"))) == [
        Band("target follows", 0, 7.5),
        Band("source follows", 7.5, 14.25),
        Band("target follows", 14.25, 30),
    ]


def test_steps_side_by_side_are_one_phase() -> None:
    steps = [Band("copy", 0, 5), Band("copy", 1, 3), Band("copy", 5.4, 9), Band("cut over", 20, 20.2)]
    assert bands([], steps) == [Band("copy", 0, 9)]


def test_a_phase_that_was_interrupted_for_a_night_is_two_bands() -> None:
    points = [point(0, 10), point(30_000, 30_010)]
    assert bands(points, [Band("copy", 0, 9.5), Band("copy", 30_001, 30_009)]) == [
        Band("copy", 0, 10),
        Band("copy", 30_000, 30_010),
    ]


def test_phase_totals_equal_the_samples() -> None:
    points = [point(0, 1, copied=100.0), point(1, 2, "verify", copied=50.0, lag_entries=7, p99_ms=3.0)]
    timeline = a_timeline(
        points=tuple(points), bands=(Band("expand", 0, 0.4), Band("copy", 0.4, 1.6), Band("verify", 1.6, 2))
    )
    assert [(row.name, row.copied, row.lag_entries, row.p99_ms) for row in rows_of(timeline)] == [
        ("expand", 0, 0, None),
        ("copy", 150, 0, None),
        ("verify", 0, 7, 3.0),
    ]


def test_without_bands_there_are_no_numbers() -> None:
    assert rows_of(a_timeline(bands=())) == []


def test_a_timeline_survives_the_report_file() -> None:
    timeline = a_timeline()
    assert Timeline.from_json(json.loads(json.dumps(timeline.to_json()))) == timeline


# -- the axes --------------------------------------------------------------------------------------------------------------


def test_a_pause_has_a_fixed_width() -> None:
    axis = Axis([(0, 100), (40_000, 40_100)], 50, 1050)
    assert axis.pause == 26
    assert axis.x(0) == 50
    assert axis.x(100) == pytest.approx(50 + 487)
    assert axis.x(20_000) == axis.x(100)
    assert axis.x(40_000) == pytest.approx(50 + 487 + 26)
    assert axis.x(40_100) == axis.x(99_999) == pytest.approx(1050)
    assert axis.x(-5) == 50


def test_a_short_pause_is_drawn_to_scale() -> None:
    axis = Axis([(0, 1000), (1040, 2000)], 0, 1000)
    assert len(axis.segments) == 1
    assert axis.x(1020) == pytest.approx(510)


def test_many_pauses_leave_most_of_the_width_to_the_work() -> None:
    axis = Axis([(n * 1000, n * 1000 + 60) for n in range(100)], 0, 1000)
    assert sum(segment.right - segment.left for segment in axis.segments) == pytest.approx(700, abs=5)


def test_nothing_but_a_moment_has_an_axis() -> None:
    assert Axis([], 0, 100).x(0.5) == 50
    assert Axis([(5, 5)], 0, 100).x(5) == 0


@pytest.mark.parametrize("seconds", [0.4, 3, 47, 600, 5_000, 86_400, 3_000_000])
def test_ticks_are_few_and_apart_and_readable(seconds: float) -> None:
    found = Axis([(0, seconds)], 60, 1060).ticks(72)
    places = [x for _, x in found]
    assert 3 <= len(found) <= 15
    assert all(b - a >= 68 for a, b in pairwise(places))
    assert len({clock(at) for at, _ in found}) == len(found)


@pytest.mark.parametrize(
    ("seconds", "want"),
    [
        (0, "0"),
        (0.5, "0.5 s"),
        (45, "45 s"),
        (90, "1:30"),
        (720, "12 min"),
        (5400, "1 h 30"),
        (7200, "2 h"),
        (9000, "2 h 30"),
        (172_800, "2 d"),
        (187_200, "2 d 4 h"),
    ],
)
def test_time_since_the_begin_is_short(seconds: float, want: str) -> None:
    assert clock(seconds) == want


@pytest.mark.parametrize(
    ("value", "want"), [(0, 1), (0.03, 0.04), (1, 1), (1.1, 2), (41, 50), (60_000, 80_000), (9e6, 1e7)]
)
def test_the_top_of_an_axis_is_a_readable_number_above_the_values(value: float, want: float) -> None:
    assert nice_top(value) == pytest.approx(want)


@pytest.mark.parametrize(
    ("value", "want"), [(0, "0"), (0.5, "0.5"), (40, "40"), (1500, "1.5k"), (2e4, "20k"), (1.2e6, "1.2M")]
)
def test_axis_numbers_are_short(value: float, want: str) -> None:
    assert short_number(value) == want


# -- the picture -----------------------------------------------------------------------------------------------------------


def elements(timeline: Timeline, size: int = 0) -> list[ElementTree.Element]:
    text = str(draw(timeline, SIZES[size])).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return list(ElementTree.fromstring(text).iter())  # noqa: S314 - our own


def with_class(found: list[ElementTree.Element], name: str) -> list[ElementTree.Element]:
    return [each for each in found if name in each.get("class", "").split()]


def box(element: ElementTree.Element) -> tuple[float, float, float]:
    """Left, right and height of a text, with the width that its letters take about."""
    width = len(element.text or "") * 6
    x = float(element.get("x", 0))
    left = {"middle": x - width / 2, "end": x - width}.get(element.get("text-anchor", "start"), x)
    return left, left + width, float(element.get("y", 0))


@pytest.mark.parametrize("size", range(len(SIZES)))
def test_elements_stay_within_the_picture_without_overlapping_text(size: int) -> None:
    marks = [Mark(at, "interrupted") for at in (1, 2, 3, 40.0)] + [Mark(at, "resumed") for at in (1.5, 2.5, 41.0)]
    timeline = a_timeline(marks=(*a_timeline().marks, *marks))
    found = elements(timeline, size)
    width, height = (float(each) for each in found[0].get("viewBox", "").split()[2:])
    for each in found:
        for name, limit in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert -1 <= float(each.get(name, 0)) <= limit + 1
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", each.get("d", ""))]
        assert all(-1 <= x <= width + 1 for x in numbers[::2])
        assert all(-1 <= y <= height + 1 for y in numbers[1::2])
    texts = [box(each) for each in found if each.tag == f"{SVG}text" and each.get("transform") is None]
    assert len(texts) > 15
    assert all(left > -6 and right < width + 6 for left, right, _ in texts)
    clashes = [
        (a, b)
        for n, a in enumerate(texts)
        for b in texts[n + 1 :]
        if abs(a[2] - b[2]) < 9 and a[0] < b[1] and b[0] < a[1]
    ]
    assert clashes == []


def test_switchovers_are_marked_with_their_write_pause_first() -> None:
    marks = (*(Mark(40_000.0 + n / 10, "failed") for n in range(50)), Mark(40_001.0, "cut_over", 214.4, 57))
    found = elements(a_timeline(marks=marks), 2)
    assert [each.text for each in with_class(found, "tl-turned")] == ["cut over, 214 ms"]
    assert len(with_class(found, "tl-turn")) == 1
    assert len(with_class(found, "tl-mark")) == 51


def test_a_line_breaks_at_a_pause_and_reaches_its_values() -> None:
    (copied,) = [each for each in with_class(elements(a_timeline()), "tl-copied") if each.tag == f"{SVG}path"][1:]
    assert copied.get("d", "").count("M") == 2
    heights = [float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", copied.get("d", ""))]
    # 1,059 of 2,000 rows a second, of 96 units of height.
    assert max(heights) - min(heights) == pytest.approx(96 * 1059 / 2000, abs=0.2)


def test_phases_are_bands_with_their_names_where_these_fit() -> None:
    found = elements(a_timeline())
    assert [each.text for each in with_class(found, "tl-name")] == ["copy", "replay", "source follows"]
    assert len(with_class(found, "tl-band0")) + len(with_class(found, "tl-band1")) == 3
    assert len(with_class(found, "tl-pause")) == 1
    narrow = a_timeline(bands=(Band("copy", 0, 0.2), Band("a very long name of a phase", 0.2, 40_100)))
    assert [each.text for each in with_class(elements(narrow), "tl-name")] == ["a very long name of a phase"]


def test_latency_has_a_panel_only_where_it_was_measured() -> None:
    assert len(panels_of(a_timeline())) == 3
    measured = a_timeline(points=(point(0, 1, p50_ms=2.0, p99_ms=9.0),))
    assert [panel.title for panel in panels_of(measured)][3:] == ["Application's latency"]


def test_a_run_in_which_nothing_happened_is_a_picture_too() -> None:
    found = elements(a_timeline(points=(point(0, 1),), bands=(), marks=()))
    assert len([each for each in found if each.tag == f"{SVG}path"]) == 7


# -- the page --------------------------------------------------------------------------------------------------------------


def test_the_page_has_a_picture_for_each_width_and_the_same_in_numbers() -> None:
    page = Page(render_html(migrated(timeline=a_timeline().to_json())))
    assert len(page.with_class("tl")) == 3
    labelled = {attributes["aria-labelledby"] for tag, attributes in page.elements if tag == "svg"}
    assert labelled == {"course-wide", "course-medium", "course-narrow"} <= page.ids.keys()
    assert [id_ for id_, count in page.ids.items() if count > 1] == []
    assert "cut over11 h 06 after the start214 ms57" in page.text
    assert "at most 600 changes were not replayed yet; cut over at 11 h 06 with 214 ms of write pause" in page.text
    assert "#course" in page.attributes("href")
    rows = page.text[page.text.index("The same in numbers") :]
    assert "copy060 s61,770059059 s" in rows
    assert "replay60 s40 s020,0006000 s" in rows


def test_a_report_without_samples_has_no_such_section() -> None:
    assert course_of(migrated()) is None
    assert course_of(migrated(timeline={**a_timeline().to_json(), "points": []})) is None
    assert "course" not in Page(render_html(migrated())).ids


def test_a_capped_lag_is_marked() -> None:
    capped = a_timeline(points=(point(0, 1, lag_entries=100_000),))
    assert "counted up to 100,000" in Page(render_html(migrated(timeline=capped.to_json()))).text
    assert "counted up to" not in Page(render_html(migrated(timeline=a_timeline().to_json()))).text


def test_hostile_names_are_text_in_the_picture() -> None:
    hostile = a_timeline(bands=(Band(HOSTILE, 0, 40_100),), marks=(Mark(1, HOSTILE),))
    page = Page(render_html(migrated(timeline=hostile.to_json())))
    assert len(page.scripts) == 1
    assert [tag for tag, attributes in page.elements if any(name.startswith("on") for name in attributes)] == []
    assert [tag for tag, _ in page.elements if tag == "img"] == []


def test_the_picture_of_a_long_run_stays_small() -> None:
    points = [
        point(n * 60, n * 60 + 60, copied=1234.5, replayed=99.9, lag_entries=50, lag_seconds=1.5) for n in range(301)
    ]
    html = render_html(migrated(timeline=a_timeline(points=tuple(points)).to_json()))
    assert len(html) - len(render_html(migrated())) < 250_000
