"""Lint: every check fires on its broken lab and names the object, and no check fires on the repaired one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest

import tenantry.prove.lint.facts
from tenantry.errors import SettingsError
from tenantry.manifest import load_manifest
from tenantry.postgres import EmbeddedServer
from tenantry.prove.lint.checks import LEVELS, CheckFile, check_files
from tenantry.prove.lint.pg_node_tree import parse
from tenantry.prove.lint.run import EXCEPTIONS, Allowed, Lint, find_exceptions, load_exceptions, run_lint
from tenantry.prove.lint.scope import Sought, discover
from tests.conftest import VERSIONS, fresh_database, version_parameters
from tests.isolation.build import CLINIC, build_clinic
from tests.isolation.laboratory import (
    LAB,
    OWNER,
    Case,
    Connection,
    cases,
    confusion_lines,
    folders,
    keep,
    lab_database,
    lint,
    tried,
)
from tests.migrate_support import cli
from tools.docs.checks import page

ROOT = Path(__file__).parents[2]
CHECKS = [check.name for check in check_files()]
ON_EACH = version_parameters()
OPEN = "create policy everything on app.notes for select to authenticated using (true);"


class Laboratories:
    """Servers of the lab by version, started when first asked for: clusters that no other test knows, since labs change roles."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._servers: dict[tuple[int, str], EmbeddedServer] = {}
        self._bases: dict[int, Connection] = {}

    def server(self, version: int, cluster: str = "lab") -> EmbeddedServer:
        if (version, cluster) not in self._servers:
            folder = Path(os.environ["TENANTRY_TEST_SERVERS"]) / cluster
            folder.mkdir(mode=0o755, exist_ok=True)
            server = EmbeddedServer(folder, version=version, settings={"fsync": "off"})
            self._servers[version, cluster] = self._stack.enter_context(server)
        return self._servers[version, cluster]

    def __getitem__(self, version: int) -> Connection:
        if version not in self._bases:
            name = f"lab_{os.getpid()}"
            self._bases[version] = self._stack.enter_context(lab_database(self.server(version), name))
        return self._bases[version]


@pytest.fixture(scope="module")
def laboratories() -> Iterator[Laboratories]:
    with ExitStack() as stack:
        yield Laboratories(stack)


def _linted(laboratories: Laboratories, sql: str, version: int = 18) -> Lint:
    return lint(laboratories[version], Case("", "bad", sql))


# -- the lab ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ON_EACH)
@pytest.mark.parametrize("check", sorted({*CHECKS, *folders()}))
def test_a_check_finds_the_broken_lab_and_passes_the_repaired_one(
    check: str, version: int, laboratories: Laboratories
) -> None:
    row = tried(laboratories[version], version, check)
    keep(row)
    assert check in CHECKS, f"tests/isolation/lab/{check} is the lab of no check"
    assert row.right, (
        f"{check} on {version}: {row.cell}; the bad schema must be found, and no check may fire on the good one."
        " OTHERS <schema>: <check> means that this check fires there: narrow it, or repair tests/isolation/lab/<schema>"
    )


def test_the_confusion_table_tells_a_miss_and_a_false_alarm(laboratories: Laboratories) -> None:
    right = tried(laboratories[18], 18, "policy_volatile")
    # Labs of another check: this check must fire on neither the broken nor the repaired one.
    broken = Case("policy_volatile", "bad", LAB.joinpath("rls_enabled", "bad.sql").read_text(encoding="utf-8"))
    silent = lint(laboratories[18], broken).findings
    assert right.right
    assert "policy_volatile" not in {finding.check for finding in silent}
    spoiled = type(right)(**{**asdict(right), "silent": ["bad"], "fired": ["good"]})
    lines = confusion_lines([right, spoiled])
    assert "SILENT bad; FIRED good" in spoiled.cell
    assert "1 missed" in lines[-1]
    assert "1 false alarms" in lines[-1]


