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
    matrix_html,
    matrix_markdown,
    roles_sql,
    secure_statements,
    selectable,
    updatable,
)
from tenantry.access.helper_functions import words
from tenantry.access.telling_columns import NO_ID, doubts
from tenantry.catalog import Catalog, Column, Constraint, Table, View
from tenantry.errors import ManifestError, TenantryError
from tenantry.manifest import COMMANDS, Manifest, Own, load_manifest
from tenantry.manifest.model import Access, TableRule
from tenantry.mapping import Project, resolve
from tenantry.prove.expected.callers import ABOVE, OTHER, OWN, ProofPerson
from tenantry.prove.expected.oracle import NEW, RowFacts, may
from tenantry.prove.model import Cell, Check, Proof

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


def test_a_policy_names_its_cell() -> None:
    comments = [statement for statement in _statements(_project()) if statement.startswith("comment on policy")]
    assert any('tables.Remark.access.select = { own = "noteId -> Note", role = "guest" }' in text for text in comments)
    assert any('tables.Org.access.update = "boss"' in text for text in comments)


def test_every_table_has_policies_for_roles_that_are_no_clients() -> None:
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
    assert insertable(project, note) == ("orgId", "authorId", "body", "secret")
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
        ("chief", "not a role"),
    ],
)
def test_an_impossible_cell_is_reported_with_its_place(cell: object, said: str) -> None:
    with pytest.raises(ManifestError, match=said) as caught:
        _project(Remark={**ACCESS["Remark"], "select": cell})
    assert "tables.Remark.access.select" in caught.value.message


def test_rows_cannot_reference_rows_that_no_client_sees() -> None:
    with pytest.raises(ManifestError, match="no client sees rows of Note"):
        _project(Note={**ACCESS["Note"], "select": "service"})


def test_a_tenant_role_is_refused_in_a_table_without_tenants() -> None:
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

GUEST, BOSS = ProofPerson("guest", {OWN: "guest"}), ProofPerson("boss", {OWN: "boss"})
MIXED = ProofPerson("mixed", {OWN: "guest", OTHER: "boss"})
SUPER, NOBODY = ProofPerson("super", is_super=True), ProofPerson("signed in")
BANNED = ProofPerson("banned", {OWN: "boss"}, is_banned=True)
EVERYBODY = (GUEST, BOSS, MIXED, SUPER, NOBODY, BANNED)


def _allowed(command: str, row: RowFacts) -> list[str]:
    manifest = _manifest()
    return [person.label for person in EVERYBODY if may(manifest, command, person, row)]  # type: ignore[arg-type]


def test_the_oracle_reads_the_matrix_straight() -> None:
    assert _allowed("select", RowFacts("Org", OWN)) == ["guest", "boss", "mixed", "super"]
    assert _allowed("update", RowFacts("Org", OWN)) == ["boss", "super"]
    assert _allowed("update", RowFacts("Org", OTHER)) == ["mixed", "super"]
    assert _allowed("insert", RowFacts("Org", NEW)) == ["super"]
    assert _allowed("select", RowFacts("Note", OWN, GUEST)) == ["guest"]
    # Who may delete but not see, finds nothing to delete.
    assert _allowed("delete", RowFacts("Note", OWN, GUEST)) == []
    assert _allowed("delete", RowFacts("Note", OWN, BOSS)) == ["boss"]
    assert _allowed("select", RowFacts("Remark", OWN, GUEST, RowFacts("Note", OWN, GUEST))) == ["guest"]
    assert _allowed("select", RowFacts("Person", None, GUEST)) == ["guest", "boss", "super"]
    assert _allowed("select", RowFacts("Person", None, ProofPerson("x", {OTHER: "guest"}))) == ["mixed", "super"]
    assert _allowed("update", RowFacts("Person", None, MIXED)) == ["mixed"]
    assert _allowed("select", RowFacts("Tag")) == ["guest", "boss", "mixed", "super", "signed in"]
    assert _allowed("insert", RowFacts("Member", OWN)) == []


