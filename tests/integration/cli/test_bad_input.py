"""Whatever is given wrongly: one message with a code, what is wrong and what to do; exit code 2; nothing changed; no traceback,
no password."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tenantry.postgres import EmbeddedServer, with_parameters
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import (
    MANIFEST,
    OWNER,
    Said,
    cli,
    clinic_manifest,
    copy_of_clinic,
    end_state,
    grant_rights,
    migrate,
    one,
    rows,
    source_digest,
    tenantry,
)

PASSWORD = "very-secret-pass-word"


def assert_refused(said: Said, code: str, *words: str, exit_code: int = 2) -> None:
    assert said.code == exit_code, said.everything
    assert code in said.everything
    assert "What to do:" in said.everything
    assert "Traceback" not in said.everything
    assert PASSWORD not in said.everything
    for word in words:
        assert word in said.everything, said.everything


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Clinic's manifest with its files, to be spoiled."""
    return copy_of_clinic(tmp_path)


def change(file: Path, before: str, after: str) -> Path:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
    return file


def run(
    database: Database, *arguments: str, user: str = OWNER, manifest: Path = MANIFEST, command: str = "migrate"
) -> Said:
    return cli(command, "--dsn", database.dsn_as(user), "--manifest", str(manifest), *arguments)


def assert_untouched(database: Database) -> None:
    assert one(database, "select to_regnamespace('tenantry')") is None
    assert one(database, "select to_regnamespace('auth')") is None
    assert one(database, "select count(*) from pg_trigger where tgname like 'tenantry%'") == 0


# -- where the database is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dsn", [
    f"postgresql://somebody:{PASSWORD}@127.0.0.1:1/nowhere",
    f"host=/nowhere user=somebody password={PASSWORD} dbname=x",
    f"postgresql://somebody:{PASSWORD}@no-such-host.invalid/x?connect_timeout=2",
])  # fmt: skip
def test_a_missing_server_is_reported(dsn: str) -> None:
    assert_refused(
        cli("migrate", "--dsn", dsn, "--manifest", str(MANIFEST)), "TN-201", "Check that the server is running"
    )


@pytest.mark.parametrize(
    "dsn", [f"postgresql://a:{PASSWORD}@[oops/x", f"garbage {PASSWORD}", f"host= password '{PASSWORD}"]
)
def test_an_invalid_connection_string_is_reported(dsn: str) -> None:
    assert_refused(cli("migrate", "--dsn", dsn, "--manifest", str(MANIFEST)), "TN-101", "connection string")


def test_a_missing_database_is_reported(legacy: Database) -> None:
    dsn = with_parameters(legacy.dsn_as(OWNER), dbname="no_such_database")
    assert_refused(cli("migrate", "--dsn", dsn, "--manifest", str(MANIFEST)), "TN-202", "no_such_database", "createdb")


def test_a_missing_role_is_reported(legacy: Database) -> None:
    assert_refused(run(legacy, user="nobody_of_this_name"), "TN-202", "nobody_of_this_name")


@pytest.fixture(scope="module")
def asking() -> Iterator[str]:
    """A server that asks for passwords: the connection string of a role that has one, without it."""
    # A short path that the account can reach which runs the server when we are root.
    folder = Path(tempfile.mkdtemp(prefix="tt-asks-", dir="/tmp"))
    folder.chmod(0o755)
    with EmbeddedServer(folder, settings={"fsync": "off"}) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("create role asked login password 'the right one'")
            hba = server.data / "pg_hba.conf"
            hba.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
            admin.execute("select pg_reload_conf()")
        yield server.dsn(user="asked")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("password", [PASSWORD, ""])
def test_a_wrong_password_or_none(asking: str, password: str) -> None:
    dsn = with_parameters(asking, password=password) if password else asking
    said = cli("migrate", "--dsn", dsn, "--manifest", str(MANIFEST), environment={"PGPASSFILE": "/nowhere"})
    assert_refused(said, "TN-202", "refuses this login", "password")


# -- schemas and rights --------------------------------------------------------------------------------------------------


def test_a_missing_source_schema_is_reported(legacy: Database, copy: Path) -> None:
    change(copy, 'schema = "public"', 'schema = "publik"')
    assert_refused(run(legacy, manifest=copy), "TN-301", "publik", "Did you mean 'public'?")
    assert_untouched(legacy)


def test_a_foreign_target_schema_is_refused(legacy: Database) -> None:
    with legacy.connect() as admin:
        admin.execute("create schema clinic; create table clinic.precious (a int)")
    assert_refused(run(legacy), "TN-302", "'clinic'", "drop schema clinic cascade")
    assert_untouched(legacy)
    assert one(legacy, "select to_regclass('clinic.precious')::text") == "clinic.precious"


