"""Test support for applications: statements as a given caller on their own database, and the proof as pytest items."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree as xml

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import dict_row

import tenantry
from tenantry.errors import LoginRefused, RightsMissing, RolesMissing, SettingsError, TenantryError
from tenantry.prove.attacks import ATTACKS
from tenantry.prove.lint.checks import check_files
from tenantry.prove.test_items import names
from tenantry.testing import (
    as_anon,
    as_nobody,
    as_service,
    as_super_admin,
    as_user,
    assert_isolated,
    async_as_anon,
    async_as_nobody,
    async_as_service,
    async_as_super_admin,
    async_as_user,
    read_project,
)
from tests.conftest import Database
from tests.isolation.build import CLINIC, Built, Connection, build_clinic, build_sound_org, run

pytest_plugins = "pytester"

OPEN = (
    'drop policy select_guest on "App"."Note"',
    'create policy select_guest on "App"."Note" for select to authenticated using (true)',
)
"""Every signed-in user reads the notes of every organization."""
LINT = {"client_table_rights", "policy_always_true", "policy_conditions"}
"""What the lint says of that, and of a right to truncate."""


@pytest.fixture
def built(database: Database) -> Built:
    return build_clinic(database)


def _clinic(owner: Connection, name: str = "Harbour") -> str:
    row = owner.execute(
        "insert into clinic.clinics (legacy_id, name, location, time_zone) values (%s, %s, 'Pier 1', 'UTC') returning id::text",
        [uuid4().hex, name],
    ).fetchone()
    assert row is not None
    return str(row[0])


def _count(connection: Connection, tables: tuple[str, ...]) -> int:
    query = " + ".join(f"(select count(*) from {table})" for table in tables)
    row = connection.execute(f"select {query}".encode()).fetchone()
    assert row is not None
    return int(str(row[0]))


@pytest.fixture
def org(database: Database, tmp_path: Path) -> Built:
    """A small one, where nothing is called as in Clinic."""
    return build_sound_org(database, tmp_path)


# -- statements as somebody ----------------------------------------------------------------------------------------------


def test_a_user_has_the_rights_of_their_role_and_is_rolled_back(database_each: Database) -> None:
    built = build_clinic(database_each)
    there = ("auth.users", "clinic.profiles", "clinic.clinics", "clinic.locations", "clinic.user_clinic_roles",
             "tenantry.seal_key", "tenantry.account")  # fmt: skip
    with built.owner() as owner:
        mine, other = _clinic(owner), _clinic(owner, "Hill")
        before = _count(owner, there)
    insert = "insert into locations (clinic_id, name) values (%s, 'Annex') returning id"
    with as_user(built.owner_dsn, built.project, role="staff", tenant=mine) as staff:
        assert staff.execute("select id::text from clinics").fetchall() == [(mine,)]
        assert staff.execute("select current_user, tenantry.uid()::text, tenantry.profile_id()::text").fetchone() == (
            "authenticated", staff.user, staff.profile,
        )  # fmt: skip
        with pytest.raises(errors.InsufficientPrivilege):
            staff.execute(insert, [mine])
        # The test continues after a refused statement.
        assert staff.tenant == mine
        assert staff.execute("select count(*) from locations").fetchone() == (0,)
    with as_user(built.owner_dsn, built.project, role="clinic_admin", tenant=UUID(mine)) as admin:
        assert admin.execute(insert, [mine]).rowcount == 1
        with pytest.raises(errors.InsufficientPrivilege):
            admin.execute(insert, [other])
        assert admin.execute("select count(*) from locations").fetchone() == (1,)
    with built.owner() as owner:
        assert _count(owner, there) == before


def test_rows_of_a_given_connections_transaction_are_visible_and_kept(built: Built) -> None:
    with psycopg.connect(built.owner_dsn, row_factory=dict_row) as owner:
        clinic = str(
            owner.execute(
                "insert into clinic.clinics (legacy_id, name, location, time_zone) values ('h', 'Harbour', 'Pier', 'UTC')"
                " returning id::text"
            ).fetchone()["id"]  # type: ignore[index]
        )
        with as_user(owner, CLINIC, role="clinic_admin", tenant=clinic) as admin:
            # Rows come as the connection makes them; and what one wrote is there for another one inside.
            assert admin.execute("select name from clinics").fetchall() == [{"name": "Harbour"}]
            admin.execute("insert into locations (clinic_id, name) values (%s, 'Annex')", [clinic])
            with as_user(owner, CLINIC, role="viewer", tenant=clinic) as viewer:
                assert viewer.execute("select name from locations").fetchall() == [{"name": "Annex"}]
                assert viewer.user != admin.user
                with pytest.raises(errors.InsufficientPrivilege):
                    viewer.execute("insert into locations (clinic_id, name) values (%s, 'Mine')", [clinic])
                viewer.execute("delete from locations")
            with as_nobody(owner, CLINIC) as nobody:
                assert nobody.execute("select count(*) from locations").fetchone() == {"count": 0}
            assert admin.execute("select tenantry.uid()::text as me, name from locations").fetchall() == [
                {"me": admin.user, "name": "Annex"}
            ]
        assert owner.execute("select current_user as who, current_setting('role') as role").fetchone() == {
            "who": "tenantry_test_owner", "role": "none",
        }  # fmt: skip
        assert owner.execute("select count(*) from clinic.locations").fetchone() == {"count": 0}
        assert owner.execute("select count(*) from clinic.clinics").fetchone() == {"count": 1}
        owner.rollback()


def test_existing_accounts_and_memberships_are_used(built: Built) -> None:
    with built.owner() as owner:
        mine, other = _clinic(owner), _clinic(owner, "Hill")
        with owner.transaction(force_rollback=True):
            user, profile = str(uuid4()), str(uuid4())
            owner.execute(
                "insert into auth.users (id, aud, role, email) values (%s, '', '', 'ann@example.test')", [user]
            )
            owner.execute(
                "insert into clinic.profiles (id, legacy_id, auth_user_id, email, name)"
                " values (%s, 'ann', %s, 'ann@example.test', 'Ann')",
                [profile, user],
            )
            owner.execute(
                "insert into clinic.user_clinic_roles (clinic_id, legacy_id, profile_id, role) values (%s, 'm', %s, 'viewer')",
                [mine, profile],
            )
            for who in ({"user": user}, {"user": UUID(user), "role": "viewer", "tenant": mine}):
                with as_user(owner, built.project, **who) as ann:
                    assert (ann.user, ann.profile) == (user, profile)
                    assert ann.execute("select id::text from clinics").fetchall() == [(mine,)]
            with as_user(owner, built.project, user=user, role="staff", tenant=other) as ann:
                assert ann.execute("select tenantry.tenants('staff')::text[]").fetchone() == ([other],)
                assert ann.execute("select count(*) from clinics").fetchone() == (2,)
            with (
                pytest.raises(SettingsError, match=f"is already viewer of tenant {mine}, not staff"),
                as_user(owner, built.project, user=user, role="staff", tenant=mine),
            ):
                pass


def test_one_may_be_member_of_several_tenants_with_different_roles(built: Built) -> None:
    with built.owner() as owner:
        a, b = _clinic(owner), _clinic(owner, "Hill")
        roles: dict[str | UUID, str] = {a: "viewer", UUID(b): "clinic_admin"}
        with as_user(owner, built.project, memberships=roles) as both:
            assert both.tenant == a
            assert both.execute("select count(*) from clinics").fetchone() == (2,)
            assert both.execute("select tenantry.tenants('clinic_admin')::text[]").fetchone() == ([b],)
        with as_user(owner, built.project, role="staff", claims={"email": "eve@example.test"}) as eve:
            assert eve.tenant not in (a, b, None)
            assert eve.execute("select tenantry.email()").fetchone() == ("eve@example.test",)


def test_other_callers_have_the_stated_identity(built: Built) -> None:
    who = "select current_user, tenantry.is_super(), count(*) from clinics"
    with built.owner() as owner:
        _clinic(owner)
        with as_super_admin(owner, built.project) as boss:
            assert boss.execute(who).fetchone() == ("authenticated", True, 1)
        with as_nobody(owner, built.project) as nobody:
            assert nobody.execute(who).fetchone() == ("authenticated", False, 0)
            assert (nobody.user, nobody.profile, nobody.tenant) == (None, None, None)
        with as_user(owner, built.project) as stranger:
            assert stranger.execute(who).fetchone() == ("authenticated", False, 0)
            assert stranger.user is not None
        with as_anon(owner, built.project) as anon:
            assert anon.execute("select current_user").fetchone() == ("anon",)
            with pytest.raises(errors.InsufficientPrivilege):
                anon.execute("select * from clinic.clinics")
    with as_service(built.database.dsn, built.project) as service:
        assert service.execute("select current_user, count(*) from clinics").fetchone() == ("service_role", 1)


def test_with_other_names_it_is_the_same(org: Built) -> None:
    with as_user(org.owner_dsn, org.project.manifest.path, role="guest") as guest:
        assert guest.execute('select id::text from "Org"').fetchall() == [(guest.tenant,)]
        note = 'insert into "Note" ("orgId", "authorId", body, shade) values (%s, %s, %s, 7.5)'
        assert guest.execute(note, [guest.tenant, guest.profile, "Slip"]).rowcount == 1
        with pytest.raises(errors.InsufficientPrivilege):
            guest.execute(note, [guest.tenant, uuid4(), "Slip"])
        with as_user(guest.connection, org.project, role="boss", tenant=guest.tenant) as boss:
            assert boss.execute('delete from "Note"').rowcount == 1


def test_claims_that_are_not_sealed_are_set_as_a_platform_sets_them(database: Database) -> None:
    built = build_clinic(database, sealed=False)
    with as_user(built.owner_dsn, built.project, role="staff") as staff:
        assert staff.execute("select id::text, tenantry.uid()::text from clinics").fetchall() == [
            (staff.tenant, staff.user)
        ]
        assert staff.execute("select current_setting('request.jwt.claims')::jsonb ->> 'sub'").fetchone() == (
            staff.user,
        )
        with as_nobody(staff.connection, built.project) as nobody:
            assert nobody.execute("select count(*) from clinics").fetchone() == (0,)


def test_asynchronous_code_does_the_same(built: Built) -> None:
    async def tried() -> None:
        async with async_as_user(built.owner_dsn, CLINIC, role="staff") as staff:
            rows = await (await staff.execute("select id::text from clinics")).fetchall()
            assert rows == [(staff.tenant,)]
            with pytest.raises(errors.InsufficientPrivilege):
                await staff.execute("insert into locations (clinic_id, name) values (%s, 'Annex')", [staff.tenant])
            assert (await (await staff.execute("select count(*) from locations")).fetchone()) == (0,)
            async with async_as_super_admin(staff.connection, built.project) as boss:
                assert (await (await boss.execute("select count(*) from clinics")).fetchone()) == (1,)
            async with async_as_nobody(staff.connection, built.project) as nobody:
                assert (await (await nobody.execute("select count(*) from clinics")).fetchone()) == (0,)
            async with async_as_anon(staff.connection, built.project) as anon:
                assert (await (await anon.execute("select current_user")).fetchone()) == ("anon",)
        async with await psycopg.AsyncConnection.connect(built.database.dsn, row_factory=dict_row) as connection:
            async with async_as_service(connection, built.project) as service:
                assert await (await service.execute("select current_user as me")).fetchone() == {"me": "service_role"}
            with pytest.raises(SettingsError, match="no tenant role 'staf'"):
                async with async_as_user(connection, built.project, role="staf"):
                    pass
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            assert connection.row_factory is dict_row
        with pytest.raises(LoginRefused):
            async with async_as_user(built.database.dsn_as("nobody_of_this_name"), CLINIC, role="staff"):
                pass

    asyncio.run(tried())


UNKNOWN: list[tuple[dict[str, Any], str, str]] = [
    ({"role": "staf"}, "no tenant role 'staf'", "Did you mean 'staff'?"),
    ({"role": "super admin"}, "no tenant role 'super admin'", "as_super_admin is for that"),
    ({"role": "nurse"}, "no tenant role 'nurse'", "Its roles are viewer, staff, provider, clinic_admin."),
    ({"role": "staff", "tenant": uuid4()}, r"no tenant .* in clinic\.clinics", "leave tenant out"),
    ({"role": "staff", "tenant": "Harbour"}, "no tenant Harbour", "leave tenant out"),
    ({"user": uuid4()}, r"no account .* in auth\.users", "leave user out"),
    ({"tenant": uuid4()}, "without a role in it", "role=…"),
    ({"role": "staff", "memberships": {uuid4(): "staff"}}, "Both a role and memberships", "Pass only memberships"),
]


def test_an_impossible_caller_is_reported_with_the_possible_ones(built: Built) -> None:
    for who, message, hint in UNKNOWN:
        with pytest.raises(SettingsError, match=message) as caught, as_user(built.owner_dsn, built.project, **who):
            pass
        assert hint in caught.value.hint


def test_missing_roles_and_rights_are_named(built: Built) -> None:
    roles = built.project.manifest.database_roles.model_copy(update={"backup": f"{built.database.name}_backup"})
    other = built.project.manifest.model_copy(update={"database_roles": roles})
    with pytest.raises(RolesMissing, match=f"no role {built.database.name}_backup"), as_anon(built.owner_dsn, other):
        pass
    with pytest.raises(RightsMissing, match="cannot become service_role"), as_service(built.owner_dsn, built.project):
        pass
    with built.login() as login, pytest.raises(TenantryError, match="lacks a right"), as_user(login, built.project):
        pass


def test_an_unsuitable_connection_is_refused(built: Built) -> None:
    with psycopg.connect(built.owner_dsn) as owner:
        with pytest.raises(errors.DivisionByZero):
            owner.execute("select 1 / 0")
        with pytest.raises(SettingsError, match="failed in the transaction"), as_anon(owner, built.project):
            pass
        owner.rollback()
    with pytest.raises(SettingsError, match="closed"), as_anon(owner, built.project):
        pass


# -- the whole -----------------------------------------------------------------------------------------------------------


def test_assert_isolated_lists_failures(org: Built) -> None:
    manifest = org.project.manifest.path
    assert_isolated(org.owner_dsn, manifest, tables=["Comment", "Note"])
    with org.owner() as owner:
        run(owner, *OPEN)
    with pytest.raises(AssertionError) as caught:
        assert_isolated(org.owner_dsn, read_project(org.owner_dsn, manifest).manifest, tables=["Note"])
    said = str(caught.value)
    assert "Note: " in said
    assert "not as the access matrix says" in said
    assert "policy_conditions: " in said
    assert "lock_table" not in said


def test_exceptions_next_to_the_manifest_are_applied(org: Built, tmp_path: Path, project: pytest.Pytester) -> None:
    manifest = org.project.manifest.path
    with org.owner() as owner:
        run(
            owner,
            'create policy open on "App"."Note" for select to authenticated using (shade = 7.5)',
            'grant truncate on "App"."Tag" to authenticated',
        )
    with pytest.raises(AssertionError) as caught:
        assert_isolated(org.owner_dsn, manifest)
    assert "Note: " in str(caught.value)
    assert "truncate: " in str(caught.value)
    checks = ("matrix", *{line.partition(":")[0] for line in str(caught.value).splitlines() if ": " in line})
    reasons = "".join(
        f'[[allow]]\ncheck = "{name}"\nobject = "*"\nreason = "As it was agreed."\n'
        for name in checks
        if name == "matrix" or name in {*names("lint", None), *names("rights", org.project.manifest)}
    )
    tmp_path.joinpath("tenantry-lint.toml").write_text(reasons, encoding="utf-8")
    assert_isolated(org.owner_dsn, manifest)
    named = ("tenantry::matrix::Note", "tenantry::rights::truncate")
    result = project.runpytest_inprocess(f"--tenantry-dsn={org.owner_dsn}", f"--tenantry-manifest={manifest}", *named)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([
        "tenantry::matrix::Note: *: refuse, got allow: excepted: As it was agreed.",
        "tenantry::rights::truncate: *accepted: As it was agreed.",
    ])  # fmt: skip


# -- the plugin ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with an application's tests."""
    # What else is installed here takes its time at each start.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:anyio -p no:cacheprovider")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\n")
    return pytester


