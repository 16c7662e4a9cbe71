from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

PAIRS = (
    ("text", "smallint"),
    ("text", "bigint"),
    ("text", "numeric(5,0)"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("integer", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("integer", "numeric", "'integer' reads text, but old is integer"),
        ("text", "text", "'integer' gives a number, but new is text"),
        ("text", "boolean", "'integer' gives a number, but new is boolean"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("integer", source, target) == why