def test_the_schema_that_labs_begin_with_is_in_order(laboratories: Laboratories) -> None:
    found = _linted(laboratories, "select")
    assert found.findings == ()
    assert found.unread == ()
    assert found.passed
    assert {name for name, _ in found.not_applicable} == {
        check.name
        for check in check_files()
        if set(check.needs) & {"manifest", "login", "definer", "tenantry", "storage"}
    }


# -- the files --------------------------------------------------------------------------------------------------------


def _most(check: CheckFile) -> str:
    """The greatest level that the statement of a check mentions."""
    said = set(re.findall(r"'(error|warning|info)'", check.statement()))
    return next(level for level in LEVELS if level in {*said, check.level})


@pytest.mark.parametrize("check", check_files(), ids=lambda check: check.name)
def test_every_check_has_a_complete_header(check: CheckFile) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", check.name)
    assert all((check.title, check.why, check.fix))
    assert not check.title.endswith(".")
    assert check.why.endswith(".")
    assert _most(check) == check.level, "the header says the greatest level that the check gives"


def test_there_are_checks_enough_and_labs_for_all_of_them() -> None:
    assert len(CHECKS) >= 45
    assert set(folders()) == set(CHECKS)
    for name in CHECKS:
        kinds = [each.bad for each in cases(name, max(VERSIONS))]
        assert set(kinds) == {True, False}, name


def test_the_page_of_the_checks_is_current() -> None:
    assert (ROOT / "docs/reference/checks.md").read_text(encoding="utf-8") == page(), "stale: run `make docs`"


# -- whole databases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ON_EACH)
def test_nothing_fires_on_clinic(version: int, laboratories: Laboratories) -> None:
    # In a cluster in which no other test leaves roles and memberships.
    with fresh_database(laboratories.server(version, "alone")) as database, build_clinic(database).owner() as owner:
        found = run_lint(owner, manifest=load_manifest(CLINIC))
        guessed = run_lint(owner)
    assert [str(finding) for finding in found.findings] == []
    assert found.unread == ()
    assert len(found.checks) > 80
    # Without the manifest it is found out what is meant, and not everything can be known.
    assert guessed.passed
    assert [str(finding) for finding in guessed.findings if finding.level == "warning"] == []
    assert guessed.scope.tenant_column == "clinic_id"
    assert guessed.scope.tenant is not None
    assert guessed.scope.tenant.table == "clinics"
    assert guessed.scope.membership is not None
    assert guessed.scope.membership.table == "user_clinic_roles"
    assert set(guessed.scope.clients) == {"anon", "authenticated", "tenantry_login"}
    said = " ".join(guessed.scope.sentences)
    assert "clinic_id" in said
    assert "user_clinic_roles" in said


def test_lint_asks_for_no_rights_and_leaves_nothing_behind(laboratories: Laboratories) -> None:
    server = laboratories.server(18)
    with lab_database(server, f"lab_rights_{os.getpid()}") as admin:
        admin.execute(
            LAB.joinpath("base.sql")
            .read_bytes()
            .replace(b"create schema hidden", f"set role {OWNER};create schema hidden".encode(), 1)
        )
        admin.execute(OPEN.encode())
        admin.commit()
        with psycopg.connect(server.dsn(admin.info.dbname, "lab_app")) as stranger:
            before = stranger.execute(
                "select current_setting('search_path'), current_setting('transaction_read_only')"
            ).fetchone()
            found = run_lint(stranger)
            after = stranger.execute(
                "select current_setting('search_path'), current_setting('transaction_read_only')"
            ).fetchone()
    assert before == after
    assert {finding.check for finding in found.findings} == {"policy_always_true", "policy_commands"}


def test_user_defined_objects_do_not_shadow_those_of_postgresql(laboratories: Laboratories) -> None:
    found = _linted(
        laboratories,
        f"""{OPEN}
        create function app.format(text, variadic text[]) returns text language plpgsql as $$ begin raise 'called'; end $$;
        create function app.yes(name, text) returns boolean language plpgsql as $$ begin raise 'called'; end $$;
        create operator app.= (leftarg = name, rightarg = text, function = app.yes);
        create view app.pg_policy as select * from pg_catalog.pg_policy where false;
        set local search_path = app, pg_catalog;""",
    )
    assert "policy_always_true" in {finding.check for finding in found.findings}