def test_a_source_table_without_any_key(legacy: Database) -> None:
    with legacy.connect() as admin:
        admin.execute("alter table column_mappings drop constraint column_mappings_pkey")
    said = run(legacy)
    assert said.code == 2
    for word in ("column_mappings", "neither a primary key nor a unique key", "ADD PRIMARY KEY", "tenantry.toml:"):
        assert word in said.everything
    assert_untouched(legacy)


@pytest.mark.parametrize(("before", "after", "words"), [
    ('from = "metric_values"', 'from = "metric_valuez"', ["did you mean 'metric_values'?"]),
    ('[tables.goals.columns]', '[tables.goals.columns]\nnonsense = { from = "id" }', ["goals has no column 'nonsense'"]),
    ('select = "viewer"', 'select = "vieuwer"', ["'vieuwer' is not a role; did you mean 'viewer'?"]),
    ('as = "local_day"', 'as = "local_dai"', ["did you mean 'local_day'?"]),
    ('[ids]', '[idz]', ["unknown key; did you mean 'ids'?"]),
    ('files = ["../schema/*.sql"]', 'files = ["nothing/*.sql"]', ["no file matches 'nothing/*.sql'"]),
    ('keep = "created_at"', 'keep = "created_att"', ["created_at"]),
    ('super = "s.role = \'admin\'"', 'super = "s.roll = \'admin\'"', ["did you mean 'role'?"]),
])  # fmt: skip
def test_an_unsuitable_manifest_is_reported_with_line_and_nearest_name(
    legacy: Database, copy: Path, before: str, after: str, words: list[str]
) -> None:
    change(copy, before, after)
    line = copy.read_text().partition(after.splitlines()[-1])[0].count("\n") + 1
    assert_refused(run(legacy, manifest=copy), "TN-110", f"tenantry.toml:{line}:", *words)
    assert_untouched(legacy)


@pytest.mark.parametrize("text", ["[source\nschema = 1", "a = = b", 'name = "x', "\x00\x01"])
def test_a_manifest_with_a_toml_error_is_reported(legacy: Database, copy: Path, text: str) -> None:
    copy.write_text(text)
    assert_refused(run(legacy, manifest=copy), "TN-110", "tenantry.toml:")


def test_a_binary_or_missing_manifest_is_reported(legacy: Database, copy: Path, tmp_path: Path) -> None:
    copy.write_bytes(b"\xff\xfe\x00garbage")
    assert_refused(run(legacy, manifest=copy), "TN-101")
    assert_refused(run(legacy, manifest=tmp_path / "none.toml"), "TN-101", "--manifest")


def test_a_failing_target_file_is_reported_with_file_and_line(legacy: Database, copy: Path) -> None:
    file = copy.parents[1] / "schema" / "45_goals.sql"
    change(file, "create table goals (", "create table goals (\n    broken no_such_type,")
    line = file.read_text().partition("broken no_such_type")[0].count("\n") + 1
    assert_refused(run(legacy, manifest=copy), "TN-303", f"45_goals.sql:{line}", "no_such_type")
    assert_untouched(legacy)


def test_roles_that_are_missing_are_named_with_the_way_to_make_them(legacy: Database, copy: Path) -> None:
    change(
        copy,
        'name = "clinic"',
        'name = "clinic"\n[database_roles]\nlogin = "no_such_login"\n[unused]'.replace("\n[unused]", ""),
    )
    text = copy.read_text()
    section = '[database_roles]\nlogin = "no_such_login"\n'
    copy.write_text(text.replace(section, "") + "\n" + section)
    assert_refused(run(legacy, manifest=copy), "TN-208", "no_such_login", "roles --sql")
    assert_untouched(legacy)


def test_an_owner_who_may_not_make_schemas(legacy: Database) -> None:
    with legacy.connect() as admin:
        admin.execute(
            sql.SQL("revoke create on database {} from {}").format(sql.Identifier(legacy.name), sql.Identifier(OWNER))
        )
    assert_refused(run(legacy), "TN-204", "GRANT CREATE ON DATABASE")
    assert_untouched(legacy)


def test_a_login_that_does_not_own_the_tables(legacy: Database) -> None:
    with legacy.connect() as admin:
        admin.execute("do $$ begin create role stranger login; exception when duplicate_object then null; end $$")
    grant_rights(legacy, clinic_manifest(), owner="stranger")
    before = source_digest(legacy)
    assert_refused(run(legacy, user="stranger"), "TN-204")
    assert source_digest(legacy) == before
    assert_untouched(legacy)


