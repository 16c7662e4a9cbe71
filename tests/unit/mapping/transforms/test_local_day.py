from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

WALL, INSTANT = "timestamp without time zone", "timestamp with time zone"

PAIRS = (
    (WALL, "date"),
    (INSTANT, "date"),
    ("date", "date"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("local_day", *PAIRS, zone="tenant.time_zone")


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("text", "date", "'local_day' reads a date or timestamp, but old is text"),
        (
            WALL,
            WALL,
            "'local_day' gives a date, but new is timestamp without time zone",
        ),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("local_day", source, target) == why
