from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

PAIRS = (
    ("integer", "text"),
    ("boolean", "character varying(4)"),
    ("uuid", "text"),
    ("text", "text"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("text", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("integer", "bigint", "'text' gives text, but new is bigint"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("text", source, target) == why
