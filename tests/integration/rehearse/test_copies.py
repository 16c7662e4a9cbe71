"""The copy of a database: how it is made, what it holds, and that nothing of it stays; on this server and elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.dbcopy import fill, maker
from tenantry.dbcopy.duplicate import duplicated
from tenantry.dbcopy.maker import CopyOptions, CopyReports
from tenantry.dbcopy.original import MARK, CopyRefused, reading
from tenantry.dbcopy.pg_programs import run_program
from tenantry.errors import RightsMissing
from tenantry.manifest import Manifest
from tenantry.postgres import EmbeddedServer, connect, ident, literal
from tenantry.rehearse.model import Wishes
from tenantry.rehearse.run import rehearse
from tests.conftest import Database, fresh_database, running_server
from tests.integration.rehearse.stall import (
    REHEARSER,
    STALL_OWNER,
    copied,
    copies,
    make_role,
    make_stall,
    untouched,
    without_programs,
)
from tests.migrate_support import OPTIONS, OWNER, clinic_manifest, grant_rights, one, rows, source_digest

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
