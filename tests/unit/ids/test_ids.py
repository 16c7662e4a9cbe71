"""Ids and keys without a database; tests with a server show that SQL makes the same ones."""

from __future__ import annotations

import hashlib
import json
import uuid

import pglast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.migration import MANIFEST
from tenantry.derivation.ids import derive_id, id_sql, key_condition, key_parts, key_sql
from tenantry.ids import lookup as ids
from tenantry.manifest import load_manifest

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
def test_generated_sql_with_any_names_is_one_expression(namespace: str, table: str, key: list[str]) -> None:
    names = [f"c{text}" for text in key]
    made = id_sql(namespace, table, key_sql("s", names, is_text=False))
    assert len(pglast.parse_sql(f"select {made} from t s")) == 1
    condition = key_condition("s", names, ["text"] * len(names), json.dumps(key))
    assert len(pglast.parse_sql(f"select 1 from t s where {condition}")) == 1


@given(texts, st.lists(texts, min_size=2, max_size=5))
def test_the_parts_of_a_key_come_back(single: str, several: list[str]) -> None:
    assert key_parts(["a"], single) == [single]
    assert key_parts([str(place) for place, _ in enumerate(several)], json.dumps(several)) == several


def test_the_public_form_takes_a_manifest_or_its_namespace_and_the_texts_of_a_key() -> None:
    assert str(ids.id_of("shop", "Order", ["7", "b"])) == "e36ee285-18f9-80a5-8066-d427fd25efdb"
    assert ids.id_of("shop", "Order", '["7", "b"]') == ids.id_of("shop", "Order", ["7", "b"])
    manifest = load_manifest(MANIFEST)
    source = ids.source_of(manifest, "user_clinic_roles")
    assert source == "users/membership"
    assert str(ids.id_of(manifest, source, "1000031")) == "47ba9632-f28a-80f0-806d-71d29b838da7"


def test_a_target_table_without_a_source_has_no_derived_ids() -> None:
    manifest = load_manifest(MANIFEST)
    for table, hint in (("locations", "There are: "), ("clinic", "Did you mean 'clinics'?")):
        with pytest.raises(ids.NoSuchTable) as caught:
            ids.source_of(manifest, table)
        assert hint in caught.value.hint