def _proved(
    project: pytest.Pytester, dsn: str, *arguments: str, manifest: Path = CLINIC
) -> tuple[pytest.RunResult, dict[str, str]]:
    """A run of pytest, and the outcome of each of its items, from its JUnit XML."""
    options = ["--tenantry", f"--tenantry-dsn={dsn}", f"--tenantry-manifest={manifest}", "--junitxml=out.xml"]
    # Workers want a controller of their own; the others can do without another start of Python.
    start = project.runpytest_subprocess if "-n" in arguments else project.runpytest_inprocess
    result = start(*options, *arguments)
    outcomes = {}
    for case in xml.parse(project.path / "out.xml").iter("testcase"):  # noqa: S314 - a file of our own
        name = f"{case.get('classname')}.{case.get('name')}".partition("@")[0]
        outcomes[name] = next(
            (kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None), "passed"
        )
    return result, outcomes


def _failed(outcomes: dict[str, str]) -> set[str]:
    return {name for name, outcome in outcomes.items() if outcome in ("failure", "error")}


RIGHTS = sum(each.rights is not None for each in ATTACKS)


def test_the_whole_proof_passes_item_by_item(project: pytest.Pytester, org: Built) -> None:
    project.makepyfile("def test_of_the_application(): pass")
    result, outcomes = _proved(project, org.owner_dsn, manifest=org.project.manifest.path)
    assert result.ret == 0, result.outlines
    tables = len(org.project.manifest.tables)
    assert len(outcomes) == len(check_files()) + 1 + tables + RIGHTS + 1
    assert outcomes["test_the_whole_proof_passes_item_by_item.test_of_the_application"] == "passed"
    assert outcomes["tenantry.matrix.Note"] == outcomes["tenantry.lint.policy_condition"] == "passed"
    assert sum(outcome == "passed" for outcome in outcomes.values()) > 0.9 * len(outcomes)
    assert f"{RIGHTS} of" not in str(result.stdout)
    # What was excepted or not tried is not passed over in silence, and what was not asked is said.
    result.stdout.fnmatch_lines([
        "tenantry: lint, matrix, rights of * as tenantry_test_owner (--tenantry-dsn); manifest: *tenantry.toml",
        "*tenantry: worth knowing*",
        "tenantry::rights::lock_table: *accepted: a role that may delete rows may lock their table*",
        f"{len(ATTACKS) - RIGHTS} of {len(ATTACKS)} attacks are tried on a copy only*",
    ])  # fmt: skip


