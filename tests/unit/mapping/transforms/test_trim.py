from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

PAIRS = (
    ("text", "text"),
    ("text", "character varying(5)"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("trim", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("date", "text", "'trim' reads text, but old is date"),
        ("text", "integer", "'trim' gives text, but new is integer"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("trim", source, target) == why
