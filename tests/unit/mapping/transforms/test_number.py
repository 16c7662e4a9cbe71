from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, named, same_sql

PAIRS = (
    ("text", "numeric(14,2)"),
    ("text", "numeric"),
    ("text", "integer"),
    ("character varying(20)", "double precision"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("number", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("integer", "numeric", "'number' reads text, but old is integer"),
        ("text", "text", "'number' gives a number, but new is text"),
        ("text", "boolean", "'number' gives a number, but new is boolean"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("number", source, target) == why


@pytest.mark.parametrize(("word", "refused"), [("N/A", True), ("", True), ("0", False), ("#1", False)])
def test_a_word_without_digits_is_refused(word: str, refused: bool) -> None:
    assert named("number").refuses_word(word) is refused
