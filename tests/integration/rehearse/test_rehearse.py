"""A rehearsal: the copy, every step on it, and an unchanged original. Also the search for a backup."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from psycopg import sql

from tenantry.cli.main import app
from tenantry.dbcopy import fill, maker
from tenantry.dbcopy.duplicate import duplicated
from tenantry.dbcopy.maker import CopyOptions, CopyReports
from tenantry.dbcopy.original import MARK, Copy, CopyRefused, reading
from tenantry.dbcopy.pg_programs import run_program
from tenantry.errors import JournalMismatch, RightsMissing, RunInProgress, RunInterrupted, StepFailed
from tenantry.manifest import Manifest, load_manifest
from tenantry.migrate.run.engine import Options
from tenantry.migrate.session.backups import backup_lines, judge, look_for_backups, managed_service
from tenantry.postgres import EmbeddedServer, connect, ident, literal
from tenantry.rehearse import run as rehearsing
from tenantry.rehearse import stages
from tenantry.rehearse.model import Rehearsal, Wishes
from tenantry.rehearse.run import rehearse
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import (
    MANIFEST,
    OPTIONS,
    OWNER,
    clinic_manifest,
    grant_rights,
    let_own,
    one,
    rows,
    source_digest,
)

QUICK = Options(workers=2, chunk_rows=50, lock_patience=20)

# -- a small application -------------------------------------------------------------------------------------------------

LEGACY = """
create table shops (id integer primary key, name text not null, changes integer not null default 0);
create table people (id integer primary key, shop_id integer not null references shops, mail text not null, kind text not null);
create table items (id integer primary key, shop_id integer not null references shops, title varchar(12), price numeric(10,2));
insert into shops select n, 'shop ' || n from generate_series(1, 3) n;
insert into people select n, 1 + n % 3, 'p' || n || '@example.com', 'boss' from generate_series(1, 6) n;
insert into items select n, 1 + n % 3, case when n % 5 > 0 then 'item ' || n end, n from generate_series(1, 120) n;
"""

TARGET = """
create type kind as enum ('hand', 'boss');
create table shops (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, name text not null,
    changes integer not null);
create table people (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    account_id uuid unique references auth.users (id), mail text not null unique,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now());
create table members (shop_id uuid not null references shops (id), id uuid not null default gen_random_uuid(),
    legacy_id text not null, person_id uuid not null references people (id), role kind not null,
    primary key (shop_id, id), unique (shop_id, legacy_id), unique (shop_id, person_id));
create table items (shop_id uuid not null references shops (id), id uuid not null default gen_random_uuid(),
    legacy_id text not null, title text, price numeric(10,2), primary key (shop_id, id), unique (shop_id, legacy_id));
"""

ONLY_MEMBERS = """
create function only_members() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if not pg_has_role(session_user, (select c.relowner from pg_class c where c.oid = tg_relid), 'member')
       and (tenantry.profile_id() is null or not new.shop_id = any (tenantry.tenants('boss'))) then
        raise exception 'no member of this shop writes';
    end if;
    return new;
end
$$;
create trigger only_members before update on items for each row execute function only_members();
create trigger only_members before update on members for each row execute function only_members();
"""

ACCESS = 'access = { select = "hand", insert = "boss", update = "boss", delete = "boss" }'

TOML = f"""
name = "stall"
[source]
schema = "public"
[target]
schema = "stall"
files = ["target.sql"]
[ids]
namespace = "stall"
[tenant]
table = "shops"
column = "shop_id"
[membership]
table = "members"
profile = "person_id"
role = "role"
[roles]
order = ["hand", "boss"]
[users]
from = "people"
email = "mail"
profile = "people"
account = "account_id"
[tables.shops]
from = "shops"
access = {{ select = "hand", insert = "super", update = "boss", delete = "super" }}
[tables.people]
from = "people"
access = {{ select = {{ colleagues = "hand", own = "id" }}, insert = "service", update = {{ own = "id" }}, delete = "service" }}
[tables.people.columns]
mail = {{ as = "email" }}
[tables.members]
from = "people"
part = "member"
{ACCESS}
[tables.members.columns]
person_id = {{ from = "id", ref = "people" }}
role = {{ from = "kind", map = {{ boss = "boss", hand = "hand" }} }}
[tables.items]
from = "items"
{ACCESS}
"""

STALL_OWNER, REHEARSER = "stall_owner", "rehearsal_login"
"""Owns the tables, and the database where a test lets it; and a login that may make databases, and acts as Clinic's owner."""