def test_the_oracle_gives_rights_downwards_alone() -> None:
    plain = _manifest()
    nested = plain.model_copy(update={"tenant": plain.tenant.model_copy(update={"parent": "above"})})
    rows = {place: RowFacts("Member", place) for place in (ABOVE, OWN, OTHER)}
    group, site = ProofPerson("group", {ABOVE: "guest"}), ProofPerson("site", {OWN: "boss"})
    assert [may(nested, "select", group, row) for row in rows.values()] == [True, True, True]
    assert [may(nested, "select", site, row) for row in rows.values()] == [False, True, False]
    assert not may(nested, "select", replace(group, cut_off=frozenset({OWN})), rows[OWN])
    assert not may(plain, "select", group, rows[OWN])
    (script,) = [
        each for each in context_sql(nested).split("create or replace") if "function tenantry.tenants(at_least" in each
    ]
    assert (
        "with recursive" in script and '"above" = reached.tenant' not in script and "above = reached.tenant" in script
    )
    assert pglast.parse_plpgsql("create or replace" + script.partition("$$;")[0] + "$$;")


def test_the_oracle_refuses_anonymous_callers() -> None:
    manifest = _manifest()
    for table, command, tenant in itertools.product(manifest.tables, COMMANDS, (OWN, OTHER, None)):
        assert not may(manifest, command, None, RowFacts(table, tenant))


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
        assert "\n-- fix: " in text


# -- kinds of tables, and what opens more than a cell ---------------------------------------------------------------------


def _cells(kind: object, *, order: tuple[str, ...] = ("guest", "boss"), **more: object) -> Access:
    data = _manifest().model_dump(by_alias=True, exclude={"tables"})
    data |= {
        "roles": {"order": list(order)},
        "tables": {"Tag": {"access": kind if not more else {"kind": kind, **more}}},
    }
    return Manifest.model_validate(data).tables["Tag"].access


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("tenant", ("a", "b", "b", "c")),
        ("managed", ("a", "c", "c", "c")),
        ("system", ("a", "c", "c", "c")),
        ("append_only", ("a", "b", "service", "service")),
        ("shared", ("signed_in", "super", "super", "super")),
        ("service", ("service",) * 4),
        ("own", (Own(own="personId", role="a"),) * 4),
    ],
)
def test_a_kind_of_table_sets_its_four_cells(kind: str, cells: tuple[object, ...]) -> None:
    access = _cells(kind, order=("a", "b", "c"))
    assert tuple(access.cell(command) for command in COMMANDS) == cells
    assert access.system == ("signed_in" if kind == "system" else None)
    assert _cells(kind, order=("a", "b", "c"), hidden=["name"]).hidden == ("name",)


def test_explicit_cells_override_the_kind() -> None:
    access = _cells("tenant", select="boss")
    assert (access.select, access.insert, access.delete) == ("boss", "boss", "boss")
    assert _cells("tenant", order=("only",)).delete == "only"
    assert _cells("own", by="author").select == Own(own="author", role="guest")


def test_an_unknown_kind_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "tenantry.toml"
    path.write_text(
        'name = "a"\nsource = { schema = "b" }\ntarget = { schema = "c", files = ["*.sql"] }\nids = { namespace = "a" }\n'
        'tenant = { table = "t", column = "t_id" }\nmembership = { table = "m", profile = "p", role = "r" }\n'
        'roles = { order = ["x"] }\n[tables.t]\naccess = "tenent"\n',
        encoding="utf-8",
    )
    with pytest.raises(ManifestError, match=r"tables\.t\.access.*'tenent' is not one of .*; did you mean 'tenant'"):
        load_manifest(path)


TENANTS = "\"orgId\" = any ((select tenantry.tenants('guest')"
NOTE = {"select": "guest", "insert": "guest", "update": "guest", "delete": "boss"}
SHARES = {"notes": {"table": "Member", "to": "id", "active": "level = 'x'", "accepted": "true"}}


def _rich(shares: dict[str, object] | None = None, **note: object) -> Project:
    tables = []
    for table in TARGET.tables:
        columns = tuple(
            replace(column, nullable=True) if (table.name, column.name) == ("Note", "orgId") else column
            for column in table.columns
        )
        tables.append(replace(table, columns=columns))
    manifest = _manifest(Note={**NOTE, **note})
    known = Manifest.model_validate(
        {**manifest.model_dump(by_alias=True), "shares": SHARES if shares is None else shares}
    )
    return resolve(known, SOURCE, replace(TARGET, tables=tuple(tables)))


