"""Ids and keys without a database; that SQL makes the same of them is tested beside the server."""

from __future__ import annotations

import hashlib
import json
import uuid

import pglast
from hypothesis import given
from hypothesis import strategies as st

from tenantry.manifest.ids import derive_id, id_sql, key_condition, key_parts, key_sql

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60)
CANONICAL = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


@given(st.uuids())
def test_a_canonical_uuid_is_kept_and_no_other_spelling_of_it(one: uuid.UUID) -> None:
    text = str(one)
    assert derive_id("n", "t", text) == one
    others = {text.upper(), f"{{{text}}}", text.replace("-", ""), f" {text}", f"{text}\n", f"urn:uuid:{text}"} - {text}
    made = {derive_id("n", "t", other) for other in others}
    assert one not in made
    assert len(made) == len(others)


@given(texts, texts, texts)
def test_a_made_id_is_the_hash_with_two_bytes_set(namespace: str, table: str, old: str) -> None:
    made = derive_id(namespace, table, old).bytes
    digest = hashlib.sha256(f"{namespace}\x1f{table}\x1f{old}".encode()).digest()
    if derive_id("other", "other", old) != uuid.UUID(bytes=made):  # not kept
        assert (made[6], made[8]) == (0x80, 0x80)
        assert (made[:6], made[7], made[9:]) == (digest[:6], digest[7], digest[9:16])


@given(texts, texts, st.lists(texts, min_size=2, max_size=4))
def test_what_is_made_of_any_names_is_one_sql_expression(namespace: str, table: str, key: list[str]) -> None:
    names = [f"c{text}" for text in key]
    made = id_sql(namespace, table, key_sql("s", names, is_text=False))
    assert len(pglast.parse_sql(f"select {made} from t s")) == 1
    condition = key_condition("s", names, ["text"] * len(names), json.dumps(key))
    assert len(pglast.parse_sql(f"select 1 from t s where {condition}")) == 1


@given(texts, st.lists(texts, min_size=2, max_size=5))
def test_the_parts_of_a_key_come_back(single: str, several: list[str]) -> None:
    assert key_parts(["a"], single) == [single]
    assert key_parts([str(place) for place, _ in enumerate(several)], json.dumps(several)) == several