EXPRESSIONS = [
    "case when title = 'a' then org_id = any ((select hidden.orgs('guest'))::uuid[]) else false end",
    "(org_id, author_id) = any (select m.org_id, m.user_id from app.members as m)",
    "row(org_id, id) is distinct from row(id, org_id)",
    "org_id in (with mine as (select org_id from app.members) select m.org_id from mine as m)",
    "exists (select from app.members as a join app.orgs as o on o.id = a.org_id left join app.comments using (org_id))",
    "array[org_id] <@ array(select org_id from app.members group by grouping sets ((org_id), ()) having count(*) > 0)",
    "title ~ E'\\\\{\\\\[(\\\\)\\\\]\\\\} :x \\\\\\\\' or title = ' {} <> \"q\" ' or title like '%{' escape '!'",
    "coalesce(nullif(title, ''), body, 'x') between 'a' and 'z' collate \"C\"",
    "body is json and (body::jsonb #>> '{a,b}') = 'x' and (body::jsonb)['k'] is not null",
    "(select row_number() over (partition by m.role order by m.user_id) from app.members as m limit 1) > 1",
    "(select max(x) from generate_series(1, 3) as x, lateral (values (x)) as y (z)) = 3",
    "greatest(length(title), 3) = all (array[1, null]) is not true",
    "(select array_agg(m.role order by m.role) filter (where m.role <> 'boss') from app.members as m) is not null",
    "notes is not null and ctid > '(0,1)'",
    "current_date > date '2020-01-01' and session_user <> current_user and title::name = current_schema",
    "(select u.org_id from app.members as u union all select o.id from app.orgs as o limit 1) = org_id",
]


@pytest.mark.parametrize("version", ON_EACH)
def test_conditions_of_every_kind_can_be_read(version: int, laboratories: Laboratories) -> None:
    expressions = [each for each in EXPRESSIONS if version >= 16 or "is json" not in each]
    policies = "\n".join(
        f"create policy kind_{number} on app.notes for select to authenticated using ({expression});"
        for number, expression in enumerate(expressions)
    )
    found = _linted(laboratories, policies, version)
    assert found.unread == ()
    said = [finding.detail for finding in found.findings if finding.check == "policy_slow_select"]
    assert any("kind_1 " in detail for detail in said)


def test_an_unreadable_condition_is_reported(laboratories: Laboratories, monkeypatch: pytest.MonkeyPatch) -> None:
    def unread(text: str) -> object:
        raise ValueError("of a later version")

    monkeypatch.setattr(tenantry.prove.lint.facts, "parse", unread)
    found = _linted(laboratories, OPEN)
    assert len(found.unread) > 5
    assert "of a later version" in found.unread[0]
    tried_not = [result for result in found.results() if result.outcome == "not tried"]
    assert len(tried_not) == len(found.unread)


@pytest.mark.parametrize("text", ["", "{", "}", "{A :b (}", "{A :b (1 2}", "A", "{A :b 1} {B}"])
def test_an_invalid_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tree"):
        parse(text)


# -- what conditions come to ------------------------------------------------------------------------------------------

