"""The catalog as a value: order, keys, JSON, digest, and the texts made from it. No server."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from tenantry.catalog import (
    Catalog,
    Column,
    Constraint,
    DomainType,
    EnumType,
    Function,
    Grant,
    Index,
    Policy,
    Publication,
    Sequence,
    Table,
    Trigger,
    View,
    dictionary_markdown,
    entity_diagram_mermaid,
)
from tenantry.catalog.mentions import mentioned


def key(name: str, kind: str, *columns: str, **more: Any) -> Constraint:
    return Constraint(name, kind, columns, **more)  # type: ignore[arg-type]


def reference(
    name: str, columns: tuple[str, ...], table: str, ref: tuple[str, ...] = ("id",), **more: Any
) -> Constraint:
    return Constraint(
        name, "foreign", columns, ref_schema=more.pop("schema", "app"), ref_table=table, ref_columns=ref, **more
    )


def columns(*names: str, nullable: str = "") -> tuple[Column, ...]:
    """Columns by name; those in `nullable` may be null."""
    return tuple(
        Column(name, "text", type_name="text", position=number, nullable=name in nullable.split())
        for number, name in enumerate(names, 1)
    )


CLINIC = Table("app", "Clinic", columns=columns("id", "name"), constraints=(key("Clinic_pkey", "primary", "id"),))
GOAL = Table(
    "app",
    "goal",
    comment="What a clinic wants. In *one* year.",
    columns=(
        *columns("id", "clinicId", "owner", nullable="owner"),
        Column(
            "state",
            'app."State"',
            "enum",
            "app",
            "State",
            4,
            default="'a|b'::app.\"State\"",
            comment="<b>now</b> | then",
        ),
    ),
    constraints=(
        key("goal_pkey", "primary", "id"),
        reference("goal_clinic", ("clinicId",), "Clinic", on_delete="cascade"),
        reference("goal_owner", ("owner",), "users", schema="auth", validated=False),
    ),
    policies=(Policy("p"),),
)
STATE = EnumType("app", "State", ("open", "done"))
FULL = Catalog(
    "app",
    "db",
    180004,
    tables=(
        GOAL,
        replace(CLINIC, grants=(Grant("b", "SELECT"), Grant("a", "SELECT", column="id")), inherits=(("app", "x"),)),
    ),
    views=(View("app", "v", depends_on=(("app", "goal"), ("app", "Clinic"))),),
    functions=(Function("app", "f", "b integer"), Function("app", "f", "a text", mentions=(("app", "goal"),))),
    sequences=(Sequence("app", "s", last_value=7, owned_by=("goal", "id")),),
    enums=(STATE,),
    domains=(DomainType("app", "d", checks=(key("d_check", "check", expression="(VALUE > 0)"),)),),
)


# -- order and keys --------------------------------------------------------------------------------------------------


def test_a_catalog_does_not_depend_on_the_order_it_was_made_in() -> None:
    parts: dict[str, Any] = {item.name: getattr(FULL, item.name) for item in fields(FULL)}
    turned: dict[str, Any] = {name: value[::-1] if isinstance(value, tuple) else value for name, value in parts.items()}
    assert Catalog(**turned) == FULL
    assert [item.name for item in FULL.tables] == ["Clinic", "goal"]
    assert [item.arguments for item in FULL.functions] == ["a text", "b integer"]
    assert [item.grantee for item in FULL.tables[0].grants] == ["a", "b"]


def test_missing_objects_are_none() -> None:
    assert FULL.table("Goal") is None
    assert GOAL.column("ID") is None
    assert Table("app", "t").primary_key is None


def test_constraints_are_found_by_their_kind() -> None:
    made = (key("c", "check"), key("u", "unique", "a"), key("p", "primary", "b"), reference("f", ("a",), "t"))
    table = Table("app", "t", constraints=made)
    got = (table.checks, table.uniques, (table.primary_key,), table.foreign_keys)
    assert got == tuple((item,) for item in made)


def test_references_to_a_table_are_those_of_its_own_schema() -> None:
    users = Table("app", "users")
    catalog = Catalog("app", tables=(CLINIC, GOAL, users))
    assert [(table.name, found.name) for table, found in catalog.references_to("Clinic")] == [("goal", "goal_clinic")]
    assert catalog.references_to("users") == ()


UNIQUE_A = Index("a_key", "", ("a",), unique=True)


@pytest.mark.parametrize(
    ("indexes", "constraints", "want"),
    [
        ((UNIQUE_A,), (), ("a",)),
        ((UNIQUE_A,), (key("p", "primary", "n", "b"),), ("n", "b")),
        ((replace(UNIQUE_A, unique=False),), (), None),
        ((replace(UNIQUE_A, valid=False),), (), None),
        ((replace(UNIQUE_A, predicate="(a > 0)"),), (), None),
        ((replace(UNIQUE_A, columns=("a", None)),), (), None),
        ((replace(UNIQUE_A, columns=("n",)),), (), None),
        ((replace(UNIQUE_A, columns=("a", "n")),), (), None),
        ((replace(UNIQUE_A, constraint="u"),), (key("u", "unique", "a", deferrable=True),), None),
        ((replace(UNIQUE_A, constraint="u"),), (key("u", "unique", "a"),), ("a",)),
        ((UNIQUE_A, Index("A_key", "", ("b",), unique=True)), (), ("b",)),
        ((Index("1", "", ("a", "b"), unique=True), Index("2", "", ("b",), unique=True)), (), ("b",)),
        ((replace(UNIQUE_A, included=("n",)),), (), ("a",)),
    ],
)
def test_the_row_key_needs_a_key_that_no_row_can_escape(
    indexes: tuple[Index, ...], constraints: tuple[Constraint, ...], want: tuple[str, ...] | None
) -> None:
    table = Table("app", "t", columns=columns("a", "b", "n", nullable="n"), indexes=indexes, constraints=constraints)
    assert table.row_key == want


# -- JSON and digest -------------------------------------------------------------------------------------------------


def test_json_is_plain_sorted_and_comes_back_equal() -> None:
    plain = FULL.to_json()
    text = json.dumps(plain)
    assert text == json.dumps(plain, sort_keys=True)
    assert Catalog.from_json(json.loads(text)) == FULL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 1}, "Catalog.schema: expected <class 'str'>, found 1"),
        ({"tables": None}, "Catalog.tables: expected a list, found None"),
        ({"tables": [1]}, "Catalog.tables[0]: expected an object, found 1"),
        ({"surprise": 1}, "Catalog: unknown surprise"),
        ({"server_version": True}, "Catalog.server_version: expected <class 'int'>, found True"),
    ],
)
def test_invalid_catalog_json_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Catalog.from_json({**FULL.to_json(), **change})
    assert str(caught.value) == message


def test_json_that_lacks_a_key_is_refused() -> None:
    plain = FULL.to_json()
    del plain["enums"]
    with pytest.raises(ValueError, match="Catalog: missing enums"):
        Catalog.from_json(plain)


def test_the_digest_is_the_same_for_ever() -> None:
    """It is stored in plans: a change of the model that changes it is a new format."""
    assert Catalog("app").digest() == "31672f9bf1689eceef918fa7634baa0e283e8a876ade9a8befa026a82215f143"


def test_the_digest_omits_volatile_facts() -> None:
    table = replace(CLINIC, indexes=(UNIQUE_A,))
    before = Catalog("app", "one", 150000, tables=(table,), sequences=(Sequence("app", "s"),))
    bigger = replace(table, row_estimate=9, size_bytes=9, indexes=(replace(UNIQUE_A, size_bytes=9),))
    after = Catalog("app", "two", 180000, tables=(bigger,), sequences=(Sequence("app", "s", last_value=9),))
    assert before != after
    assert before.digest() == after.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"rls_forced": True},
        {"comment": ""},
        {"publications": (Publication("p"),)},
        {"triggers": (Trigger("t", ""),)},
        {"columns": CLINIC.columns[:1]},
        {"name": "clinic"},
    ],
)
def test_the_digest_changes_with_any_other_fact(change: dict[str, Any]) -> None:
    changed = Catalog("app", tables=(replace(CLINIC, **change),))
    assert changed.digest() != Catalog("app", tables=(CLINIC,)).digest()


# -- mentions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "want"),
    [
        ("select * from goal", ["goal"]),
        ("select * from GOAL", ["goal"]),
        ('select * from "User"', ["User"]),
        ("select * from User", []),
        ('select * from app . goal, app."User"', ["User", "goal"]),
        ("select * from auth.goal", []),
        ("select goal.id", ["goal"]),
        ("new.goal := 1", []),
        ("select goals, my_goal, goal2", []),
        ("-- goal\n/* goal */ select 1", []),
        ("execute 'delete from goal'", ["goal"]),
        ("select '--', goal", ["goal"]),
        ("select 'it''s /*', goal /* */", ["goal"]),
        ('select "a""b"', ['a"b']),
    ],
)
def test_a_body_mentions_relations_as_postgresql_reads_names(body: str, want: list[str]) -> None:
    got = mentioned(body, "app", {"goal", "User", 'a"b'})
    assert got == tuple(("app", name) for name in want)


# -- dictionary ------------------------------------------------------------------------------------------------------


def test_the_dictionary_tells_everything_about_a_table() -> None:
    text = dictionary_markdown(Catalog("app", tables=(CLINIC, GOAL), enums=(STATE,)), title="Data")
    assert text == DICTIONARY


DICTIONARY = """\
# Data

