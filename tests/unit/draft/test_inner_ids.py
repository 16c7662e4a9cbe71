"""Patterns and paths that are drafted for ids inside values."""

from __future__ import annotations

import pytest

from tenantry.draft.inner_ids import any_depth, pattern_of
from tenantry.mapping.id_patterns import ids_in


@pytest.mark.parametrize(
    ("around", "key", "pattern"),
    [
        ("/orders/{}", "integer", r"/orders/(\d+)\M"),
        ("user:{}", "text", r"\muser:([A-Za-z0-9_-]+)"),
        ("urn:a.b:{}", "text", r"\murn:a\.b:([A-Za-z0-9_-]+)"),
        ('data-user="{}', "uuid", r'\mdata-user="([A-Za-z0-9_-]+)'),
        # Nothing tells the id from any other text.
        ("{}", "text", ""),
        ("#{}", "integer", ""),
    ],
)
def test_a_pattern_has_the_text_before_the_id(around: str, key: str, pattern: str) -> None:
    assert pattern_of(around, key) == pattern
    assert not pattern or ids_in(pattern) == 1


@pytest.mark.parametrize(
    ("paths", "made"),
    [
        (("author", "replies[*].author", "replies[*].replies[*].author"), ("**.author",)),
        (("doc.content[*].attrs.id", "doc.content[*].content[*].attrs.id"), ("doc.**.attrs.id",)),
        (("rows[*].id", "title.id"), ("rows[*].id", "title.id")),
        (("[*][*].order",), ("[*][*].order",)),
        (("a.a.*",), ("a.a.*",)),
        (("$",), ("$",)),
    ],
)
def test_a_document_that_repeats_itself_has_one_path(paths: tuple[str, ...], made: tuple[str, ...]) -> None:
    assert tuple(any_depth(dict.fromkeys(paths, "t"))) == made


def test_a_path_of_any_depth_never_covers_ids_of_another_table() -> None:
    paths = {"id": "posts", "replies[*].replies[*].id": "replies"}
    assert any_depth(paths) == paths
