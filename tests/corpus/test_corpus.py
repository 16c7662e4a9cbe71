"""The answers of the corpus are right: they name what exists, cover every table, and the data has what they say."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from psycopg import sql

from tenantry.postgres import EmbeddedServer
from tests.conftest import fresh_database, running_server
from tests.corpus.answer import Column, ReferenceAnswer
from tests.corpus.catalog import Described, describe
from tests.corpus.evidence import Connection, column_values, holds, meant
from tests.corpus.filled import filled
from tests.corpus.hundred_tables.make import answer_toml, make, schema_sql
from tests.corpus.load import FOLDER, CorpusSchema, load, names
from tests.corpus.tenants import Tenants

_MOST = 10_000
"""Rows that a schema may have at most, so that it loads in about a second."""
_ENOUGH = 0.7
_EVIDENCE = 5
"""Distinct ids that a reference has at least, or all of its parent's."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,}")
_TEXTS = {"text", "varchar", "bpchar", "uuid", "json", "jsonb", "_text", "_uuid", "_varchar"}
_CHARACTERS = {"text", "varchar", "bpchar", "uuid"}


@dataclass
class Loaded:
    corpus: CorpusSchema
    connection: Connection
    tables: Mapping[str, Described]

    def keys(self, table: str, column: str) -> set[str]:
        return set(map(str, column_values(self.connection, table, column)))

    def parent(self, table: str, column: str) -> str | None:
        """The table to which a column leads, by a foreign key or by the answer."""
        if column in self.tables[table].parents:
            return self.tables[table].parents[column][0]
        name, _, path = column.partition(":")
        for one in self.references():
            if one.column == Column(table, name) and (one.form == "embedded" or (one.path or "") == path):
                return one.parent
        for columns, parent, others in self.tables[table].keys:
            if (
                column in columns and parent != table
            ):  # part of a composite key: it leads to where the parent's part leads
                return self.parent(parent, others[columns.index(column)]) or parent
        return None

    def references(self) -> tuple[ReferenceAnswer, ...]:
        return self.corpus.answer.references + self.corpus.answer.unproven


@pytest.fixture(scope="module", params=names())
def loaded(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest) -> Iterator[Loaded]:
    with filled(running_server(servers, 18), request.param).connect() as connection:
        yield Loaded(load(request.param), connection, describe(connection))


def test_it_is_small_enough_to_load_quickly(loaded: Loaded) -> None:
    every = sql.SQL(" union all ").join(
        sql.SQL("select 1 from {}").format(sql.Identifier(name)) for name in loaded.tables
    )
    ((count,),) = loaded.connection.execute(sql.SQL("select count(*) from ({}) each").format(every)).fetchall()
    assert isinstance(count, int)
    assert count <= _MOST


def test_the_answer_covers_every_table_and_names_only_what_exists(loaded: Loaded) -> None:
    answer = loaded.corpus.answer
    assert set(answer.tables) == set(loaded.tables)
    columns = {Column(table, one.name) for table, found in loaded.tables.items() for one in found.columns}
    named = {one.column for one in loaded.references()} | {Column(one.parent, one.key) for one in loaded.references()}
    named |= {Column(one.column.table, one.when[0]) for one in loaded.references() if one.when}
    named |= answer.external | answer.decoys
    for found in answer.text.values():
        named |= found
    if answer.users:
        named |= {Column(answer.users.table, answer.users.email)} if answer.users.email else set()
        named |= {answer.users.password} if answer.users.password else set()
    assert named <= columns, named - columns
    for root in (answer.tenant, *answer.acceptable):
        assert (root.table in loaded.tables) is (root.form in {"table", "person"} or root.table is not None), root
        assert root.column is None or root.table is None or Column(root.table, root.column) in columns, root
    states = {column for one in loaded.tables.values() for column in one.parents}
    assert not {str(one.column) for one in loaded.references()} & states