def test_of_a_broken_policy_exactly_the_right_items_fail(project: pytest.Pytester, org: Built) -> None:
    with org.owner() as owner:
        run(owner, *OPEN, 'grant truncate on "App"."Tag" to authenticated')
    result, outcomes = _proved(project, org.owner_dsn, manifest=org.project.manifest.path)
    assert result.ret == 1
    failed = _failed(outcomes)
    matrix = {name for name in failed if name.startswith("tenantry.matrix")}
    assert matrix == {"tenantry.matrix.Note"}
    assert {name for name in failed if name.startswith("tenantry.rights")} == {"tenantry.rights.truncate"}
    assert {name.rpartition(".")[2] for name in failed if name.startswith("tenantry.lint")} == LINT
    result.stdout.fnmatch_lines([
        "*Note: * of * cells are not as the access matrix says.",
        "  who * command  row * matrix  database",
        "  guest * select   other tenant * refuse  allow",
        "*`tenantry access diff` shows*",
        "*truncate: *",
        "  authenticated has TRUNCATE on *Tag*",
    ])  # fmt: skip
    assert "Traceback" not in str(result.stdout)
    # Chosen by keyword, and by the names that pytest prints.
    named = ("tenantry::matrix::Note", "tenantry::matrix::Tag", "tenantry::rights")
    more = (*named, "-k", "Note or truncate")
    result, outcomes = _proved(project, org.owner_dsn, *more, manifest=org.project.manifest.path)
    assert outcomes == {"tenantry.matrix.Note": "failure", "tenantry.rights.truncate": "failure"}


