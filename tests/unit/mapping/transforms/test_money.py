from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

PAIRS = (
    ("text", "numeric(14,2)"),
    ("text", "numeric"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("money", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("integer", "numeric", "'money' reads text, but old is integer"),
        ("text", "text", "'money' gives a number, but new is text"),
        ("text", "boolean", "'money' gives a number, but new is boolean"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("money", source, target) == why
