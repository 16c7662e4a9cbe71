from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

WALL, INSTANT = "timestamp without time zone", "timestamp with time zone"

PAIRS = (
    (WALL, INSTANT),
    ("timestamp(3) without time zone", "timestamp(3) with time zone"),
    ("date", INSTANT),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("local_time", *PAIRS, zone="tenant.time_zone")


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("text", INSTANT, "'local_time' reads a date or timestamp, but old is text"),
        (
            INSTANT,
            INSTANT,
            f"'local_time' reads a wall clock, but old is {INSTANT}, which is an instant already",
        ),
        (
            WALL,
            WALL,
            f"'local_time' gives a timestamp with time zone, but new is {WALL}",
        ),
        (
            WALL,
            "timestamp(0) with time zone",
            f"old is {WALL} and new is timestamp(0) with time zone: digits of the second would be lost",
        ),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("local_time", source, target) == why
