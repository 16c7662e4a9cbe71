from __future__ import annotations

import pytest

from tenantry.mapping.id_patterns import PatternError, pieces_of
from tests.unit.mapping.transforms.support import misfit


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        (r"^user:(.+)$", ["^user:", "=.+", "$"]),
        (r"/orgs/([^/)]+)/posts/(\d+)", ["/orgs/", "=[^/)]+", "/posts/", r"=\d+"]),
        # Groups without an id are not counted, wherever they are.
        (r"(?:a|b(c)):((x|y)\d+(z)?)", ["(?:a|b(?:c)):", r"=(?:x|y)\d+(?:z)?"]),
        (r"x[]()]([]a[:alpha:]\]]+)", ["x[]()]", r"=[]a[:alpha:]\]]+"]),
        # Names of groups are for readers.
        (r"(?<=x)(?<post>\d+)-(?P<n>(?<m>\w))[(?<a>]", ["(?<=x)", r"=\d+", "-", r"=(?:\w)", "[(?<a>]"]),
        (r"\((\w+)\)", [r"\(", r"=\w+", r"\)"]),
    ],
)
def test_a_pattern_is_cut_at_its_groups(pattern: str, want: list[str]) -> None:
    assert [f"{'=' * piece.is_id}{piece.text}" for piece in pieces_of(pattern)] == want


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "is not a regular expression"),
        ("(a", "is not a regular expression"),
        (r"(\d+)?", "repeats a group"),
        (r"a|(b)", "has alternatives"),
        (r"(a)\1", "refers to a group"),
        (r"(?P<a>x)(?P=a)", "refers to a named group"),
    ],
)
def test_a_pattern_whose_groups_are_no_plain_parts_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        pieces_of(pattern)


def test_it_rejects_unsuitable_types() -> None:
    assert misfit("text_ids", "jsonb", "text") == "'text_ids' reads text, but old is jsonb"
    assert misfit("text_ids", "text", "uuid") == "'text_ids' gives text, but new is uuid"
