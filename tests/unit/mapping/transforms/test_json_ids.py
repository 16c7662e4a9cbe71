from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, named, same_sql

PAIRS = (
    ("json", "jsonb"),
    ("jsonb", "jsonb"),
    ("jsonb", "json"),
    ("text", "text"),
    ("text", "jsonb"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("json_ids", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("integer", "jsonb", "'json_ids' reads JSON, also in a text, but old is integer"),
        ("jsonb", "integer", "'json_ids' gives JSON, also in a text, but new is integer"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("json_ids", source, target) == why


def test_the_derivation_replaces_the_ids_inside() -> None:
    assert named("json_ids").becomes == "json_ids"
    assert [option.name for option in named("json_ids").options] == ["ids", "stale"]
