"""What the access matrix is compiled to, and what it says: without a server."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pglast
import pytest
from pglast import ast
from pydantic import ValidationError

from tenantry.access import (
    context_sql,
    cutover_grants,
    cutover_revokes,
    insertable,
    matrix_markdown,
    roles_sql,
    secure_statements,
    selectable,
    updatable,
)
from tenantry.catalog import Catalog, Column, Constraint, Table, View
from tenantry.errors import ManifestError, TenantryError
from tenantry.manifest import COMMANDS, Manifest, Own, Project, resolve
from tenantry.manifest.model import Access, TableRule
from tenantry.prove.model import Cell, Check, Proof
from tenantry.prove.oracle import NEW, Facts, may
from tenantry.prove.people import OTHER, OWN, Person

SCHEMA = "My App"


def _table(name: str, *columns: str, key: tuple[str, ...]) -> Table:
    """Columns as 'name type', NOT NULL where they are of the key."""
    made = tuple(
        Column(column, kind, position=position, nullable=column not in key)
        for position, (column, kind) in enumerate((text.split() for text in columns), start=1)
    )
    return Table(SCHEMA, name, columns=made, constraints=(Constraint(f"{name}_pkey", "primary", key),))


TARGET = Catalog(
    SCHEMA,
    tables=(
        _table("Org", "id uuid", "name text", "isOpen boolean", "created_at timestamptz", key=("id",)),
        _table("Person", "id uuid", "account uuid", "nick text", key=("id",)),
        _table("Member", "orgId uuid", "id uuid", "personId uuid", "level text", key=("orgId", "id")),
        _table(
            "Note",
            *("orgId uuid", "id uuid", "legacy_id text", "authorId uuid", "body text", "secret text"),
            *("created_at timestamptz", "updated_by uuid"),
            key=("orgId", "id"),
        ),
        _table("Remark", "orgId uuid", "id uuid", "noteId uuid", "text text", key=("orgId", "id")),
        _table("Tag", "id uuid", "name text", key=("id",)),
    ),
)
SOURCE = Catalog("old", tables=(Table("old", "users", columns=(Column("email", "text"),)),))

OWN_NOTE = {"own": "authorId", "role": "guest"}
ON_NOTE = {"own": "noteId -> Note", "role": "guest"}
ACCESS: dict[str, dict[str, object]] = {
    "Org": {"select": "guest", "insert": "super", "update": "boss", "delete": "super"},
    "Person": {
        "select": {"colleagues": "boss", "own": "id"},
        "insert": "service",
        "update": {"own": "id"},
        "delete": "service",
        "fixed": ["account"],
    },
    "Member": {"select": "guest", "insert": "service", "update": "service", "delete": "service"},
    "Note": {"select": OWN_NOTE, "insert": OWN_NOTE, "update": OWN_NOTE, "delete": "boss", "hidden": ["secret"]},
    "Remark": {"select": ON_NOTE, "insert": ON_NOTE, "update": ON_NOTE, "delete": ON_NOTE},
    "Tag": {"select": "signed_in", "insert": "super", "update": "super", "delete": "super"},
}


def _manifest(**access: dict[str, object]) -> Manifest:
    tables = {name: {"access": access.get(name, rule)} for name, rule in ACCESS.items()}
    return Manifest.model_validate(
        {
            "name": "app",
            "source": {"schema": "old", "ignore": ["users"]},
            "target": {"schema": SCHEMA, "files": []},
            "ids": {"namespace": "app"},
            "tenant": {"table": "Org", "column": "orgId", "active": '"isOpen"'},
            "membership": {"table": "Member", "profile": "personId", "role": "level"},
            "roles": {"order": ["guest", "boss"]},
            "users": {"from": "users", "email": "email", "profile": "Person", "account": "account"},
            "tables": tables,
        }
    )


def _project(**access: dict[str, object]) -> Project:
    return resolve(_manifest(**access), SOURCE, TARGET)


def _statements(project: Project) -> list[str]:
    entries = secure_statements(project, owner="the owner")
    return [statement for entry in entries for statement in (*entry.statements, *entry.undo)]


def _policies(project: Project) -> list[ast.CreatePolicyStmt]:
    found = (pglast.parse_sql(statement)[0].stmt for statement in _statements(project))
    return [statement for statement in found if isinstance(statement, ast.CreatePolicyStmt)]


def _client_policies(project: Project) -> dict[tuple[str, str], ast.CreatePolicyStmt]:
    found = {}
    for policy in _policies(project):
        (role,) = policy.roles or ()
        if role.rolename == "authenticated":
            assert policy.table is not None
            key = (str(policy.table.relname), str(policy.cmd_name))
            assert key not in found
            found[key] = policy
    return found


# -- generated SQL -------------------------------------------------------------------------------------------------------


def test_everything_generated_is_sql_that_postgresql_can_parse() -> None:
    project = _project()
    for statement in [*_statements(project), *cutover_grants(project), *cutover_revokes(project)]:
        assert len(pglast.parse_sql(statement)) == 1
        assert statement.endswith(";")
    assert pglast.parse_sql(context_sql(project.manifest))
    script = roles_sql(project.manifest, owner="o'wn\"er", database="the base")
    assert len(pglast.parse_sql(script)) == 1
    assert pglast.parse_plpgsql(script)
    assert "'o''wn\"er'" in script


def test_every_cell_but_service_becomes_exactly_one_policy_with_its_conditions() -> None:
    project = _project()
    policies = _client_policies(project)
    want = {
        (table, command)
        for table, rule in project.manifest.tables.items()
        for command in COMMANDS
        if rule.access.cell(command) != "service"
    }
    assert set(policies) == want
    for (_, command), policy in policies.items():
        assert (policy.qual is not None) == (command != "insert")
        assert (policy.with_check is not None) == (command in ("insert", "update"))


def test_a_policy_says_which_cell_it_comes_from() -> None:
    comments = [statement for statement in _statements(_project()) if statement.startswith("comment on policy")]
    assert any('tables.Remark.access.select = { own = "noteId -> Note", role = "guest" }' in text for text in comments)
    assert any('tables.Org.access.update = "boss"' in text for text in comments)


def test_every_table_states_who_is_no_client() -> None:
    project = _project()
    roles: dict[str, set[str]] = {}
    for policy in _policies(project):
        assert policy.table is not None
        roles.setdefault(str(policy.table.relname), set()).update(str(role.rolename) for role in policy.roles or ())
    read_by_the_context = {"Org", "Person", "Member"}
    for table in TARGET.tables:
        want = {"authenticated", "the owner", "service_role", "tenantry_backup"}
        if table.name in read_by_the_context:
            want.add("tenantry_definer")
        assert roles[table.name] == want


def test_columns_that_clients_may_not_name_are_in_no_grant() -> None:
    project = _project()
    note, access = TARGET.table("Note"), project.manifest.tables["Note"].access
    assert note is not None
    assert selectable(note, access) == (*("orgId", "id", "legacy_id", "authorId", "body", "created_at", "updated_by"),)
    assert insertable(note) == ("orgId", "id", "authorId", "body", "secret")
    assert updatable(project, note) == ("authorId", "body", "secret")
    person = TARGET.table("Person")
    assert person is not None
    assert updatable(project, person) == ("nick",)


def test_clients_write_nothing_before_the_cut_over() -> None:
    granted = [statement for statement in _statements(_project()) if statement.startswith("grant")]
    assert granted
    assert not [
        statement for statement in granted if not statement.startswith(("grant select", "grant usage", "grant execute"))
    ]


def test_a_view_with_the_rights_of_its_owner_is_refused_and_a_materialized_one_closed() -> None:
    project = _project()
    plain = View(SCHEMA, "open")
    with pytest.raises(ManifestError, match="security_invoker"):
        secure_statements(replace(project, target=replace(TARGET, views=(plain,))), owner="o")
    views = (replace(plain, options=("security_invoker=on",)), View(SCHEMA, "stored", materialized=True))
    entries = {
        entry.table: "\n".join(entry.statements)
        for entry in secure_statements(replace(project, target=replace(TARGET, views=views)), owner="o")
    }
    assert "to authenticated" in entries["open"]
    assert "to authenticated" not in entries["stored"]


def test_a_foreign_table_is_refused() -> None:
    tables = (*TARGET.tables, Table(SCHEMA, "far", kind="foreign"))
    with pytest.raises(TenantryError, match="foreign table"):
        secure_statements(replace(_project(), target=replace(TARGET, tables=tables)), owner="o")


def test_a_partition_has_no_door_of_its_own() -> None:
    leaf = Table(SCHEMA, "Tag_1", kind="partition", partition_of=(SCHEMA, "Tag"), columns=TARGET.tables[0].columns)
    project = replace(_project(), target=replace(TARGET, tables=(*TARGET.tables, leaf)))
    assert not [key for key in _client_policies(project) if key[0] == "Tag_1"]
    assert not [text for text in cutover_grants(project) if "Tag_1" in text and "authenticated" in text]
    entry = next(entry for entry in secure_statements(project, owner="o") if entry.table == "Tag_1")
    assert "force row level security" in entry.statements[0]


# -- the manifest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"own": "noteId -> Nite", "role": "guest"}, "did you mean 'Note'"),
        ({"own": "nteId -> Note", "role": "guest"}, "did you mean 'noteId'"),
        ({"own": "noteId -> Remark", "role": "guest"}, "cannot decide about itself"),
        ({"own": "noteId -> Note"}, "least role"),
        ({"colleagues": "guest", "own": "noteId"}, "has a tenant"),
        ("chief", "no role"),
    ],
)
def test_a_cell_that_cannot_be_is_said_with_its_place(cell: object, said: str) -> None:
    with pytest.raises(ManifestError, match=said) as caught:
        _project(Remark={**ACCESS["Remark"], "select": cell})
    assert "tables.Remark.access.select" in caught.value.message


def test_rows_cannot_hang_on_rows_that_no_client_sees() -> None:
    with pytest.raises(ManifestError, match="no client sees rows of Note"):
        _project(Note={**ACCESS["Note"], "select": "service"})


def test_a_role_of_a_tenant_is_none_in_a_table_without_one() -> None:
    for cell in ("guest", {"own": "id", "role": "boss"}):
        with pytest.raises(ManifestError, match="is a role in a tenant"):
            _project(Tag={**ACCESS["Tag"], "select": cell})


def test_no_table_is_open_by_silence() -> None:
    with pytest.raises(ValidationError, match="delete"):
        TableRule.model_validate({"access": {"select": "guest", "insert": "guest", "update": "guest"}})


def test_the_arrow_is_read() -> None:
    assert (Own(own="a -> b").column, Own(own="a -> b").parent) == ("a", "b")
    assert (Own(own="a").column, Own(own="a").parent) == ("a", None)


def test_the_matrix_is_printed_for_every_role() -> None:
    text = matrix_markdown(_project())
    assert "| `Note` | guest, own rows | guest, own rows | guest, own rows | boss | `secret` |  |" in text
    assert "| `Org` | S | SU | SIUD | — |" in text
    assert "| `Note` | siu | siuD | siuD | — |" in text
    assert "| `Tag` | S | S | SIUD | S |" in text


# -- the oracle ----------------------------------------------------------------------------------------------------------

GUEST, BOSS = Person("guest", {OWN: "guest"}), Person("boss", {OWN: "boss"})
MIXED = Person("mixed", {OWN: "guest", OTHER: "boss"})
SUPER, NOBODY = Person("super", is_super=True), Person("signed in")
BANNED = Person("banned", {OWN: "boss"}, is_banned=True)
EVERYBODY = (GUEST, BOSS, MIXED, SUPER, NOBODY, BANNED)


def _allowed(command: str, row: Facts) -> list[str]:
    manifest = _manifest()
    return [person.label for person in EVERYBODY if may(manifest, command, person, row)]  # type: ignore[arg-type]


def test_the_oracle_reads_the_matrix_straight() -> None:
    assert _allowed("select", Facts("Org", OWN)) == ["guest", "boss", "mixed", "super"]
    assert _allowed("update", Facts("Org", OWN)) == ["boss", "super"]
    assert _allowed("update", Facts("Org", OTHER)) == ["mixed", "super"]
    assert _allowed("insert", Facts("Org", NEW)) == ["super"]
    assert _allowed("select", Facts("Note", OWN, GUEST)) == ["guest"]
    # Who may delete but not see, finds nothing to delete.
    assert _allowed("delete", Facts("Note", OWN, GUEST)) == []
    assert _allowed("delete", Facts("Note", OWN, BOSS)) == ["boss"]
    assert _allowed("select", Facts("Remark", OWN, GUEST, Facts("Note", OWN, GUEST))) == ["guest"]
    assert _allowed("select", Facts("Person", None, GUEST)) == ["guest", "boss", "super"]
    assert _allowed("select", Facts("Person", None, Person("x", {OTHER: "guest"}))) == ["mixed", "super"]
    assert _allowed("update", Facts("Person", None, MIXED)) == ["mixed"]
    assert _allowed("select", Facts("Tag")) == ["guest", "boss", "mixed", "super", "signed in"]
    assert _allowed("insert", Facts("Member", OWN)) == []


def test_the_oracle_lets_nobody_in_who_is_nobody() -> None:
    manifest = _manifest()
    for table, command, tenant in itertools.product(manifest.tables, COMMANDS, (OWN, OTHER, None)):
        assert not may(manifest, command, None, Facts(table, tenant))


def test_a_cell_that_was_not_tried_neither_passes_nor_fails() -> None:
    tried = Cell("guest", "Note", "select", "own row", "allow", "allow")
    open_cell = replace(tried, got="not tried", detail="no row")
    proof = Proof((tried, open_cell), (Check("c", "t", "m"),), "login", 0.1)
    assert proof.passed
    assert proof.untried == (open_cell,)
    assert proof.counts["passed"] == 1
    assert not replace(proof, cells=(replace(tried, got="error"),)).passed
    assert not replace(proof, checks=(Check("c", "t", "m", ("x",)),)).passed


def test_access_rules_name_columns_that_exist() -> None:
    assert Access.model_validate(ACCESS["Org"]).fixed == ()
    with pytest.raises(ManifestError, match="did you mean 'secret'"):
        _project(Note={**ACCESS["Note"], "hidden": ["secrt"]})


def test_package_data_holds_every_script() -> None:
    import tenantry  # noqa: PLC0415

    root = Path(tenantry.__file__).parent
    for script in (root / "prove" / "sql").glob("*.sql"):
        text = script.read_text(encoding="utf-8")
        assert text.startswith("-- title: ")
        assert "\n-- mending: " in text