# -- the journal ---------------------------------------------------------------------------------------------------------


def test_a_run_that_was_cut_over_is_not_begun_again(finished: Database) -> None:
    before = end_state(finished)
    assert_refused(run(finished), "TN-407", "cut over")
    assert end_state(finished) == before


@pytest.mark.parametrize("spoil", [
    lambda copy: change(copy, 'invalid = "quarantine" } # missing', 'invalid = "carry" } # missing'),
    lambda copy: change(copy.parents[1] / "schema" / "45_goals.sql", "numeric(20,4)", "numeric(20,5)"),
], ids=["manifest", "target file"])  # fmt: skip
def test_a_run_of_another_manifest_is_not_resumed(
    finished: Database, copy: Path, spoil: Callable[[Path], object]
) -> None:
    spoil(copy)
    assert_refused(run(finished, manifest=copy), "TN-402", "have changed", "Restore the files")


def test_a_run_of_another_project_name_is_not_resumed(finished: Database, copy: Path) -> None:
    change(copy, 'name = "clinic"', 'name = "dental"')
    assert_refused(run(finished, manifest=copy), "TN-402", "'clinic'", "'dental'")


def test_comments_and_blanks_in_the_manifest_are_no_change(finished: Database, copy: Path) -> None:
    copy.write_text("# a comment\n\n" + copy.read_text())
    assert_refused(run(finished, manifest=copy), "TN-407")


@pytest.mark.parametrize("command", [["status"], ["quarantine", "list"]])
def test_a_database_without_a_run_is_reported(legacy: Database, command: list[str]) -> None:
    said = cli(*command, "--dsn", legacy.dsn_as(OWNER), "--manifest", str(MANIFEST))
    assert_refused(said, "TN-403", "migrate")


def test_a_missing_python_key_stops_the_run_and_the_run_can_be_resumed(legacy: Database) -> None:
    said = cli(
        "migrate", "--dsn", legacy.dsn_as(OWNER), "--manifest", str(MANIFEST), environment={"CLINIC_TOKEN_KEY": ""}
    )
    assert_refused(said, "TN-504", "CLINIC_TOKEN_KEY is not set", exit_code=1)
    for (token,) in rows(legacy, "select access_token from data_sources"):
        assert token not in said.everything
    assert rows(legacy, "select status from tenantry.run") == [("failed",)]
    with legacy.connect(user=OWNER) as application:
        application.execute("update clinics set name = name")
    migrate(legacy)
    assert rows(legacy, "select status from tenantry.run") == [("cut over",)]


# -- how it is said ------------------------------------------------------------------------------------------------------


def test_with_json_an_error_is_one_object(legacy: Database, copy: Path) -> None:
    change(copy, 'schema = "public"', 'schema = "publik"')
    said = run(legacy, "--json", manifest=copy)
    assert said.code == 2
    assert set(said.json) == {"error"}
    assert said.json["error"]["code"] == "TN-301"
    assert set(said.json["error"]) == {"code", "message", "hint", "detail"}


@pytest.mark.parametrize("arguments", [["migrate", "--workers", "0"], ["migrate", "--no-such-option"], ["no-such-command"],
                                       ["quarantine", "show", "x"], ["migrate", "--chunk-rows", "none"]])  # fmt: skip
def test_wrong_usage_exits_with_2_and_prints_the_usage(arguments: list[str]) -> None:
    said = cli(*arguments)
    assert said.code == 2
    assert "Traceback" not in said.everything
    assert "Usage" in said.everything or "--help" in said.everything


def test_as_a_process_it_ends_with_2_and_without_a_traceback() -> None:
    said = tenantry(
        "migrate", "--dsn", f"postgresql://x:{PASSWORD}@127.0.0.1:1/x", "--manifest", str(MANIFEST), "--json"
    )
    assert said.code == 2
    assert said.json["error"]["code"] == "TN-201"
    assert "Traceback" not in said.everything
    assert PASSWORD not in said.everything


def test_an_empty_source_is_migrated_too(servers: dict[int, EmbeddedServer]) -> None:
    from clinic.migration.legacy import create_schema  # noqa: PLC0415
    from tests.migrate_support import let_own  # noqa: PLC0415

    with fresh_database(running_server(servers, 18)) as database:
        with database.connect() as admin:
            create_schema(admin, "public")
        let_own(database, clinic_manifest())
        outcome = migrate(database)
        assert all(account.balanced and account.source == 0 for account in outcome.accounts)
        assert rows(database, "select status from tenantry.run") == [("cut over",)]