def test_nothing_is_both_a_reference_and_none(loaded: Loaded) -> None:
    answer = loaded.corpus.answer
    values = {one.column for one in loaded.references() if one.form == "value"}
    assert not values & (answer.external | answer.decoys)
    assert not answer.external & answer.decoys
    assert not [one for one in loaded.references() if one.column.name in loaded.tables[one.column.table].parents]
    assert max(Counter(loaded.references()).values(), default=1) == 1


def test_the_path_of_each_table_ends_at_the_tenant(loaded: Loaded) -> None:
    answer = loaded.corpus.answer
    for table in answer.tables.values():
        if table.path is not None:
            _walk(loaded, table.name, table.path, answer.tenant.table, answer.tenant.column)
        if table.fallback is not None:
            assert answer.users
            _walk(loaded, table.name, table.fallback, answer.users.table, None)


def _walk(loaded: Loaded, start: str, path: tuple[str, ...], end: str | None, column: str | None) -> None:
    """Each hop is a reference. A tenant that is a column's value is reached with that column, or one of its name."""
    here, hops = start, list(path)
    if column is not None:
        last = hops.pop()
    for hop in hops:
        if hop.startswith("<"):
            table, _, name = hop[1:].rpartition(".")
            assert loaded.parent(table, name) == here, (start, hop)
            here = table
        else:
            parent = loaded.parent(here, hop)
            assert parent is not None, (start, here, hop)
            here = parent
    if column is not None:
        assert last in {one.name for one in loaded.tables[here].columns}, (start, path)
    else:
        assert end is None or here == end, (start, path, here)


def test_each_reference_finds_its_parent(loaded: Loaded) -> None:
    keys: dict[tuple[str, str], set[str]] = {}
    poor: list[str] = []
    for one in loaded.corpus.answer.references:
        at = (one.parent, one.key)
        known = keys[at] if at in keys else keys.setdefault(at, loaded.keys(*at))
        values = column_values(loaded.connection, one.column.table, one.column.name, one.when)
        ids = [found for value in values for found in meant(one, value)]
        share = sum(found in known for found in ids) / len(ids) if ids else 0.0
        if share < _ENOUGH:
            poor.append(
                f"{one.column} {one.form} {one.path or one.pattern or ''} -> {one.parent}: {share:.2f} of {len(ids)}"
            )
    assert not poor


def test_no_other_column_of_text_or_uuids_holds_the_ids_of_a_table(loaded: Loaded) -> None:
    """Keys that are no numbers are found by value alone: an answer that leaves one out would be wrong."""
    stated = {one.column for one in loaded.references()} | loaded.corpus.answer.decoys
    parents = {
        name: loaded.keys(name, table.key[0])
        for name, table in loaded.tables.items()
        if len(table.key) == 1
        and table.key[0] not in table.parents
        and table.column(table.key[0]).kind in _CHARACTERS
        and loaded.corpus.answer.tables[name].kind not in {"framework"}
    }
    found: dict[str, list[str]] = defaultdict(list)
    for name, table in loaded.tables.items():
        for column in table.columns:
            foreign = any(column.name in columns for columns, _, _ in table.keys)
            if column.kind not in _CHARACTERS or foreign or Column(name, column.name) in stated:
                continue
            values = loaded.keys(name, column.name)
            for parent, ids in parents.items():
                own = parent == name and column.name == table.key[0]
                if not own and values and len(values & ids) >= 0.5 * len(values):
                    found[f"{name}.{column.name}"].append(parent)
    assert not found


