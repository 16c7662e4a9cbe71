from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, same_sql

PAIRS = (
    ("text", "boolean"),
    ("character varying(4)", "boolean"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("boolean", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("boolean", "boolean", "'boolean' reads text, but old is boolean"),
        ("text", "integer", "'boolean' gives true or false, but new is integer"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("boolean", source, target) == why