def _condition(project: Project, command: str = "select", role: str = "authenticated") -> str:
    """The condition of a policy of Note, as it was written, on one line."""
    entry = next(entry for entry in secure_statements(project, owner="o") if entry.table == "Note")
    text = next(t for t in entry.statements if t.startswith("create policy") and f"for {command} to {role}" in t)
    return " ".join(text.split()).partition("using (" if command != "insert" else "with check (")[2]


def test_a_share_is_one_more_array_in_the_same_comparison() -> None:
    want = TENANTS + " || tenantry.shared('notes'))::uuid[]))"
    assert _condition(_rich(shared="notes")).startswith(want)
    for command in ("insert", "update", "delete"):
        assert "shared" not in _condition(_rich(shared="notes"), command)


def _lent(org: dict[str, object] | None = None, **note: object) -> Project:
    """Notes that may name another organisation, which reads them."""
    manifest = _manifest(Note={**NOTE, **note}, **({} if org is None else {"Org": {**ACCESS["Org"], **org}}))
    table = TARGET.table("Note")
    assert table is not None
    lent = replace(
        table,
        columns=(*table.columns, Column("guestId", "uuid", position=9)),
        constraints=(*table.constraints, Constraint("guest", "foreign", ("guestId",), ref_schema=SCHEMA, ref_table="Org",
                                                    ref_columns=("id",))),
    )  # fmt: skip
    others = tuple(each for each in TARGET.tables if each.name != "Note")
    return resolve(manifest, SOURCE, replace(TARGET, tables=(*others, lent)))


def test_a_client_names_only_tenants_that_they_see() -> None:
    seen = 'and ("guestId" is null or "guestId" = any ((select tenantry.tenants(\'guest\'))::uuid[]))'
    assert seen in _condition(_lent(), "insert")
    # Clients change such a column only where the manifest lists it.
    assert "guestId" not in updatable(_lent(), _note(_lent())) and "guestId" not in _condition(_lent(), "update")
    listed = _lent(update_columns=["body", "guestId"])
    assert "guestId" in updatable(listed, _note(listed))
    using, check = _condition(listed, "update").split("with check (")
    assert seen in check and "guestId" not in using
    # If everybody sees every tenant, or clients cannot set the column, no condition is needed.
    for open_ in (_lent({"select": "signed_in"}), _lent(insert_columns=["body"])):
        assert "guestId" not in _condition(open_, "insert")
    # What opens tenants beyond a role is asked of the tenant table itself, under the caller's policies.
    assert '"guestId" = any (array(select id from "My App"."Org"))' in _condition(
        _lent({"public": '"isOpen"'}), "insert"
    )
    assert "is null or (select tenantry.is_super())" in _condition(_lent({"select": "super"}), "insert")


def _note(project: Project) -> Table:
    table = project.target.table("Note")
    assert table is not None
    return table


def test_a_share_is_added_to_own_rows() -> None:
    text = _condition(_rich(shared="notes", select=OWN_NOTE))
    assert text.endswith("or \"orgId\" = any ((select tenantry.shared('notes'))::uuid[]));")
    assert text.startswith("(\"orgId\" = any ((select tenantry.tenants('guest'))::uuid[]) and")


@pytest.mark.parametrize(
    ("share", "member", "said"),
    [
        ({"accepted": "level = 'x'"}, {"update": "boss"}, "may write Member.level, and so accept for the other tenant"),
        ({"accepted": "level = 'x'"}, {"insert": "boss"}, "may write Member.level, and so accept for the other tenant"),
        (
            {"accepted": "level = 'x'", "to": "personId"},
            {"update": "boss", "fixed": ["level"]},
            "may change Member.personId of a share that was accepted",
        ),
        ({"accepted": "nobody = 'x'"}, {}, "nobody"),
    ],
)
def test_who_shares_cannot_agree_for_the_other_tenant(
    share: dict[str, object], member: dict[str, object], said: str
) -> None:
    manifest = _manifest(Note={**NOTE}, Member={"select": "guest", **dict.fromkeys(COMMANDS[1:], "service"), **member})
    shares = {"notes": {"table": "Member", "to": "id", **share}}
    known = Manifest.model_validate({**manifest.model_dump(by_alias=True), "shares": shares})
    with pytest.raises(ManifestError, match=said):
        resolve(known, SOURCE, TARGET)