## Contents

- Tables (2)
  - [Clinic](#table-Clinic)
  - [goal](#table-goal): What a clinic wants.
- Enums (1)
  - [State](#enum-State)

## Tables

<a id="table-Clinic"></a>

### Clinic

| Column | Type | Null | Default | Comment |
| --- | --- | --- | --- | --- |
| `id` | `text` | no |  |  |
| `name` | `text` | no |  |  |

- Primary key: `id`
- Referenced by: [goal](#table-goal) (`clinicId`)
- Row-level security: off

<a id="table-goal"></a>

### goal

What a clinic wants. In \\*one\\* year.

| Column | Type | Null | Default | Comment |
| --- | --- | --- | --- | --- |
| `id` | `text` | no |  |  |
| `clinicId` | `text` | no |  |  |
| `owner` | `text` | yes |  |  |
| `state` | [`app."State"`](#enum-State) | yes | `'a\\|b'::app."State"` | &lt;b>now&lt;/b> \\| then |

- Primary key: `id`
- References: `clinicId` to [Clinic](#table-Clinic) (`id`), on delete cascade
- References: `owner` to `auth.users` (`id`), not validated
- Row-level security: off (its 1 policy without effect)

## Enums

<a id="enum-State"></a>

### State

Labels, in order: `open`, `done`
"""


def test_the_dictionary_has_no_sizes_versions_or_positions() -> None:
    bigger = Catalog("app", "other", 160000, tables=(replace(CLINIC, row_estimate=5, size_bytes=6),))
    assert dictionary_markdown(bigger, title="t") == dictionary_markdown(Catalog("app", tables=(CLINIC,)), title="t")


def test_names_that_look_alike_have_anchors_of_their_own() -> None:
    tables = tuple(Table("app", name) for name in ("a b", "a_b", "A-b"))
    text = dictionary_markdown(Catalog("app", tables=tables), title="t")
    ids = [line.split('"')[1] for line in text.splitlines() if line.startswith("<a id=")]
    assert len({item.lower() for item in ids}) == 3
    assert all(f"](#{item})" in text for item in ids)


# -- diagram ---------------------------------------------------------------------------------------------------------


def relation(child: Table) -> str:
    (line,) = (line for line in entity_diagram_mermaid(Catalog("app", tables=(child,))).splitlines() if " : " in line)
    return line.strip()


@pytest.mark.parametrize(
    ("name", "made", "want"),
    [
        ("a parent for each, many children", (), '"Clinic" ||..o{ "t" : "c"'),
        ("one child at most", (key("u", "unique", "c"),), '"Clinic" ||..o| "t" : "c"'),
        ("part of the key", (key("p", "primary", "c", "d"),), '"Clinic" ||--o{ "t" : "c"'),
        ("all of the key", (key("p", "primary", "c"),), '"Clinic" ||--o| "t" : "c"'),
        ("unique with more columns", (key("u", "unique", "c", "d"),), '"Clinic" ||..o{ "t" : "c"'),
    ],
)
def test_the_ends_of_a_relation_follow_from_keys(name: str, made: tuple[Constraint, ...], want: str) -> None:
    table = Table("app", "t", columns=columns("c", "d"), constraints=(reference("f", ("c",), "Clinic"), *made))
    assert relation(table) == want


def test_a_reference_that_may_be_null_has_no_parent_for_some_rows() -> None:
    table = Table("app", "t", columns=columns("c", nullable="c"), constraints=(reference("f", ("c",), "Clinic"),))
    assert relation(table) == '"Clinic" |o..o{ "t" : "c"'


def test_a_partial_unique_index_does_not_make_one_child() -> None:
    partial = Index("i", "", ("c",), unique=True, predicate="x")
    made = Table("app", "t", columns=columns("c"), constraints=(reference("f", ("c",), "Clinic"),), indexes=(partial,))
    assert relation(made) == '"Clinic" ||..o{ "t" : "c"'
    assert relation(replace(made, indexes=(replace(partial, predicate=None),))) == '"Clinic" ||..o| "t" : "c"'


def test_the_diagram_shows_key_columns_only_and_other_schemas_by_name() -> None:
    assert entity_diagram_mermaid(Catalog("app", tables=(CLINIC, GOAL))) == (
        "erDiagram\n"
        '    "Clinic" {\n'
        "        text id PK\n"
        "    }\n"
        '    "goal" {\n'
        "        text id PK\n"
        "        text clinicId FK\n"
        "        text owner FK\n"
        "    }\n"
        '    "Clinic" ||..o{ "goal" : "clinicId"\n'
        '    "auth.users" |o..o{ "goal" : "owner"\n'
    )


def test_names_and_types_become_words_that_mermaid_takes() -> None:
    odd = (
        Column("my id", "numeric(10,2)", position=1, nullable=False),
        Column("1st", "timestamp(3) without time zone", position=2, nullable=False),
        Column("PK", 'app."State"', "enum", "app", "State", 3, nullable=False),
    )
    table = Table("app", 'say "%s"', columns=odd, constraints=(key("p", "primary", "my id", "1st", "PK"),))
    assert entity_diagram_mermaid(Catalog("app", tables=(table,))).splitlines()[1:] == [
        '    "say s " {',
        '        numeric(10_2) my_id PK "my id"',
        '        timestamp(3) _1st PK "1st"',
        '        State _PK PK "PK"',
        "    }",
    ]


def test_partitions_are_drawn_as_their_parent() -> None:
    leaf = Table("app", "leaf", "partition", partition_of=("app", "metric"))
    text = entity_diagram_mermaid(Catalog("app", tables=(Table("app", "metric", "partitioned"), leaf)))
    assert text == 'erDiagram\n    "metric"\n'