def test_no_document_list_or_text_holds_long_ids_that_the_answer_leaves_out(loaded: Loaded) -> None:
    """Ids of 20 characters and more are no accident wherever they stand: in a document, in a list, inside a text."""
    owners: dict[str, str] = {}
    for name, table in loaded.tables.items():
        if len(table.key) == 1 and table.key[0] not in table.parents and not name.startswith("verification"):
            kind = loaded.corpus.answer.tables[name].kind
            if table.column(table.key[0]).kind in _CHARACTERS and kind not in {"framework", "credentials"}:
                owners |= {one: name for one in loaded.keys(name, table.key[0]) if len(one) >= 20}
    stated: dict[Column, set[str]] = defaultdict(set)
    for one in loaded.references():
        stated[one.column].add(one.parent)
    left: dict[str, Counter[str]] = defaultdict(Counter)
    for name, table in loaded.tables.items():
        for column in table.columns:
            if column.kind not in _TEXTS or any(column.name in columns for columns, _, _ in table.keys):
                continue
            for value in column_values(loaded.connection, name, column.name):
                for token in set(_TOKEN.findall(json.dumps(value, default=str))):
                    parent = owners.get(token)
                    own = parent == name and column.name in table.key
                    if parent and not own and parent not in stated[Column(name, column.name)]:
                        left[f"{name}.{column.name}"][parent] += 1
    assert not left


def test_references_lead_to_the_same_tenant_as_the_path(loaded: Loaded) -> None:
    """Rows of one tenant refer to rows of the same one; those of people, who may belong to several, are not looked at."""
    tenants = Tenants(loaded.connection, loaded.corpus.answer, loaded.tables)
    assert not tenants.disagreements()
    poor = {name: share for name in loaded.tables if (share := tenants.known(name)) < _ENOUGH}
    assert not poor


def test_tables_of_unproven_references_are_empty_and_the_others_have_evidence(loaded: Loaded) -> None:
    for one in loaded.corpus.answer.unproven:
        assert not column_values(loaded.connection, one.column.table, one.column.name), one
    thin = []
    for one in loaded.corpus.answer.references:
        values = column_values(loaded.connection, one.column.table, one.column.name, one.when)
        ids = {found for value in values for found in meant(one, value)}
        parents = len(loaded.keys(one.parent, one.key))
        if len(ids) < min(_EVIDENCE, parents):
            thin.append(f"{one.column} {one.path or ''} -> {one.parent}: {len(ids)}")
    assert not thin


def test_ids_of_other_systems_and_decoys_of_text_are_found_in_no_table(loaded: Loaded) -> None:
    for one in loaded.corpus.answer.external:
        values = set(map(str, column_values(loaded.connection, one.table, one.name)))
        for name, table in loaded.tables.items():
            if len(table.key) == 1 and table.column(table.key[0]).kind in _CHARACTERS and name != one.table:
                assert not values & loaded.keys(name, table.key[0]), (str(one), name)


def test_columns_of_text_hold_what_the_answer_says(loaded: Loaded) -> None:
    wrong: list[str] = []
    for kind, columns in loaded.corpus.answer.text.items():
        for one in columns:
            assert loaded.tables[one.table].column(one.name).kind in _CHARACTERS, one
            if not holds(kind, column_values(loaded.connection, one.table, one.name)):
                wrong.append(f"{one} is no {kind}")
    assert not wrong


def test_the_same_scale_makes_the_same_rows(servers: dict[int, EmbeddedServer]) -> None:
    with fresh_database(running_server(servers, 18)) as one, fresh_database(running_server(servers, 18)) as other:
        found = []
        for database in (one, other):
            with database.connect() as connection:
                corpus = load("prisma_cuid")
                corpus.create(connection)
                corpus.fill(connection, 0.2)
                found.append(connection.execute('select * from "Task" order by id').fetchall())
        assert found[0] == found[1]
        assert 100 < len(found[0]) < 300


def test_the_hundred_tables_are_what_make_writes() -> None:
    tables = make()
    assert len(tables) == 100
    assert sum(1 + len(table.columns) for table in tables) == 1200
    corpus = load("hundred_tables")
    assert corpus.schema_sql == schema_sql(tables)
    assert (FOLDER / "hundred_tables" / "answer.toml").read_text() == answer_toml(tables)
