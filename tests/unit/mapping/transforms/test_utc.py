from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

WALL, INSTANT = "timestamp without time zone", "timestamp with time zone"

PAIRS = (
    (WALL, INSTANT),
    ("timestamp(3) without time zone", INSTANT),
    ("date", INSTANT),
    (INSTANT, INSTANT),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("utc", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("text", INSTANT, "'utc' reads a date or timestamp, but old is text"),
        (WALL, "date", "'utc' gives a timestamp with time zone, but new is date"),
        (
            WALL,
            "timestamp(3) with time zone",
            f"old is {WALL} and new is timestamp(3) with time zone: digits of the second would be lost",
        ),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("utc", source, target) == why