def test_a_share_without_a_word_on_consent_is_refused() -> None:
    with pytest.raises(ValidationError, match="accepted"):
        _rich({"notes": {"table": "Member", "to": "id"}})


def test_columns_that_the_application_should_write_are_asked_about_once() -> None:
    def said(**access: object) -> list[tuple[str, tuple[str, ...], bool]]:
        found = doubts(_project(Note={**NOTE, **access}))
        return [(each.command, each.columns, each.reason == NO_ID) for each in found if each.table == "Note"]

    without = ("insert", ("id",), True)
    assert said() == [("insert", ("secret",), False), without, ("update", ("secret",), False)]
    assert said(reviewed=["secret"]) == [without]
    assert said(fixed=["secret"], insert_columns=["body"]) == []
    assert said(insert_columns=["body", "secret"], update_columns=["body", "secret"]) == []
    assert said(insert="super", update="service") == []


def test_the_definer_reads_shares_and_nothing_more_of_them() -> None:
    statements = "\n".join(_statements(_rich()))
    assert 'grant select ("orgId", id, "personId", level)' in statements
    assert "tenantry.shared" in context_sql(_rich().manifest)
    assert "tenantry.shared" not in context_sql(_manifest())


def test_only_super_admins_write_rows_without_a_tenant() -> None:
    project = _rich(system="signed_in", delete="service")
    assert _condition(project).endswith(
        '"orgId" is null and (select tenantry.profile_id() is not null or tenantry.is_super()));'
    )
    for command in ("insert", "update"):
        assert '"orgId" is null and (select tenantry.is_super())' in _condition(project, command)
    assert ("Note", "delete") not in _client_policies(project)
    assert _condition(_rich(system="super")).endswith('"orgId" is null and (select tenantry.is_super()));')


def test_only_public_rows_have_a_policy_and_a_right_for_anonymous_clients() -> None:
    project = _rich(public="body is not null", public_columns=["id", "body"], hidden=["secret"])
    assert _condition(project, role="anon") == "body is not null);"
    assert _condition(project).endswith("or (body is not null));")
    statements = _statements(project)
    assert [text for text in statements if text.startswith("grant") and text.endswith("to anon;")] == [
        'grant select (id, body)\n    on "My App"."Note" to anon;'
    ]
    assert any(text.startswith('grant usage on schema "My App" to anon, ') for text in statements)
    assert not any("anon" in text for text in _statements(_rich()) if text.startswith("grant"))
    assert not [text for text in cutover_grants(project) if "anon" in text]


def test_a_public_table_is_open_without_a_condition() -> None:
    project = _project(Tag={**ACCESS["Tag"], "select": "public"})
    found = [policy for policy in _policies(project) if policy.table is not None and policy.table.relname == "Tag"]
    assert {
        role.rolename
        for policy in found
        if policy.policy_name in ("select_public", "visitors_select")
        for role in policy.roles or ()
    } == {"authenticated", "anon"}


def test_lists_of_columns_narrow_what_clients_give_and_change() -> None:
    project = _rich(insert_columns=["body"], update_columns=["body", "secret"])
    note = project.target.table("Note")
    assert note is not None
    assert insertable(project, note) == ("orgId", "body")
    assert updatable(project, note) == ("body", "secret")


def test_what_only_grows_is_not_changed_by_the_service_either() -> None:
    project = _project(Remark={"kind": "append_only"})
    rights = [text for text in cutover_grants(project) if "Remark" in text and "service_role" in text]
    assert rights == ['grant insert on "My App"."Remark" to service_role;']


def test_compilation_is_deterministic() -> None:
    first, second = (_rich(shared="notes", system="super", public="body is not null") for _ in range(2))
    assert secure_statements(first, owner="o") == secure_statements(second, owner="o")
    assert context_sql(first.manifest) == context_sql(second.manifest)
    assert matrix_markdown(first) == matrix_markdown(second)