COUNTED = """
import os
from pathlib import Path
from tenantry import pytest_plugin as plugin

compute = plugin._compute

def counted(setup, kind, tables):
    with Path("computed").open("a") as file:
        file.write(f"{kind} {os.getpid()}\\n")
    if kind == "matrix" and Path("to_be_killed").exists():
        Path("to_be_killed").unlink()
        os._exit(3)
    return compute(setup, kind, tables)

plugin._compute = counted
"""


def test_workers_compute_once_for_all_of_them_and_another_takes_over_from_one_that_is_killed(
    project: pytest.Pytester, org: Built
) -> None:
    with org.owner() as owner:
        run(owner, 'create policy open on "App"."Note" for select to authenticated using (true)')
    project.makeconftest(COUNTED)
    project.path.joinpath("to_be_killed").touch()
    manifest = org.project.manifest.path
    result, outcomes = _proved(project, org.owner_dsn, "-n", "2", "--dist", "load", manifest=manifest)
    assert result.ret == 1
    assert len(outcomes) > 100
    result.stdout.fnmatch_lines(["worker 'gw*' crashed while running 'tenantry::matrix::*'"])
    # The item at which it died, and no other; xdist may have tried it again.
    matrix = {name for name in _failed(outcomes) if name.startswith("tenantry.matrix")}
    assert "tenantry.matrix.Note" in matrix
    assert len(matrix) <= 2
    lines = [line.split() for line in project.path.joinpath("computed").read_text(encoding="utf-8").splitlines()]
    assert sorted(kind for kind, _ in lines) == ["lint", "matrix", "matrix", "rights"]
    assert len({process for kind, process in lines if kind == "matrix"}) == 2
    result.stdout.fnmatch_lines(["tenantry::rights::lock_table: *accepted: a role that may delete rows*"])


