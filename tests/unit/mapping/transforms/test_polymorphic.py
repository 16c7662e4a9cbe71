from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.mapping.transforms.support import between, misfit, named


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("jsonb", "uuid", "'polymorphic' reads an id, but old is jsonb"),
        ("bigint", "bigint", "'polymorphic' gives an id, but new is bigint"),
        ("bigint", "uuid", None),
        ("text", "text", None),
    ],
)
def test_it_rejects_unsuitable_types(source: str, target: str, why: str | None) -> None:
    assert misfit("polymorphic", source, target) == why


def test_the_document_has_one_id_of_the_table_of_its_type() -> None:
    there = replace(between("bigint", "uuid"), ids={"It's": "posts", "Photo": "photos"}, type_column="Type")
    made = named("polymorphic").up("s.old", there)
    assert """case s."Type"::text when 'It''s' then 'k0' when 'Photo' then 'k1' end""" in made
    assert "jsonb_build_array(s.old)" in made
