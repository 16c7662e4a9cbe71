"""Shapes of ids, and words of names."""

from __future__ import annotations

import pytest

from tenantry.catalog import Table
from tenantry.survey.evidence import KeyEvidence, reference_of
from tenantry.survey.keys import Key
from tenantry.survey.model import Place
from tenantry.survey.names import agrees, is_measure, names_a_person, names_ids, names_itself, stem, words
from tenantry.survey.places import PlaceValues, embedded, walk
from tenantry.survey.shapes import shape_of


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("6f1c8b9e-0c1d-4f6a-9d43-2b1a7c0e5d11", "uuid"),
        ("{6F1C8B9E-0C1D-4F6A-9D43-2B1A7C0E5D11}", "uuid"),
        ("clq3v7x9k0000abcd1234efgh", "cuid"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "ulid"),
        ("507f1f77bcf86cd799439011", "objectid"),
        ("V1StGXR8_Z5jdHi6B-myT", "nanoid"),
        ("cus_NffrFeUfNV2Hib", "prefixed"),
        ("42", "integer"),
        ("u1", "code"),
        ("active", "word"),
        ("a sentence with blanks", "text"),
    ],
)
def test_a_value_has_a_shape(value: str, shape: str) -> None:
    assert shape_of(value) == shape


def test_names_are_words_whatever_their_case() -> None:
    assert words("createdByUserId") == words("created_by_user_id") == ("created", "by", "user", "id")
    assert stem("authorIds") == ("author",)
    assert stem("categories") == ("category",)


def test_a_columns_name_identifies_the_referenced_table() -> None:
    assert agrees("category_id", "categories") == 3
    assert agrees("parentCategoryId", "Category") == 2
    assert agrees("org_id", "organizations") == 3
    assert agrees("usr", "t_user") == 1
    assert agrees("zip_id", "orders") == 0
    assert names_a_person("createdBy")
    assert names_a_person("author_id")
    assert not names_a_person("price")
    assert names_itself("parent_id")
    assert is_measure("order_no")
    assert is_measure("zip_id")
    assert not names_ids("paid")


def test_documents_are_walked_by_path_and_ids_as_keys_become_a_star() -> None:
    document = {"rows": [{"id": "r1"}, {"id": "r2"}], "by": {"42": {"n": 7}}}
    assert list(walk(document)) == [
        ("rows[*].id", "r1", False), ("rows[*].id", "r2", False), ("by.*", "42", True), ("by.*.n", "7", False),
    ]  # fmt: skip
    assert list(walk([{"ruleId": "r1"}])) == [("[*].ruleId", "r1", False)]


def test_ids_within_texts_keep_the_word_before_them() -> None:
    assert list(embedded("https://shop.example/orders/42")) == [("/orders/{}", "42")]
    assert list(embedded("user:clq3v7x9k0000abcd1234efgh")) == [("user:{}", "clq3v7x9k0000abcd1234efgh")]
    assert list(embedded("someone@example.org")) == []


def test_a_name_with_a_word_before_the_tables_agrees_and_frequent_people_count_more_than_those_who_left() -> None:
    buildings = Key("site_buildings", "id", "bigint", True, {}, rows=9, low=1, high=9)
    users = Key("app_user", "user_name", "text", True, {})
    found = {f"NAME{n}" for n in range(6)}
    evidence = KeyEvidence([users], {users.name: found}, ["app_user"], frozenset({"site"}))
    assert evidence.agreement("previous_building", buildings.table) == 2
    assert evidence.agreement("building_id", buildings.table) == 3
    assert evidence.agreement("built", buildings.table) == 0

    table = Table("public", "ledger", columns=())
    posted = PlaceValues(Place("ledger", "posted_by"))
    for row in range(60):
        posted.add(row, f"NAME{row % 6}")
    for row in range(60, 64):
        posted.add(row, f"GONE{row}")
    reference = reference_of(table, posted, evidence)
    assert reference is not None
    assert (reference.parent, reference.found, reference.values) == ("app_user", 6, 10)
    for row in range(64, 80):
        posted.add(row, "GONE60")
    assert reference_of(table, posted, evidence) is None