# Conditions of notes, each with whether it is true for every row: for every caller, without a caller, for every signed-in caller.
CONDITIONS: dict[str, tuple[bool, bool, bool]] = {
    "true": (True, True, True),
    "2 = 2": (True, True, True),
    "org_id = org_id": (True, True, True),
    "body is null or body is not null or title is not null": (True, True, True),
    "not (false and author_id = auth.uid())": (True, True, True),
    "body is not null": (False, False, False),
    "author_id = auth.uid()": (False, False, False),
    "auth.uid() is null or author_id = auth.uid()": (False, True, False),
    "not (auth.uid() is not null and title <> '')": (False, True, False),
    "coalesce(author_id = (select auth.uid()), true)": (False, True, False),
    "(author_id = auth.uid()) is not false": (False, True, False),
    "(select auth.jwt() ->> 'state') is distinct from 'blocked'": (False, True, False),
    "auth.uid() is not null": (False, False, True),
    "auth.role() = 'authenticated' and true": (False, False, True),
    "auth.jwt() ->> 'role' = 'authenticated' or author_id = auth.uid()": (False, False, True),
    "(select auth.uid())::text is not null and title is not null": (False, False, True),
    "auth.role() = 'boss'": (False, False, False),
    "auth.uid() is not null and author_id = auth.uid()": (False, False, False),
}
ROWS = """
    insert into app.orgs (id, name) select gen_random_uuid(), 'o' from generate_series(1, 3);
    insert into app.members (org_id, user_id, role) select id, gen_random_uuid(), 'guest' from app.orgs;
    insert into app.notes (org_id, author_id, title, body)
    select org_id, user_id, t.title, t.body from app.members, (values ('', null), ('a', 'b'), ('c', '')) as t (title, body);
"""
CALLERS = {
    "nobody": None,
    "somebody": {"sub": "0c3d9a1e-9f0e-4a55-a1e0-37f2c3f0b6a5", "role": "authenticated", "state": "blocked"},
}
SAID = {"policy_always_true": 0, "policy_true_for_nobody": 1, "policy_signed_in_only": 2}


@pytest.mark.parametrize("version", ON_EACH)
def test_constant_folding_agrees_with_the_server(version: int, laboratories: Laboratories) -> None:
    policies = "".join(
        f"create policy c{number} on app.notes for select to authenticated using ({condition});\n"
        for number, condition in enumerate(CONDITIONS)
    )
    found = _linted(laboratories, f"drop policy see on app.notes;\n{policies}", version)
    fired: dict[int, set[int]] = {}
    for finding in found.findings:
        named = re.search(r"policy c(\d+) ", finding.detail)
        if named and finding.check in SAID:
            fired.setdefault(int(named[1]), set()).add(SAID[finding.check])
    connection = laboratories[version]
    got: dict[str, tuple[bool, ...]] = dict.fromkeys(CONDITIONS, ())
    for claims in CALLERS.values():
        try:
            connection.execute(LAB.joinpath("base.sql").read_bytes())
            connection.execute(ROWS.encode())
            if claims is not None:
                connection.execute(
                    "insert into hidden.session values (pg_current_xact_id(), %s::jsonb)", [json.dumps(claims)]
                )
            for condition in CONDITIONS:
                row = connection.execute(
                    f"select bool_and(coalesce({condition}, false)) from app.notes".encode()
                ).fetchone()
                assert row is not None
                got[condition] += (bool(row[0]),)
        finally:
            connection.rollback()
    for number, (condition, (whoever, nobody, somebody)) in enumerate(CONDITIONS.items()):
        assert got[condition] == (nobody, somebody), condition
        # The three checks share the work: each says what those before it have not said.
        want = {0} if whoever else {1} if nobody else {2} if somebody else set()
        assert fired.get(number, set()) == want, condition


# -- finding out what is meant ----------------------------------------------------------------------------------------


def test_a_database_without_clients_or_tenants_is_reported(laboratories: Laboratories) -> None:
    connection = laboratories[18]
    try:
        connection.execute("create schema shop; create table shop.items (id int primary key, name text)")
        found = run_lint(connection, sought=Sought(roles=["nobody_here"]))
    finally:
        connection.rollback()
    said = " ".join(found.scope.sentences)
    assert "The cluster has no role nobody_here" in said
    assert "No tenant column was found" in said
    assert found.scope.schemas == ("shop",)
    reasons = dict(found.not_applicable)
    assert reasons["shared_table_writes"] == "no tenant column was found"
    assert reasons["members_writable"] == "no table of memberships was found"