@pytest.mark.parametrize(
    ("table", "one", "many"),
    [
        ("clinics", "clinic", "clinics"),
        ("companies", "company", "companies"),
        ("boxes", "box", "boxes"),
        ("addresses", "address", "addresses"),
        ("Org", "org", "orgs"),
        ("team", "team", "teams"),
        ("company", "company", "companies"),
        ("class", "class", "classes"),
        ("campus", "campus", "campuses"),
        ("day care", "day_care", "day_cares"),
        ("houses", "house", "houses"),
    ],
)
def test_the_helpers_are_named_after_the_tenant_table(table: str, one: str, many: str) -> None:
    assert words(table) == (one, many)


# -- in words -----------------------------------------------------------------------------------------------------------


def test_every_table_has_a_decision() -> None:
    text = matrix_markdown(_rich(shared="notes", system="signed_in", public="body is not null", select=OWN_NOTE))
    section = text.partition("### `Note`")[2].partition("###")[0]
    assert section.strip().splitlines()[:9] == [
        "- **read**",
        "  - the row is public: `body is not null` → **yes**",
        "  - the row belongs to no org:",
        "    - anyone → **yes**",
        "  - guest or higher in the row's org, or super admin:",
        "    - `authorId` is the caller's own profile → **yes**",
        "    - anyone else's → no",
        "  - guest or higher in an org that the row's org lets read it by the share `notes` → **yes**",
        "  - anyone else → no",
    ]
    assert (
        "| `Note` | guest, own rows; others by the share notes; signed in where there is no tenant; everyone where public |"
        in text
    )
    assert "### Not signed in\n\n- may read: some rows of `Note`\n" in text


def test_the_page_says_the_same_and_escapes_everything() -> None:
    project = _rich(public="body = '<script>'")
    target = replace(project.target, tables=tuple(replace(table, comment="<b>") for table in project.target.tables))
    page = matrix_html(replace(project, target=target))
    assert page.startswith('<section class="access">')
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    for table in project.manifest.tables:
        assert f">{table}<" in page
    for role in ("guest", "boss", "super admin", "signed in", "not signed in"):
        assert f"<summary>{role}</summary>" in page


# -- the oracle, further ------------------------------------------------------------------------------------------------


def _may(project: Project, command: str, row: RowFacts) -> list[str]:
    return [person.label for person in EVERYBODY if may(project.manifest, command, person, row)]  # type: ignore[arg-type]


def test_the_oracle_knows_what_opens_more_than_a_cell() -> None:
    shared = RowFacts("Note", OTHER, shared_with=frozenset({OWN}))
    assert _may(_rich(shared="notes"), "select", shared) == ["guest", "boss", "mixed", "super"]
    assert _may(_rich(shared="notes"), "update", shared) == ["mixed", "super"]
    assert _may(_rich(), "select", shared) == ["mixed", "super"]
    nobodys = RowFacts("Note")
    assert _may(_rich(), "select", nobodys) == []
    assert _may(_rich(system="signed_in"), "select", nobodys) == ["guest", "boss", "mixed", "super", "signed in"]
    assert _may(_rich(system="super"), "select", nobodys) == ["super"]
    assert _may(_rich(system="signed_in"), "update", nobodys) == ["super"]
    assert _may(_rich(system="signed_in", delete="service"), "delete", nobodys) == []
    public = RowFacts("Note", OTHER, public=True)
    project = _rich(public="body is not null")
    assert _may(project, "select", public) == [person.label for person in EVERYBODY]
    assert may(project.manifest, "select", None, public)
    assert not may(project.manifest, "update", None, public)
    assert _may(project, "update", public) == ["mixed", "super"]


def test_the_oracle_asks_the_table_that_the_cell_names() -> None:
    link = {"own": "noteId", "role": "guest", "through": {"table": "Member", "match": "id", "profile": "personId"}}
    project = _project(Remark={**ACCESS["Remark"], "select": link})
    assert _may(project, "select", RowFacts("Remark", OWN, parent=RowFacts("Member", OWN, GUEST))) == ["guest"]
    assert _may(project, "select", RowFacts("Remark", OWN, parent=RowFacts("Note", OWN, GUEST))) == []
    assert _may(project, "select", RowFacts("Remark", OWN)) == []