def make_role(server: EmbeddedServer, statement: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        # Roles are the cluster's: workers would stand in each other's way.
        admin.execute("select pg_advisory_lock(4711)")
        admin.execute(f"do $$ begin {statement}; exception when duplicate_object or unique_violation then null; end $$")


@pytest.fixture
def stall(database: Database, tmp_path: Path) -> tuple[Database, Manifest]:
    """The small application, in a database that its login owns, without connections."""
    return make_stall(database, tmp_path)


def make_stall(database: Database, folder: Path, target: str = TARGET, toml: str = TOML) -> tuple[Database, Manifest]:
    (folder / "target.sql").write_text(target)
    (folder / "tenantry.toml").write_text(toml)
    manifest = load_manifest(folder / "tenantry.toml")
    make_role(database.server, f"create role {STALL_OWNER} login createdb")
    with database.connect() as admin:
        admin.execute(LEGACY.encode())
        let_own(database, manifest, owner=STALL_OWNER)
        admin.execute(
            sql.SQL("alter database {} owner to {}").format(sql.Identifier(database.name), sql.Identifier(STALL_OWNER))
        )
    return database, manifest


def rehearsed(database: Database, manifest: Manifest, **wishes: Any) -> Rehearsal:
    return rehearse(
        database.dsn_as(STALL_OWNER),
        manifest,
        Wishes(**{"options": QUICK, "prove": False, **wishes}),
        prefix="tenantry",
    )


def copies(database: Database) -> dict[str, str]:
    """Databases of the server that come from this one, with their comments."""
    return {
        str(name): str(comment)
        for name, comment in rows(
            database,
            "select datname, shobj_description(oid, 'pg_database') from pg_database where starts_with(datname, %s)",
            [f"{database.name}_"],
        )
    }


def untouched(database: Database, schema: str = "public") -> tuple[Any, ...]:
    """A fingerprint that shows any write: the schema, every row with its version, and the other schemas."""
    with database.connect() as admin:
        tables = [
            str(name)
            for (name,) in admin.execute(
                "select oid::regclass::text from pg_class where relnamespace = %s::regnamespace and relkind = 'r' order by 1",
                [schema],
            )
        ]
        sums = [
            admin.execute(
                f"select count(*), sum(hashtextextended(t::text, 0)::numeric), max(xmin::text::bigint), max(ctid) from {table} t"
            ).fetchone()
            for table in tables
        ]
        around = admin.execute(
            "select array(select nspname::text from pg_namespace where nspname !~ '^pg_' order by 1),"
            # What the catalogs themselves were written by last: a rolled back attempt would not be seen by the rows.
            " (select max(xmin::text::bigint) from pg_class where oid >= 16384),"
            " (select max(xmin::text::bigint) from pg_trigger), (select max(xmin::text::bigint) from pg_namespace)"
        ).fetchone()
    return source_digest(database, schema), tables, sums, around


@contextmanager
def copied(
    database: Database, manifest: Manifest, options: CopyOptions | None = None, reports: CopyReports | None = None
) -> Iterator[Copy]:
    with (
        reading(database.dsn_as(STALL_OWNER), manifest) as (connection, original),
        duplicated(connection, original, manifest, options, reports) as copy,
    ):
        yield copy


def without_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "find_program", lambda _name: None)


def run(*arguments: str) -> int:
    """The command, by its function; its exit code."""
    try:
        return int(app(["rehearse", *arguments], standalone_mode=False) or 0)
    except typer.Exit as end:
        return end.exit_code


# -- the whole -----------------------------------------------------------------------------------------------------------