def test_a_login_that_can_become_the_owner_is_an_administrator_unless_it_is_a_client(
    laboratories: Laboratories,
) -> None:
    connection = laboratories[18]
    logins = {
        "lab_one": f"grant {OWNER} to lab_one",
        "lab_two": f"grant {OWNER}, anon to lab_two",
        "lab_three": "grant select on app.notes to lab_three",
        # Who made a role may grant it from PostgreSQL 16 on, but is not it.
        "lab_four": "grant authenticated to lab_four with admin true, inherit false, set false",
        "lab_five": "select",
    }
    try:
        connection.execute(LAB.joinpath("base.sql").read_bytes())
        connection.execute(f"grant anon, authenticated to {OWNER}; alter schema app owner to {OWNER}".encode())
        for name, grant in logins.items():
            connection.execute(
                f"create role {name} login; grant connect on database ".encode()
                + connection.info.dbname.encode()
                + f" to {name}; {grant}".encode()
            )
        found = discover(connection)
    finally:
        connection.rollback()
    assert set(found.logins) == {"lab_app", "lab_two", "lab_three"}
    assert set(found.clients) == {"anon", "authenticated", *found.logins}
    said = next(each for each in found.sentences if "administrators" in each)
    assert said.endswith(": lab_one.")


def test_options_override_the_discovered_scope(laboratories: Laboratories) -> None:
    connection = laboratories[18]
    try:
        connection.execute(LAB.joinpath("base.sql").read_bytes())
        found = discover(connection)
        asked = discover(connection, schemas=["hidden", "app"], roles=["authenticated"], tenant_column="note_id")
    finally:
        connection.rollback()
    assert (found.schemas, found.visitors, found.logins) == (("app",), ("anon",), ("lab_app",))
    assert (found.tenant_column, found.membership is not None) == ("org_id", True)
    assert asked.schemas == ("hidden", "app")
    assert asked.clients == ("authenticated",)
    assert asked.tenant_column == "note_id"
    assert len(asked.tenant_columns) == 1


def test_a_column_of_people_is_not_taken_for_the_tenant(laboratories: Laboratories) -> None:
    connection = laboratories[18]
    try:
        connection.execute(
            """create schema app; create schema auth; create table auth.users (id uuid primary key);
            create table app.teams (id uuid primary key);
            create table app.posts (id uuid primary key, user_id uuid references auth.users, team_ref uuid references app.teams);
            create table app.likes (id uuid primary key, user_id uuid references auth.users, team_ref uuid references app.teams);
            create table app.marks (id uuid primary key, user_id uuid references auth.users);
            grant usage on schema app to authenticated; grant select on all tables in schema app to authenticated"""
        )
        found = discover(connection)
    finally:
        connection.rollback()
    assert found.tenant_column == "team_ref"
    assert found.tenant is not None
    assert found.tenant.table == "teams"
    assert len(found.tenant_columns) == 2


# -- exceptions -------------------------------------------------------------------------------------------------------


def test_exceptions_remove_findings_and_unused_ones_are_reported(laboratories: Laboratories) -> None:
    connection = laboratories[18]
    exceptions = [
        Allowed("policy_always_true", "app.no*", "these notes are public"),
        Allowed("policy_always_true", "app.orgs", "nothing is there"),
    ]
    try:
        connection.execute(f"set local role {OWNER}".encode())
        connection.execute(LAB.joinpath("base.sql").read_bytes())
        connection.execute(OPEN.encode())
        found = run_lint(connection, exceptions=exceptions)
    finally:
        connection.rollback()
    assert found.passed
    assert {finding.check for finding in found.findings} == {"policy_commands"}
    assert [by.reason for _, by in found.allowed] == ["these notes are public"]
    assert found.unused == (exceptions[1],)
    content = json.loads(json.dumps(found.to_json()))
    assert content["allowed"][0]["reason"] == "these notes are public"
    assert content["unused_exceptions"][0]["object"] == "app.orgs"


def test_an_exception_names_a_check_that_exists(laboratories: Laboratories) -> None:
    with pytest.raises(SettingsError) as caught:
        run_lint(laboratories[18], exceptions=[Allowed("policy_alway_true", "*", "typing")])
    assert "policy_always_true" in caught.value.hint


