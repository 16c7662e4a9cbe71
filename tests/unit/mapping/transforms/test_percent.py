from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

PAIRS = (
    ("text", "numeric(7,4)"),
    ("text", "real"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("percent", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("integer", "numeric", "'percent' reads text, but old is integer"),
        ("text", "text", "'percent' gives a number, but new is text"),
        ("text", "boolean", "'percent' gives a number, but new is boolean"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("percent", source, target) == why