def test_the_ini_turns_it_on_for_whole_runs_and_fixtures_lead_to_the_database(
    project: pytest.Pytester, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makeini(f"[pytest]\ntenantry_checks = rights\ntenantry_manifest = {CLINIC}\n")
    monkeypatch.setenv("TENANTRY_DSN", built.owner_dsn)
    file = project.makepyfile("""
        from tenantry.testing import as_user

        def test_staff(tenantry_dsn, tenantry_project):
            with as_user(tenantry_dsn, tenantry_project, role="staff") as staff:
                assert staff.execute("select id::text from clinics").fetchall() == [(staff.tenant,)]
    """)
    project.runpytest_inprocess().assert_outcomes(passed=1 + RIGHTS)
    # Who runs one file waits for no proof.
    project.runpytest_inprocess(file).assert_outcomes(passed=1)
    project.runpytest_inprocess(file, "--tenantry", "-m", "not tenantry").assert_outcomes(passed=1, deselected=RIGHTS)
    monkeypatch.delenv("TENANTRY_DSN")
    result = project.runpytest_inprocess("-k", "truncate or staff")
    result.assert_outcomes(errors=1, skipped=1, deselected=RIGHTS - 1)
    result.stdout.fnmatch_lines(["tenantry: no database is named: give --tenantry-dsn*"])


def test_without_a_manifest_there_is_lint_and_the_rest_says_why_not(project: pytest.Pytester, built: Built) -> None:
    result = project.runpytest_inprocess("--tenantry", f"--tenantry-dsn={built.owner_dsn}", "-rs", "-k", "not rls")
    assert result.parseoutcomes()["passed"] > 50
    result.stdout.fnmatch_lines(["SKIPPED *there is no manifest*"])


def test_an_impossible_run_is_reported_without_the_password(project: pytest.Pytester, built: Built) -> None:
    result = project.runpytest_inprocess("--tenantry")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no database is named*"])
    dsn = "postgresql://nobody_here:opensesame@127.0.0.1:1/clinic"
    result, outcomes = _proved(project, dsn, "-k", "truncate or goals")
    assert _failed(outcomes) == set(outcomes)
    assert outcomes
    result.stdout.fnmatch_lines(["TN-201: No PostgreSQL server could be reached: *"])
    assert "opensesame" not in str(result.stdout) + str(result.stderr)
    assert "opensesame" not in project.path.joinpath("out.xml").read_text(encoding="utf-8")


# -- pytest is optional --------------------------------------------------------------------------------------------------


def test_tenantry_needs_no_pytest_but_in_its_plugin() -> None:
    root = Path(tenantry.__file__).parent
    found = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        if "pytest" in (text := file.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "pytest" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("pytest", "_pytest"))
    }
    assert found == {"pytest_plugin.py"}
    code = "import sys, tenantry.testing, tenantry.cli.main; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unused_plugin_imports_nothing(project: pytest.Pytester) -> None:
    project.makepyfile("import sys\n\ndef test_it(): assert 'psycopg' not in sys.modules")
    project.runpytest_subprocess().assert_outcomes(passed=1)
