"""New ids are the same function in Python, in SQL, and on the page that documents them."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.derivation.ids import derive_id, id_sql, key_condition, key_parts, key_sql
from tests.conftest import Database

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "ids.md"

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60)
old_ids = st.one_of(
    texts,
    st.uuids().map(str),
    st.uuids().map(lambda made: str(made).upper()),
    st.uuids().map(lambda made: f"{{{made}}}"),
    st.integers().map(str),
)


def vectors() -> list[tuple[str, str, str, str]]:
    rows = re.findall(
        r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \| `([0-9a-f-]{36})` \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) >= 5
    return rows


def test_the_vectors_of_the_page_hold_in_python() -> None:
    for namespace, table, old, want in vectors():
        assert str(derive_id(namespace, table, old)) == want, (namespace, table, old)


def test_the_vectors_of_the_page_hold_in_sql(database_each: Database) -> None:
    with database_each.connect() as connection:
        for namespace, table, old, want in vectors():
            row = connection.execute(
                f"select {id_sql(namespace, table, 'o')} from (select %s::text) t (o)", [old]
            ).fetchone()
            assert row is not None
            assert str(row[0]) == want, (namespace, table, old)


def test_sql_and_python_agree_on_any_text(database: Database) -> None:
    with database.connect() as connection:

        @settings(max_examples=25, deadline=None)
        @given(texts.filter(bool), texts.filter(bool), st.lists(old_ids, min_size=1, max_size=60))
        def agree(namespace: str, table: str, olds: list[str]) -> None:
            sql = id_sql(namespace, table, "o").replace("%", "%%")
            got = connection.execute(
                f"select o, {sql} from unnest(%s::text[]) with ordinality u (o, n) order by n", [olds]
            ).fetchall()
            assert got == [(old, derive_id(namespace, table, old)) for old in olds]

        agree()


@given(texts, texts, old_ids)
def test_a_derived_id_has_version_8_and_a_canonical_uuid_is_kept(namespace: str, table: str, old: str) -> None:
    made = derive_id(namespace, table, old)
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", old):
        assert made == uuid.UUID(old)
    else:
        assert (made.version, made.variant) == (8, uuid.RFC_4122)


def test_namespace_table_and_id_are_kept_apart() -> None:
    assert derive_id("a", "b", "c") != derive_id("a", "bc", "")
    assert derive_id("a", "b", "c") != derive_id("ab", "", "c")
    assert derive_id("clinic", "users", "1") != derive_id("clinic", "providers", "1")


def test_keys_of_several_columns_are_one_text_and_back(database: Database) -> None:
    key = ["a", "b c"]
    made = key_sql("s", key, is_text=False)
    with database.connect() as connection:
        connection.execute('create temp table t (a int, "b c" text)')

        @settings(max_examples=25, deadline=None, database=None)
        @given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), texts), min_size=1, max_size=40, unique=True))
        def agree(keys: list[tuple[int, str]]) -> None:
            numbers, words = [number for number, _ in keys], [word for _, word in keys]
            connection.execute("truncate t")
            connection.execute("insert into t select * from unnest(%s::int[], %s::text[])", [numbers, words])
            got = [str(row[0]) for row in connection.execute(f"select {made} from t s order by ctid")]
            assert [key_parts(key, text) for text in got] == [[str(number), word] for number, word in keys]
            assert len(set(got)) == len(keys)
            # And the text finds its row again.
            found = connection.execute(
                f"select count(*) from t s where {key_condition('s', key, ['integer', 'text'], got[0])}"
            ).fetchone()
            assert found == (1,)

        agree()