WRONG_FILES = {
    "no toml": "[[allow",
    "a key more": "[[allow]]\ncheck = 'views'\nobject = '*'\nreason = 'r'\nuntil = 'May'",
    "no reason": "[[allow]]\ncheck = 'views'\nobject = '*'\nreason = ' '",
    "no object": "[[allow]]\ncheck = 'views'\nreason = 'r'",
    "another section": "[lint]\nlevel = 'info'",
    "no list": "allow = 'everything'",
}


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_a_file_of_exceptions_is_read_or_refused_with_its_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / EXCEPTIONS
    path.write_text(WRONG_FILES[kind], encoding="utf-8")
    with pytest.raises(SettingsError, match=re.escape(EXCEPTIONS)):
        load_exceptions(path)


def test_exceptions_are_found_next_to_the_manifest(tmp_path: Path) -> None:
    assert find_exceptions(tmp_path) == ()
    (tmp_path / EXCEPTIONS).write_text('[[allow]]\ncheck = "views"\nobject = "app.*"\nreason = "r"\n', encoding="utf-8")
    assert find_exceptions(tmp_path) == (Allowed("views", "app.*", "r"),)


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(laboratories: Laboratories) -> Iterator[str]:
    """A database that stays, with one hole."""
    server = laboratories.server(18)
    with lab_database(server, f"lab_cli_{os.getpid()}") as connection:
        connection.execute(f"set local role {OWNER}".encode())
        connection.execute(LAB.joinpath("base.sql").read_bytes())
        connection.execute(OPEN.encode())
        connection.commit()
        yield server.dsn(connection.info.dbname)


def test_the_command_prints_findings_with_their_fixes(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    junit, sarif = tmp_path / "lint.xml", tmp_path / "lint.sarif"
    said = cli("lint", "--dsn", address, "--junit", str(junit), "--sarif", str(sarif))
    assert said.code == 1
    assert "app.notes" in said.out
    assert "Compare the row's tenant with the tenants of the caller" in said.out
    assert "Tenant column: org_id" in said.out
    assert junit.read_text(encoding="utf-8").count("<failure") == 1
    assert json.loads(sarif.read_text(encoding="utf-8"))["runs"][0]["results"][0]["ruleId"] == "policy_always_true"
    content = json.loads(cli("lint", "--dsn", address, "--json").out)
    assert content["passed"] is False
    assert content["counts"]["error"] == 1
    assert content["findings"][0]["object"] == "app.notes"
    assert "# Lint: FAILED" in cli("lint", "--dsn", address, "--markdown").out


def test_the_command_takes_exceptions_and_single_checks(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("lint", "--dsn", address, "--check", "views", "--check", "rls_enabled").code == 0
    (tmp_path / EXCEPTIONS).write_text(
        '[[allow]]\ncheck = "policy_always_true"\nobject = "app.notes"\nreason = "These notes are public."\n'
        '[[allow]]\ncheck = "views"\nobject = "app.old"\nreason = "It is gone."\n',
        encoding="utf-8",
    )
    said = cli("lint", "--dsn", address)
    assert said.code == 0
    assert "These notes are public." in said.out
    assert "no longer needed: the exception views on app.old" in said.out


WRONG_USE = {
    "an unknown check": (["--check", "vieuws"], "TN-101", "views"),
    "a manifest and a guess": (["--manifest", str(CLINIC), "--schema", "app"], "TN-101", "the one or the others"),
    "a manifest of another database": (["--manifest", str(CLINIC)], "TN-301", "clinic"),
    "a file that is not there": (["--exceptions", "none.toml"], "TN-101", "none.toml"),
}


@pytest.mark.parametrize("kind", WRONG_USE)
def test_wrong_usage_exits_with_2(kind: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, code, words = WRONG_USE[kind]
    said = cli("lint", "--dsn", address, *arguments)
    assert said.code == 2
    assert code in said.err
    assert words in said.err


def test_the_checks_are_listed_without_a_database() -> None:
    said = cli("lint", "--list", "--json")
    assert said.code == 0
    assert [entry["check"] for entry in json.loads(said.out)] == CHECKS