def test_the_whole_of_clinic_while_sessions_are_connected(
    legacy: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_role(legacy.server, f"create role {REHEARSER} login createdb in role {OWNER}")
    dsn = f"{legacy.dsn_as(REHEARSER)} options='-c role={OWNER}'"
    before = untouched(legacy)
    with legacy.connect() as application:
        application.execute("select 1")
        code = run("--dsn", dsn, "--manifest", str(MANIFEST), "--no-proof", "--report", str(tmp_path), "--json")
    found = json.loads(capsys.readouterr().out)
    assert (code, found["problems"], found["passed"], found["complete"]) == (0, [], True, True)
    assert untouched(legacy) == before
    assert copies(legacy) == {}
    # What it did: writes of another login, carried both ways, and both sides as they should be.
    assert found["copy"]["method"] == "dump and restore"
    source, target = found["writes"]
    assert source["login"] == target["login"] == clinic_manifest().database_roles.login
    assert source["writes"] == 2 * source["rows"] > 100
    assert source["fenced"]
    assert source["refused"] == target["refused"] == {}
    carried = {direction: sum(each["entries"] for each in found["carried"] if each["direction"] == direction)
               for direction in ("forward", "reverse")}  # fmt: skip
    assert carried["forward"] == source["writes"]
    assert carried["reverse"] >= target["writes"]
    assert [turn["name"] for turn in found["turns"]] == ["cut over", "roll back", "cut over again", "undo"]
    assert {lock["table"] for lock in found["locks"]} > {"users", "metric_values"}
    assert all(account["balanced"] for account in found["accounts"])
    assert sum(entry["count"] for entry in found["quarantine"]) == sum(a["quarantined"] for a in found["accounts"]) > 10
    # The target was written too, as members of the clinics: Clinic's trigger accepts no other writer.
    assert target["writes"] == 2 * target["rows"] > 100
    assert [note for note in found["notes"] if note.startswith("not written")] == []
    # The source is as it was, but for what triggers of the target stamp.
    for stage in ("roll back", "undo"):
        assert found["source"][stage]["differences"] == []
        assert {name.partition(".")[2] for name in found["source"][stage]["stamped"]} == {"updated_at"}
    assert found["estimate"]["migrate_seconds"] > 0 < found["estimate"]["stall_seconds"] < 1
    assert found["estimate"]["disk_bytes"] > 1_000_000 < found["estimate"]["wal_bytes"]
    page = (tmp_path / "rehearsal.md").read_text()
    assert "nothing was found that would stop or spoil the migration" in page
    assert json.loads((tmp_path / "rehearsal.json").read_text()) == found
    assert "<h1>" in (tmp_path / "report.html").read_text()


def test_a_copy_without_connections_is_made_by_template_and_proved(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    before = untouched(database)
    result = rehearsed(database, manifest, prove=True)
    assert (result.problems, result.passed, result.notes) == ([], True, [])
    assert result.copy is not None
    assert result.copy.method == "template"
    assert result.proof is not None
    assert result.proof.passed
    assert result.source["undo"].written == 3 + 6 + 20
    assert result.source["undo"].stamped == {}
    assert untouched(database) == before
    assert copies(database) == {}


def test_the_target_is_written_as_members_of_its_tenants_and_nothing_of_them_stays(
    database: Database, tmp_path: Path
) -> None:
    """Also without accounts, and with a tenant without members: the rehearsal makes a key, accounts and rights in its copy."""
    _, manifest = make_stall(
        database, tmp_path, TARGET + ONLY_MEMBERS, TOML.replace("[users]", '[users]\notherwise = "leave"')
    )
    with database.connect() as admin:
        admin.execute(
            "insert into shops values (9, 'nobody works here'); insert into items values (999, 9, 'lonely', 1)"
        )
    before = untouched(database)
    result = rehearsed(database, manifest, contract=True, keep=True)
    assert (result.problems, [note for note in result.notes if "contract dropped" not in note]) == ([], [])
    target = result.written[1]
    assert (target.tables, target.refused) == (4, {})
    assert target.writes == 2 * target.rows
    assert untouched(database) == before
    (copy,) = copies(database)
    with psycopg.connect(database.server.dsn(copy)) as kept:
        for table in ("tenantry.seal_key", "tenantry.account", "auth.users", "tenantry.proof_fixture"):
            assert kept.execute(f"select count(*) from {table}".encode()).fetchone() == (0,), table
        assert kept.execute("select count(account_id) from stall.people").fetchone() == (0,)
    with database.connect() as admin:
        admin.execute(f"drop database {copy} with (force)".encode())


def test_it_is_written_all_the_time_under_load_and_may_end_with_the_contract(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    result = rehearsed(database, manifest, load=1.0, contract=True)
    assert (result.problems, result.passed) == ([], True)
    source, target = result.written
    assert source.fenced
    assert source.writes > 2 * source.rows
    assert target.writes > target.rows
    assert any("contract dropped 3 source tables" in note for note in result.notes)
    assert result.stage("undo") is None
    assert one(database, "select count(*) from items") == 120


def test_parts_skipped_without_a_login_are_reported(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    result = rehearsed(database, manifest, prove=True, login_dsn="user=nobody_of_this_name")
    assert result.passed
    assert (result.written, result.proof) == ([], None)
    assert len([note for note in result.notes if note.startswith("NOT rehearsed")]) == 2


# -- problems ------------------------------------------------------------------------------------------------------------


def test_a_source_that_refuses_what_comes_back_is_a_problem(stall: tuple[Database, Manifest], tmp_path: Path) -> None:
    """The application's login may write what the migrator may not: the way back fails, and only there."""
    database, _ = stall
    with database.connect() as admin:
        admin.execute(
            "alter table items add constraint only_by_the_application"
            f" check (session_user <> {literal(STALL_OWNER)}) not valid"
        )
    dsn = database.dsn_as(STALL_OWNER)
    assert (
        run("--dsn", dsn, "--manifest", str(tmp_path / "tenantry.toml"), "--no-proof", "--report", str(tmp_path / "r"))
        == 1
    )
    found = json.loads((tmp_path / "r" / "rehearsal.json").read_text())
    assert not found["passed"]
    assert [(entry["table_name"], entry["count"] > 0) for entry in found["conflicts"]] == [("items", True)]
    assert any("only_by_the_application" in problem["what"] for problem in found["problems"])
    assert copies(database) == {}


def test_rules_of_the_source_sleep_while_changes_are_carried_back(stall: tuple[Database, Manifest]) -> None:
    """A rule that changed other rows then would be a write that capture does not see."""
    database, manifest = stall
    with database.connect() as admin:
        admin.execute("insert into shops select n, 'shop ' || n from generate_series(10, 40) n")
        admin.execute(
            "create rule note as on update to items do also update public.shops set changes = changes + 1 where id = 20"
        )
    result = rehearsed(database, manifest)
    assert result.passed, result.problems
    assert not result.source["roll back"].differences


def test_rights_that_only_the_original_lacks_are_found(stall: tuple[Database, Manifest]) -> None:
    """A restored copy belongs to the login with everything in it."""
    database, manifest = stall
    with database.connect() as admin:
        admin.execute(f"alter table items owner to postgres; grant select on items to {STALL_OWNER}")
        admin.execute(f"revoke create on database {database.name} from {STALL_OWNER}")
        admin.execute(f"alter database {database.name} owner to postgres")
        with reading(database.dsn_as(STALL_OWNER), manifest) as (connection, original):
            problems = rehearsing._rights(connection, original)
    said = " ".join(problem.what for problem in problems)
    assert "items belongs to postgres" in said
    assert "no right to CREATE" in said
    assert {problem.code for problem in problems} == {RightsMissing.code}


def test_a_login_that_others_use_is_a_problem(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    with database.connect(user=STALL_OWNER), reading(database.dsn_as(STALL_OWNER), manifest) as (connection, original):
        assert [problem.code for problem in rehearsing._rights(connection, original)] == ["TN-409"]


# -- failing and stopping ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StepFailed("it broke", hint="mend it"), psycopg.OperationalError("gone")])
def test_what_fails_on_the_copy_is_reported_and_the_copy_dropped(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    database, manifest = stall

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(stages, "cut_over", fail)
    result = rehearsed(database, manifest)
    assert (result.passed, result.complete) == (False, False)
    assert [problem.stage for problem in result.problems] == ["cut over"]
    assert result.outcome is not None
    assert copies(database) == {}


@pytest.mark.parametrize("place", ["while it is migrated", "while it is filled"])
def test_stopped_by_the_user_it_drops_the_copy(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    database, manifest = stall
    seen: list[str] = []

    def stop(*_: object, **__: object) -> None:
        seen.extend(copies(database))
        raise KeyboardInterrupt

    if place == "while it is migrated":
        monkeypatch.setattr(stages, "Migration", stop)
    else:
        monkeypatch.setattr(fill, "run_program", stop)
    # With an open connection it is dumped.
    with database.connect(), pytest.raises(RunInterrupted, match="the copy was dropped"):
        rehearsed(database, manifest)
    assert seen == [f"{database.name}_rehearsal_1"]
    assert copies(database) == {}


def test_a_program_is_ended_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    processes: list[subprocess.Popen[str]] = []
    plain = subprocess.Popen

    def popen(*arguments: Any, **named: Any) -> Any:
        processes.append(plain(*arguments, **named))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        run_program(["sh", "-c", "echo dumping >&2; exec sleep 600"], dict(os.environ), "dumping", stop)
    assert processes[0].returncode is not None


def test_a_run_that_is_under_way_cannot_be_rehearsed(finished: Database) -> None:
    with pytest.raises(JournalMismatch, match="already in progress"):
        rehearse(finished.dsn_as(OWNER), clinic_manifest(), Wishes(options=OPTIONS))


def test_two_rehearsals_of_one_database_exclude_each_other(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    with reading(database.dsn_as("postgres"), manifest), pytest.raises(RunInProgress):
        rehearsed(database, manifest)


# -- making the copy -----------------------------------------------------------------------------------------------------


def test_missing_createdb_is_reported_with_advice(legacy: Database) -> None:
    with pytest.raises(RightsMissing) as caught:
        rehearse(legacy.dsn_as(OWNER), clinic_manifest(), Wishes(options=OPTIONS))
    assert "may not create a database" in caught.value.message
    for way in (f"alter role {OWNER} createdb", "--copy-dsn", "--embedded"):
        assert way in caught.value.hint
    assert copies(legacy) == {}


def test_missing_pg_dump_with_open_sessions_is_reported_with_advice(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, manifest = stall
    without_programs(monkeypatch)
    with (
        psycopg.connect(database.dsn, application_name="the web shop"),
        pytest.raises(CopyRefused) as caught,
        copied(database, manifest),
    ):
        pass
    assert "no pg_dump" in caught.value.message
    assert "the web shop" in caught.value.message
    assert "client programs" in caught.value.hint
    assert "disconnect" in caught.value.hint
    assert copies(database) == {}


def test_forced_row_security_is_reported_with_the_right_that_lets_the_owner_copy(
    stall: tuple[Database, Manifest],
) -> None:
    database, manifest = stall
    with database.connect() as admin:
        admin.execute("alter table items enable row level security, force row level security")
        admin.execute(f"create policy owner_all on items to {STALL_OWNER} using (true)")
        with pytest.raises(CopyRefused) as caught, copied(database, manifest):
            pass
    assert f"alter role {STALL_OWNER} bypassrls" in caught.value.hint
    assert "by template" in caught.value.hint
    assert copies(database) == {}


def test_a_database_without_connections_is_copied_by_template_without_pg_dump(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, manifest = stall
    without_programs(monkeypatch)
    monkeypatch.setattr(fill, "QUICK_BYTES", 0)
    with copied(database, manifest) as copy:
        assert copy.method == "template"


def test_a_large_database_is_not_closed_to_others_for_as_long_as_a_template_is_copied(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, manifest = stall
    monkeypatch.setattr(fill, "QUICK_BYTES", 0)
    with copied(database, manifest) as copy:
        assert copy.method == "dump and restore"


def test_a_copy_equals_its_original_on_every_version(legacy_each: Database) -> None:
    """Rows, schema, rights and settings; and strangers cannot connect to it."""
    make_role(legacy_each.server, f"create role {REHEARSER} login createdb in role {OWNER}")
    with legacy_each.connect() as admin:
        name = ident(legacy_each.name)
        admin.execute(f'alter database {name} set search_path to "$user", public, elsewhere'.encode())
        admin.execute(f"alter database {name} set timezone to 'Europe/Zurich'".encode())
        before = untouched(legacy_each)
        dsn = f"{legacy_each.dsn_as(REHEARSER)} options='-c role={OWNER}'"
        manifest = clinic_manifest()
        with reading(dsn, manifest) as (connection, original), duplicated(connection, original, manifest) as copy:
            there = replace(legacy_each, name=copy.database)
            assert (copy.method, copy.notes) == ("dump and restore", [])
            assert source_digest(there) == source_digest(legacy_each)
            assert untouched(there)[1] == before[1]
            assert [each[:2] for each in untouched(there)[2]] == [each[:2] for each in before[2]]
            assert one(there, "show timezone") == "Europe/Zurich"
            assert one(there, "show search_path") == '"$user", public, elsewhere'
            assert one(there, "select has_database_privilege('public', current_database(), 'connect')") is False
            assert copies(legacy_each)[copy.database].startswith(MARK)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("create table x (n int)")
    assert untouched(legacy_each) == before
    assert copies(legacy_each) == {}


def test_passwords_are_in_no_argument(stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    database, manifest = stall
    called: list[tuple[list[str], str | None]] = []
    plain = run_program

    def run_and_note(command: Any, environment: Any, *more: Any) -> Any:
        called.append((list(command), environment.get("PGPASSWORD")))
        return plain(command, environment, *more)

    monkeypatch.setattr(fill, "run_program", run_and_note)
    dsn = f"{database.dsn_as(STALL_OWNER)} password=hush-hush"
    with (
        database.connect(),
        reading(dsn, manifest) as (connection, original),
        duplicated(connection, original, manifest),
    ):
        pass
    assert [Path(command[0]).name for command, _ in called] == ["pg_dump", "pg_restore"]
    assert [password for _, password in called] == ["hush-hush"] * 2
    assert not [argument for command, _ in called for argument in command if "hush" in argument]


def test_a_dump_that_fails_leaves_nothing_behind(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database, manifest = stall
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with database.connect() as admin:
        # pg_dump may not read it.
        admin.execute("create table hidden (n int)")
        with (
            pytest.raises(CopyRefused, match="permission denied for table hidden"),
            copied(database, manifest, CopyOptions(scratch=scratch)),
        ):
            pass
    assert list(scratch.iterdir()) == []
    assert copies(database) == {}


# -- what earlier rehearsals left ----------------------------------------------------------------------------------------


def test_left_over_copies_are_dropped_and_nothing_else(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    notices: list[str] = []
    with reading(database.dsn_as(STALL_OWNER), manifest) as (_, original):
        mark = original.mark
    names = [f"{database.name}_rehearsal_{n}" for n in range(1, 6)]
    comments = [
        f"{mark}, 2020-01-01",
        f"{mark}, 2020-01-01; kept on purpose",
        None,
        "mine",
        f"{MARK}: a copy of another (system 1), x",
    ]
    with psycopg.connect(database.server.dsn("postgres", STALL_OWNER), autocommit=True) as owner:
        for name, comment in zip(names, comments, strict=True):
            owner.execute(f"create database {name}".encode())
            owner.execute(f"comment on database {name} is {literal(comment)}".encode())
        with copied(database, manifest, reports=CopyReports(notice=notices.append)) as copy:
            # The first name is free again.
            assert copy.database == names[0]
        assert sorted(copies(database)) == names[1:]
        assert [notice for notice in notices if names[0] in notice and "Dropping" in notice]
        assert [notice for notice in notices if names[1] in notice and "kept on purpose" in notice]
        assert not [notice for notice in notices for name in names[2:] if name in notice]
        for name in names[1:]:
            owner.execute(f"drop database {name}".encode())


def test_a_copy_with_open_sessions_is_named_and_kept(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    notices: list[str] = []
    with reading(database.dsn_as(STALL_OWNER), manifest) as (_, original):
        mark = original.mark
    name = f"{database.name}_rehearsal_1"
    with psycopg.connect(database.server.dsn("postgres", STALL_OWNER), autocommit=True) as owner:
        owner.execute(f"create database {name}".encode())
        owner.execute(f"comment on database {name} is {literal(f'{mark}, x')}".encode())
        with (
            psycopg.connect(database.server.dsn(name, STALL_OWNER)),
            copied(database, manifest, reports=CopyReports(notice=notices.append)) as copy,
        ):
            assert copy.database == f"{database.name}_rehearsal_2"
        assert any(name in notice and "1 sessions are connected" in notice for notice in notices)
        assert list(copies(database)) == [name]
        owner.execute(f"drop database {name}".encode())


def test_a_copy_that_cannot_be_dropped_is_named(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, manifest = stall

    def refuse(_name: str, _run: object) -> None:
        raise psycopg.errors.ObjectInUse("somebody holds it")

    left: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(maker, "drop_database", refuse)
        with copied(database, manifest, reports=CopyReports(left=left)) as copy:
            pass
    assert [each.partition(" ")[0] for each in left] == [copy.database] == list(copies(database))
    with copied(database, manifest, reports=CopyReports(left=left)) as again:
        assert again.database == copy.database
    assert (copies(database), len(left)) == ({}, 1)


def test_a_copy_can_be_kept(stall: tuple[Database, Manifest]) -> None:
    database, manifest = stall
    with copied(database, manifest, CopyOptions(keep=True)) as copy:
        pass
    assert list(copies(database)) == [copy.database]
    assert "kept on purpose" in copies(database)[copy.database]
    assert one(replace(database, name=copy.database), "select count(*) from items") == 120
    with psycopg.connect(database.server.dsn("postgres", STALL_OWNER), autocommit=True) as owner:
        owner.execute(f"drop database {copy.database}".encode())


# -- elsewhere -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    """An empty database of another server, which the small application's login owns."""
    server = running_server(servers, 16)
    make_role(server, f"create role {STALL_OWNER} login")
    with fresh_database(server) as made:
        with made.connect() as admin:
            admin.execute(f"alter database {ident(made.name)} owner to {STALL_OWNER}".encode())
            admin.execute(f"comment on database {ident(made.name)} is 'for experiments'".encode())
        yield made


@pytest.fixture
def old_stall(servers: dict[int, EmbeddedServer], tmp_path: Path) -> Iterator[tuple[Database, Manifest]]:
    """The small application on PostgreSQL 16, for a login that may not make databases."""
    with fresh_database(running_server(servers, 16)) as database:
        yield make_stall(database, tmp_path)


def test_an_empty_database_elsewhere_is_filled_and_emptied_again(
    old_stall: tuple[Database, Manifest], home: Database
) -> None:
    database, manifest = old_stall
    grant_rights(home, manifest, owner=STALL_OWNER)
    empty = rows(home, "select oid::regclass::text from pg_class where oid >= 16384")
    with copied(database, manifest, CopyOptions(copy_dsn=home.dsn_as(STALL_OWNER))) as copy:
        assert one(home, "select count(*) from items") == 120
        assert source_digest(home) == source_digest(database)
        assert (copy.database, copy.same_server) == (home.name, False)
        with home.connect(user=STALL_OWNER) as owner:
            owner.execute("create schema more; create table more.t (n int)")
    assert rows(home, "select oid::regclass::text from pg_class where oid >= 16384") == empty
    assert rows(home, "select nspname from pg_namespace where nspname !~ '^pg_' order by 1") == [
        ("information_schema",),
        ("public",),
    ]
    assert (
        one(home, "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()")
        == "for experiments"
    )
    # What a rehearsal that was killed left there is known by its comment, and goes.
    with reading(database.dsn_as(STALL_OWNER), manifest) as (_, original):
        mark = original.mark
    with home.connect() as admin:
        admin.execute("create table left_over (n int)")
        with (
            pytest.raises(CopyRefused, match="not empty"),
            copied(database, manifest, CopyOptions(copy_dsn=home.dsn_as(STALL_OWNER))),
        ):
            pass
        admin.execute(f"comment on database {ident(home.name)} is {literal(f'{mark}, x')}".encode())
    with copied(database, manifest, CopyOptions(copy_dsn=home.dsn_as(STALL_OWNER))):
        assert one(home, "select to_regclass('left_over')") is None


def test_a_database_elsewhere_must_be_another_and_not_older(stall: tuple[Database, Manifest], home: Database) -> None:
    database, manifest = stall
    for dsn, said in (
        (database.dsn_as(STALL_OWNER), "the original itself"),
        (home.dsn_as(STALL_OWNER), "older server"),
    ):
        with pytest.raises(CopyRefused, match=said), copied(database, manifest, CopyOptions(copy_dsn=dsn)):
            pass
    assert one(database, "select count(*) from items") == 120


def test_on_the_embedded_server_it_runs_as_a_login_like_the_originals(
    old_stall: tuple[Database, Manifest], servers: dict[int, EmbeddedServer]
) -> None:
    database, manifest = old_stall
    newer = running_server(servers, 18)
    folder = Path(os.environ["TENANTRY_TEST_SERVERS"])
    with copied(database, manifest, CopyOptions(embedded=folder)) as copy:
        there = Database(newer, copy.database)
        assert (copy.same_server, copy.notes) == (False, [])
        with connect(copy.dsn) as connection:
            login = connection.execute(
                "select session_user, rolsuper from pg_roles where rolname = session_user"
            ).fetchone()
        assert login == (STALL_OWNER, False)
        assert rows(there, "select distinct tableowner from pg_tables where schemaname = 'public'") == [(STALL_OWNER,)]
        assert one(there, "select count(*) from items") == 120
    assert one(Database(newer, "postgres"), f"select count(*) from pg_database where datname = '{copy.database}'") == 0


def test_the_embedded_server_must_not_be_older(
    stall: tuple[Database, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, manifest = stall
    with reading(database.dsn_as(STALL_OWNER), manifest) as (connection, original):
        newer = replace(original, version=990000)
        with (
            pytest.raises(CopyRefused, match="older server"),
            duplicated(connection, newer, manifest, CopyOptions(embedded=Path(os.environ["TENANTRY_TEST_SERVERS"]))),
        ):
            pass


# -- backups -------------------------------------------------------------------------------------------------------------

NOTHING: dict[str, Any] = {
    "archive_mode": "off", "archive_tool": "", "has_command": False, "archived": 0, "archived_ago": None, "failed": 0,
    "failed_ago": None, "failing": False, "standbys": 0, "receivers": 0, "running": 0, "idle_slots": [], "standby": False,
    "prefixes": [], "roles": [], "may_list_wal": True,
}  # fmt: skip
ARCHIVES = {
    "archive_mode": "on",
    "has_command": True,
    "archive_tool": "pgBackRest",
    "archived": 900,
    "archived_ago": 60.0,
}


@pytest.mark.parametrize(
    ("facts", "base", "severity", "says"),
    [
        ({}, None, "warning", "No backup was found"),
        (ARCHIVES, 3600.0, "info", "There is a base backup, and WAL is archived"),
        (ARCHIVES, 30 * 86400.0, "notice", "only together with a base backup"),
        (ARCHIVES, None, "notice", "only together with a base backup"),
        ({}, 3600.0, "notice", "could not be restored"),
        ({"receivers": 1}, 3600.0, "info", "There is a base backup"),
        ({"receivers": 1}, None, "notice", "backup program is connected"),
        ({"standbys": 2}, None, "warning", "No backup"),
        ({**ARCHIVES, "failing": True, "failed": 7, "failed_ago": 5.0}, 3600.0, "blocker", "cannot be archived"),
        ({"archive_mode": "on"}, None, "blocker", "cannot be archived"),
        ({**ARCHIVES, "archived_ago": 5 * 86400.0}, None, "warning", "a day or longer"),
        ({"prefixes": ["rds", "plpgsql"]}, None, "notice", "Amazon RDS"),
        ({"roles": ["postgres", "supabase_admin"]}, None, "notice", "Supabase"),
    ],
)
def test_what_follows_from_the_signs_of_a_backup(
    facts: dict[str, Any], base: float | None, severity: str, says: str
) -> None:
    found = judge({**NOTHING, **facts}, base)
    assert found.severity == severity
    lines = backup_lines(found)
    assert says in lines[0]
    # What cannot be known is said in any case.
    assert any("can be restored" in line and "cannot be known" in line for line in lines)
    assert json.loads(json.dumps(found.to_json()))["severity"] == severity


def test_a_service_is_known_by_settings_or_roles_that_it_alone_has() -> None:
    assert managed_service(["plpgsql", "pg_stat_statements"], ["postgres", "app"]) == ""
    assert managed_service(["cloudsql"], []) == "Google Cloud SQL"


def test_looking_for_copies_needs_no_rights_and_finds_none(legacy_each: Database) -> None:
    with connect(legacy_each.dsn_as(OWNER)) as connection:
        found = look_for_backups(connection)
    assert (found.severity, found.service) == ("warning", "")
    assert any("WAL is not archived" in line for line in found.seen)
    assert any("pg_monitor could see more" in line for line in found.unknown)


def test_archiving_and_base_backups_are_seen_where_there_are_any(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = Path(os.environ["TENANTRY_TEST_SERVERS"]) / f"archiving-{os.getpid()}"
    settings = {"archive_mode": "on", "archive_command": "'cd . # barman-wal-archive --token=hush'", "fsync": "off"}
    with EmbeddedServer(folder, settings=settings) as server, connect(server.dsn()) as connection:
        connection.execute("select pg_backup_start('x', true)")
        connection.execute("select pg_backup_stop(false)")
        connection.execute("select pg_switch_wal()")
        wait_until(connection, "select archived_count > 0 from pg_stat_archiver")
        found = look_for_backups(connection)
        assert found.severity == "info"
        said = " ".join(backup_lines(found))
        assert "barman" in said
        assert "hush" not in said
        connection.execute("alter system set archive_command = 'false'")
        connection.execute("select pg_reload_conf()")
        connection.execute("create table t (n int)")
        connection.execute("select pg_switch_wal()")
        wait_until(connection, "select failed_count > 0 from pg_stat_archiver")
        assert look_for_backups(connection).severity == "blocker"


def wait_until(connection: psycopg.Connection[Any], query: str) -> None:
    from tests.migrate_support import wait_for  # noqa: PLC0415

    def asked() -> bool:
        connection.execute("select pg_stat_clear_snapshot()")
        return connection.execute(query.encode()).fetchone() == (True,)

    wait_for(query, asked)
