from __future__ import annotations

import pytest

from tests.unit.mapping.transforms.support import misfit, named, same_sql

PAIRS = (
    ("text", "text"),
    ("text", "character varying(80)"),
    ("character varying(40)", "citext"),
)


def test_its_sql_is_as_reviewed() -> None:
    same_sql("email", *PAIRS)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("integer", "text", "'email' reads text, but old is integer"),
        ("text", "uuid", "'email' gives text, but new is uuid"),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str) -> None:
    assert misfit("email", source, target) == why


def test_a_change_of_case_or_blanks_is_noted() -> None:
    assert named("email").normal("s.old") == f'lower({named("trim").normal("s.old")} collate "C")'
