"""`tenantry prove`: one table of lint, matrix and attacks; its formats, its exceptions; databases without a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree  # of our own file

import pytest

from tenantry.postgres import normalise_dsn
from tenantry.prove.attacks.harness.accepted import INHERENT
from tenantry.prove.attacks.run import ATTACKS
from tests.conftest import Database
from tests.isolation.build import CLINIC, build_clinic, build_sound_org, run
from tests.migrate_support import cli

NOTES = """
    create schema auth;
    create function auth.uid() returns uuid language sql stable set search_path = pg_catalog, pg_temp
        return (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid;
    create schema app;
    create table app.orgs (id uuid primary key default gen_random_uuid(), name text not null);
    create table app.members (
        org_id uuid not null references app.orgs (id), user_id uuid not null, role text not null, primary key (org_id, user_id));
    create table app.notes (
        org_id uuid not null references app.orgs (id), id uuid not null default gen_random_uuid(), body text not null,
        primary key (org_id, id));
    create schema inner_app;
    create function inner_app.orgs() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp
        return array(select m.org_id from app.members as m where m.user_id = auth.uid());
    revoke all on function inner_app.orgs() from public;
    grant usage on schema app, auth, inner_app to authenticated;
    grant execute on function inner_app.orgs() to authenticated;
    alter table app.orgs enable row level security;
    alter table app.members enable row level security;
    alter table app.notes enable row level security;
    create policy see on app.orgs for select to authenticated using (id = any ((select inner_app.orgs())::uuid[]));
    create policy see on app.members for select to authenticated using (org_id = any ((select inner_app.orgs())::uuid[]));
    create policy see on app.notes for select to authenticated using (org_id = any ((select inner_app.orgs())::uuid[]));
    create policy add on app.notes for insert to authenticated with check (org_id = any ((select inner_app.orgs())::uuid[]));
    create policy change on app.notes for update to authenticated
        using (org_id = any ((select inner_app.orgs())::uuid[])) with check (org_id = any ((select inner_app.orgs())::uuid[]));
    create policy remove on app.notes for delete to authenticated using (org_id = any ((select inner_app.orgs())::uuid[]));
    grant select on app.orgs, app.members to authenticated;
    grant select, insert, update, delete on app.notes to authenticated;
    insert into app.orgs values ('11111111-1111-4111-8111-111111111111', 'North'), ('22222222-2222-4222-8222-222222222222', 'South');
    insert into app.members values
        ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'boss'),
        ('22222222-2222-4222-8222-222222222222', 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb', 'boss');
    insert into app.notes (org_id, body) values
        ('11111111-1111-4111-8111-111111111111', 'of the north'), ('22222222-2222-4222-8222-222222222222', 'of the south');
"""
"""A hand-written application with claims in a setting."""


@pytest.fixture
def notes(database: Database) -> Database:
    with database.connect() as admin:
        run(admin, "create role authenticated nologin" if not _there(admin) else "select 1", NOTES)
    return database


def _there(admin: object) -> bool:
    from psycopg import Connection  # noqa: PLC0415

    assert isinstance(admin, Connection)
    return admin.execute("select from pg_roles where rolname = 'authenticated'").fetchone() is not None


def _summary(text: str) -> dict[str, dict[str, object]]:
    return {line["part"]: line for line in json.loads(text)["summary"]}


# -- with a manifest ---------------------------------------------------------------------------------------------------


def test_in_place_everything_is_covered_and_written_in_every_format(database: Database, tmp_path: Path) -> None:
    built = build_clinic(database)
    files = {name: tmp_path / f"proof.{name}" for name in ("html", "junit", "sarif")}
    said = cli(
        *("prove", "--dsn", built.owner_dsn, "--manifest", str(CLINIC), "--json"),
        *(part for name, file in files.items() for part in (f"--{name}", str(file))),
    )
    assert said.code == 0, said.out + said.err
    found = json.loads(said.out)
    assert found["passed"]
    assert found["mode"] == "in place"
    lines = _summary(said.out)
    assert lines["matrix"]["failed"] == lines["lint"]["failed"] == lines["attacks"]["failed"] == 0
    assert int(str(lines["matrix"]["covered"])) > 2000
    # What the catalog cannot answer was not tried, and is not silent about it.
    assert int(str(lines["attacks"]["not tried"])) > 50
    assert int(str(lines["attacks"]["passed"])) > 20
    junit = ElementTree.parse(files["junit"]).getroot()  # noqa: S314 - our own
    assert {suite.get("name") for suite in junit} == {"lint", "matrix", "attacks"}
    assert junit.get("failures") == "0"
    assert int(str(junit.get("skipped"))) > 50
    sarif = json.loads(files["sarif"].read_text(encoding="utf-8"))["runs"][0]
    assert all(result["level"] == "note" for result in sarif["results"])
    page = files["html"].read_text(encoding="utf-8")
    assert "<script src" not in page
    assert "Who may do what" in page
    assert "metric_values" in page


WIDE = 'create policy everybody on "App"."Note" for select to authenticated using (true)'


def test_a_policy_that_is_too_wide_fails_and_is_named_everywhere(database: Database, tmp_path: Path) -> None:
    built = build_sound_org(database, tmp_path)
    with built.owner() as owner:
        run(owner, WIDE)
    file, page = tmp_path / "proof.sarif", tmp_path / "proof.html"
    arguments = ("prove", "--dsn", built.owner_dsn, "--manifest", str(built.project.manifest.path))
    said = cli(*arguments, "--sarif", str(file), "--html", str(page))
    assert said.code == 1
    assert "Note" in said.out
    assert "does NOT hold" in said.out
    failed = [
        each for each in json.loads(file.read_text(encoding="utf-8"))["runs"][0]["results"] if each["level"] == "error"
    ]
    assert any("Note" in each["message"]["text"] and "other tenant" in each["ruleId"] for each in failed)
    assert any(each["ruleId"].startswith("p") and "Note" in each["message"]["text"] for each in failed)
    assert "FAILED" in page.read_text(encoding="utf-8")
    # A part alone says of the others that they were left out.
    said = cli(*arguments, "--part", "attacks", "--json")
    assert said.code == 0, said.out
    assert json.loads(said.out)["left_out"].keys() == {"lint", "matrix"}


def test_attacks_run_on_a_copy_that_is_removed_afterwards(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build_sound_org(database, tmp_path)
    # All of them, and Clinic, are another test's: here it is about the copy.
    some = ATTACKS[::20] + tuple(each for each in ATTACKS if each.name in INHERENT)
    monkeypatch.setattr("tenantry.prove.attacks.run.ATTACKS", some)
    with database.connect() as admin:
        before = admin.execute("select datname from pg_database union all select rolname from pg_roles").fetchall()
    said = cli("prove", "--copy", "--dsn", database.dsn, "--manifest", str(built.project.manifest.path), "--json")
    assert said.code == 0, said.out + said.err
    lines = _summary(said.out)
    assert lines["attacks"]["covered"] == len(some)
    assert lines["attacks"]["not tried"] == lines["attacks"]["failed"] == 0
    assert int(str(lines["attacks"]["accepted"])) >= 5
    with database.connect() as admin:
        after = admin.execute("select datname from pg_database union all select rolname from pg_roles").fetchall()
    mine = [row for row in after if "tenantry_proof" in str(row[0]) or database.name in str(row[0])]
    assert mine == [row for row in before if "tenantry_proof" in str(row[0]) or database.name in str(row[0])]
    assert built.database.name in said.out


def test_strict_mode_fails_for_attacks_that_postgresql_allows_everyone(database: Database, tmp_path: Path) -> None:
    built = build_sound_org(database, tmp_path)
    manifest = str(built.project.manifest.path)
    arguments = ("prove", "--part", "attacks", "--dsn", built.owner_dsn, "--manifest", manifest, "--json")
    assert cli(*arguments).code == 0
    said = cli(*arguments, "--strict")
    assert said.code == 1
    failed = {each["name"] for each in json.loads(said.out)["attacks"] if each["failed"]}
    assert {"lock_table", "end_others_sessions"} <= failed <= set(INHERENT)


def test_exceptions_name_checks_attacks_and_cells(database: Database, tmp_path: Path) -> None:
    built = build_sound_org(database, tmp_path)
    with built.owner() as owner:
        run(owner, WIDE)
    file, manifest = tmp_path / "exceptions.toml", str(built.project.manifest.path)
    arguments = ("prove", "--dsn", built.owner_dsn, "--manifest", manifest, "--exceptions", str(file), "--json")
    entries = [
        ("matrix", "Note", "notes of all are shown on the wall"),
        ("lock_table", "*", "statements are cut off after a second"),
    ]
    file.write_text(_exceptions(entries), encoding="utf-8")
    said = cli(*arguments, "--part", "matrix", "--part", "attacks")
    assert said.code == 0, said.out
    found = json.loads(said.out)
    assert {each["reason"] for each in found["accepted"]} == {"notes of all are shown on the wall"}
    assert [each["accepted"] for each in found["attacks"] if each["name"] == "lock_table"] == [entries[1][2]]
    # The lint reads the same file, and takes what is its own.
    assert cli("lint", "--dsn", built.owner_dsn, "-m", manifest, "--exceptions", str(file)).code == 1
    file.write_text(_exceptions([("lock_tabel", "*", "a slip")]), encoding="utf-8")
    said = cli(*arguments)
    assert said.code == 2
    assert "lock_table" in said.err


def _exceptions(entries: list[tuple[str, str, str]]) -> str:
    return "\n".join(
        f'[[allow]]\ncheck = "{check}"\nobject = "{shown}"\nreason = "{reason}"' for check, shown, reason in entries
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--part", "lnt"], "Did you mean 'lint'"),
        (["--copy", "--login", "auto"], "--login proves the database itself"),
        (["--discover"], "--manifest states schema"),
        (["--copy-dsn", "dbname=x", "--embedded"], "exclude each other"),
    ],
)
def test_wrong_usage_names_the_right_options(arguments: list[str], said: str, database: Database) -> None:
    got = cli("prove", "--dsn", database.dsn, "--manifest", str(CLINIC), *arguments)
    assert got.code == 2
    assert said in got.err


# -- without a manifest ------------------------------------------------------------------------------------------------


def _prove_found(database: Database, *more: str, folder: Path) -> dict[str, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        said = cli("prove", "--dsn", normalise_dsn(database.dsn), "--role", "authenticated", "--json", *more)
    assert said.code in (0, 1), said.err
    found: dict[str, object] = json.loads(said.out)
    assert found["passed"] == (said.code == 0)
    return found


def _failed(found: dict[str, object]) -> set[tuple[str, str, str]]:
    matrix = found["matrix"]
    assert isinstance(matrix, dict)
    return {
        (cell["table"], cell["command"], cell["relation"])
        for cell in matrix["cells"]
        if not cell["passed"] and cell["got"] != "not tried"
    }


def test_tenants_and_roles_are_discovered_and_tried_without_a_manifest(notes: Database, tmp_path: Path) -> None:
    found = _prove_found(notes, "--part", "matrix", folder=tmp_path)
    assert _failed(found) == set()
    scope = " ".join(str(each) for each in found["scope"])  # type: ignore[attr-defined]
    assert "org_id" in scope
    assert "app.members" in scope
    matrix = found["matrix"]
    assert isinstance(matrix, dict)
    tried = {(cell["role"], cell["table"], cell["command"], cell["got"]) for cell in matrix["cells"]}
    member = "authenticated, member of one tenant"
    assert (member, "app.notes", "select", "allow") in tried  # his own
    assert (member, "app.notes", "insert", "refuse") in tried
    assert (member, "app.notes", "delete", "refuse") in tried
    assert ("authenticated, no context", "app.notes", "update", "refuse") in tried
    with notes.connect() as admin:
        assert admin.execute("select count(*) from app.notes").fetchone() == (2,)


@pytest.mark.parametrize(
    ("broken", "cell"),
    [
        (
            "create policy oops on app.notes for select to authenticated using (true)",
            ("app.notes", "select", "other tenant"),
        ),
        (
            "create policy oops on app.notes for insert to authenticated with check (true)",
            ("app.notes", "insert", "other tenant"),
        ),
        (
            "create policy oops on app.notes for update to authenticated using (true) with check (true);"
            " create policy oops2 on app.notes for select to authenticated using (true)",
            ("app.notes", "update", "other tenant"),
        ),
        (
            "drop policy change on app.notes; create policy oops on app.notes for update to authenticated"
            " using (org_id = any ((select inner_app.orgs())::uuid[])) with check (true);"
            " create policy see_all on app.notes for select to authenticated using (true)",
            ("app.notes", "update", "move to the other tenant"),
        ),
        (
            "create policy oops on app.notes for delete to authenticated using (true);"
            " create policy oops2 on app.notes for select to authenticated using (true)",
            ("app.notes", "delete", "any row"),
        ),
        ("alter table app.members disable row level security", ("app.members", "select", "any row")),
    ],
)
def test_without_a_manifest_a_hole_is_found(
    broken: str, cell: tuple[str, str, str], notes: Database, tmp_path: Path
) -> None:
    with notes.connect() as admin:
        run(admin, broken)
    found = _prove_found(notes, "--part", "matrix", folder=tmp_path)
    assert cell in _failed(found)
    with notes.connect() as admin:
        assert admin.execute("select count(*) from app.notes").fetchone() == (2,)


def test_claims_without_effect_prove_nothing(database: Database, tmp_path: Path) -> None:
    """In a sealed database a setting makes no member, so refusals of such a caller prove nothing."""
    built = build_clinic(database)
    with built.owner() as owner:
        run(
            owner,
            "insert into auth.users (id, email) values ('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'one@clinic.invalid')",
            "insert into clinic.profiles (email, name, auth_user_id)"
            " values ('one@clinic.invalid', 'One', 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa')",
            "insert into clinic.clinics (name, location, time_zone) values ('North', 'A', 'UTC'), ('South', 'B', 'UTC')",
            "insert into clinic.user_clinic_roles (clinic_id, profile_id, role)"
            " select c.id, p.id, 'staff' from clinic.clinics c, clinic.profiles p where c.name = 'North'",
        )
    found = _prove_found(database, "--part", "matrix", folder=tmp_path)
    matrix = found["matrix"]
    assert isinstance(matrix, dict)
    mine = [cell for cell in matrix["cells"] if cell["role"].endswith("member of one tenant")]
    assert mine
    assert {cell["got"] for cell in mine} == {"not tried"}
    assert any("their claims do not count here" in note for note in matrix["notes"])


def test_a_database_without_tenants_reports_that_nothing_was_tried(database: Database, tmp_path: Path) -> None:
    found = _prove_found(database, folder=tmp_path)
    matrix = found["matrix"]
    assert isinstance(matrix, dict)
    assert matrix["cells"] == []
    assert any("no statement could be tried" in note for note in matrix["notes"])
    left_out = found["left_out"]
    assert isinstance(left_out, dict)
    assert "manifest" in left_out["attacks"]


def test_where_nothing_could_be_tried_nothing_was_proved(notes: Database, tmp_path: Path) -> None:
    arguments = ("prove", "--dsn", normalise_dsn(notes.dsn), "--role", "authenticated", "--part", "matrix")
    with notes.connect() as admin:
        run(admin, "delete from app.members")
    said = cli(*arguments)
    assert said.code == 1
    assert "Nothing was proved" in said.out
    assert "no member" in " ".join(said.out.split())
    with notes.connect() as admin:
        run(admin, "truncate app.orgs cascade")
    page = tmp_path / "proof.html"
    found = _prove_found(notes, "--part", "matrix", "--html", str(page), folder=tmp_path)
    assert not found["passed"]
    assert "no row of another tenant" in str(found["unproved"])
    assert "isolation was not proved: there is no row" in page.read_text(encoding="utf-8")


def test_functions_are_called_with_ids_of_the_other_tenant(notes: Database, tmp_path: Path) -> None:
    definer = "language sql stable security definer set search_path = pg_catalog, pg_temp"
    with notes.connect() as admin:
        run(
            admin,
            "create schema api; grant usage on schema api to authenticated",
            f"create function api.count_notes(org uuid) returns bigint {definer} as"
            " 'select count(*) from app.notes where org_id = org'",
            f"create function api.own_notes(org uuid) returns bigint {definer} as"
            " 'select count(*) from app.notes where org_id = org and org_id = any (inner_app.orgs())'",
            "create function api.drop_notes(org uuid) returns void language sql security definer"
            " set search_path = pg_catalog, pg_temp as 'delete from app.notes where org_id = org'",
            "create table app.drafts (id uuid primary key default gen_random_uuid(), org uuid, note uuid, body text,"
            " foreign key (org, note) references app.notes (org_id, id))",
            "insert into app.drafts (org, note, body) select org_id, id, body from app.notes",
            "alter table app.drafts enable row level security; grant select on app.drafts to authenticated",
            "create policy see on app.drafts for select to authenticated using ((select auth.uid()) is not null)",
        )
    found = _prove_found(notes, "--part", "matrix", folder=tmp_path)
    failed = _failed(found)
    assert ("api.count_notes(uuid)", "call", "ids of the other tenant") in failed
    # A row without a tenant column belongs to the tenant of the row that it references.
    assert ("app.drafts", "select", "other tenant") in failed
    assert not any(table == "api.own_notes(uuid)" for table, _, _ in failed)
    matrix = found["matrix"]
    assert isinstance(matrix, dict)
    (volatile,) = [cell for cell in matrix["cells"] if cell["table"] == "api.drop_notes(uuid)"]
    assert volatile["got"] == "not tried"
    assert "--copy" in volatile["detail"]
    # On a copy of the schema rows are invented, also where there are none, and volatile functions are called.
    with notes.connect() as admin:
        run(admin, "truncate app.orgs cascade")
    found = _prove_found(notes, "--part", "matrix", "--copy", folder=tmp_path)
    assert found["mode"] == "on a copy"
    assert found["unproved"] == ""
    failed = _failed(found)
    assert {
        ("api.count_notes(uuid)", "call", "ids of the other tenant"),
        ("api.drop_notes(uuid)", "call", "ids of the other tenant"),
        ("app.drafts", "select", "other tenant"),
    } <= failed
    assert not any(table in ("api.own_notes(uuid)", "app.notes", "app.members") for table, _, _ in failed)
    with notes.connect() as admin:
        assert admin.execute("select count(*) from app.notes").fetchone() == (0,)
        left = "select from pg_database as d join pg_shdescription as s on s.objoid = d.oid where s.description like %s"
        assert admin.execute(left.encode(), [f"%the schema of {notes.name}"]).fetchone() is None


def test_only_findings_outside_the_baseline_fail(notes: Database, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    with notes.connect() as admin:
        run(admin, "create policy oops on app.notes for select to authenticated using (true)")
    arguments = ("prove", "--dsn", normalise_dsn(notes.dsn), "--role", "authenticated")
    said = cli(*arguments, "--write-baseline", str(file))
    assert said.code == 0, said.out + said.err
    assert "Start here: app.notes" in said.out
    said = cli(*arguments, "--baseline", str(file))
    assert said.code == 0, said.out
    assert "but for what is accepted" in said.out
    with notes.connect() as admin:
        run(admin, "create policy worse on app.notes for delete to authenticated using (true)")
    said = cli(*arguments, "--baseline", str(file))
    assert said.code == 1
    assert "policy worse" in said.out
    assert "policy oops for" not in said.out
    # The lint reads the same file.
    said = cli("lint", "--dsn", normalise_dsn(notes.dsn), "--role", "authenticated", "--baseline", str(file))
    assert said.code == 1
    assert "in the baseline" in said.out


def test_a_suspended_member_is_a_stranger_there(notes: Database, tmp_path: Path) -> None:
    with notes.connect() as admin:
        run(
            admin,
            "alter table app.members add is_active boolean not null default true",
            "insert into app.members values ('22222222-2222-4222-8222-222222222222',"
            " 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'boss', false)",
        )
    found = _prove_found(notes, "--part", "matrix", folder=tmp_path)
    assert ("app.notes", "select", "other tenant") in _failed(found)
    with notes.connect() as admin:
        run(
            admin,
            "create or replace function inner_app.orgs() returns uuid[] language sql stable security definer"
            " set search_path = pg_catalog, pg_temp"
            " return array(select m.org_id from app.members as m where m.user_id = auth.uid() and m.is_active)",
        )
    found = _prove_found(notes, "--part", "matrix", folder=tmp_path)
    assert found["passed"]
    assert _failed(found) == set()
