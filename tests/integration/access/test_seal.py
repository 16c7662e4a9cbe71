"""The sealed context: the library that opens it, the tokens that the database takes, and what SQL on the connection can do to it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors, sql

from tenantry.errors import ContextOutdated, SettingsError
from tenantry.postgres.seal import SealKey, claims_text, open_context
from tenantry.postgres.stated import AT_START, STATED
from tenantry.postgres.tenant import async_tenant, async_tenant_pool, tenant, tenant_pool
from tenantry.prove.expected.callers import people
from tenantry.prove.fixtures.build import make_fixtures, remove_leftovers
from tests.conftest import Database
from tests.isolation.build import KEY, LOGIN, Built, Connection, add_key, build_clinic, run
from tests.migrate_support import Said, cli, wait_for

SCHEMA = "clinic"
WHO = "select tenantry.uid()::text"
OTHER = SealKey("other", b"another key that nobody knows of!")


class World:
    """Two clinics with a member each."""

    def __init__(self, built: Built) -> None:
        self.built = built
        with built.owner() as owner:
            self.clinics = [self._clinic(owner, name) for name in ("Fernhill", "Oakdale")]
            self.people = [self._member(owner, clinic) for clinic in self.clinics]

    @staticmethod
    def _clinic(owner: Connection, name: str) -> UUID:
        row = owner.execute(
            "insert into clinic.clinics (name, location, time_zone) values (%s, 'x', 'UTC') returning id", [name]
        ).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    @staticmethod
    def _member(owner: Connection, clinic: UUID) -> UUID:
        account = uuid4()
        owner.execute("insert into auth.users (id, email) values (%s, %s)", [account, f"{account}@example.org"])
        row = owner.execute(
            "insert into clinic.profiles (auth_user_id, email, name) values (%s, %s, 'N') returning id",
            [account, f"{account}@example.org"],
        ).fetchone()
        assert row is not None
        owner.execute(
            "insert into clinic.user_clinic_roles (clinic_id, profile_id, role) values (%s, %s, 'staff')",
            [clinic, row[0]],
        )
        return account

    def claims(self, person: int = 0, **more: object) -> dict[str, object]:
        return {"sub": str(self.people[person]), "role": "authenticated", **more}

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """As the pool's connections are."""
        with psycopg.connect(self.built.login_dsn, autocommit=True, prepare_threshold=None) as made:
            yield made


@pytest.fixture
def world(database: Database) -> World:
    return World(build_clinic(database))


@pytest.fixture
def world_each(database_each: Database) -> World:
    return World(build_clinic(database_each))


def value(cursor: psycopg.Cursor[tuple[object, ...]]) -> object:
    row = cursor.fetchone()
    assert row is not None
    return row[0]


# -- the library ------------------------------------------------------------------------------------------------------


def test_a_transaction_is_the_callers_and_nothing_of_it_is_left(world_each: World) -> None:
    world = world_each
    with world.connection() as connection:
        for person in (0, 1, 0):
            with tenant(connection, world.claims(person), KEY, schema=SCHEMA, statement_timeout=7) as me:
                assert value(me.execute(WHO)) == str(world.people[person])
                assert me.execute("select id from clinics").fetchall() == [(world.clinics[person],)]
                assert value(me.execute("show statement_timeout")) == "7s"
                assert value(me.execute("select current_user::text")) == "authenticated"
                assert value(me.execute("show search_path")) == "pg_catalog, clinic, pg_temp"
            assert value(connection.execute("select current_user::text")) == LOGIN
            assert (
                value(connection.execute("select tenantry.uid() is null" if False else "show statement_timeout")) == "0"
            )
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute("select id from clinic.clinics")


def test_the_first_query_travels_with_the_opening(world: World, tmp_path: Path) -> None:
    with world.connection() as connection, (tmp_path / "trace").open("w+b") as trace:
        connection.pgconn.trace(trace.fileno())
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert value(me.execute(WHO)) == str(world.people[0])
            connection.pgconn.untrace()
        trace.seek(0)
        # What the client says (F) and what the server answers (B) change twice: the challenge, then the opening with the query.
        sides = b"".join(line.split(b"\t")[1] for line in trace.read().splitlines())
    assert re.fullmatch(rb"F+B+F+B+", sides), sides
    with world.connection() as connection, tenant(connection, world.claims(), KEY, schema=SCHEMA):
        pass
    # Nothing was asked, and nothing was begun.
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.UNKNOWN


def test_an_exception_rolls_back_and_a_clean_end_commits(world: World) -> None:
    insert = "insert into providers (clinic_id, name, provider_type, status) values (%s, %s, 'dentist', 'active')"
    with world.built.owner() as owner:
        run(owner, "update clinic.user_clinic_roles set role = 'clinic_admin'")
    with world.connection() as connection:
        with pytest.raises(RuntimeError), tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            me.execute(insert, [world.clinics[0], "Gone"])
            raise RuntimeError
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            me.execute(insert, [world.clinics[0], "There"])
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert me.execute("select name from providers").fetchall() == [("There",)]
            with me.connection.transaction(force_rollback=True):
                me.execute("delete from providers")
            with me.connection.cursor().copy("copy (select name from clinic.providers) to stdout") as pipe:
                assert b"".join(pipe) == b"There\n"


def test_without_a_key_in_the_database_or_with_another_one_nothing_runs(world: World) -> None:
    with world.connection() as connection:
        with (
            pytest.raises(errors.InvalidAuthorizationSpecification, match="the context was refused"),
            tenant(connection, world.claims(), OTHER, schema=SCHEMA) as me,
        ):
            me.execute("select pg_notify('x', 'it ran')")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert value(me.execute(WHO)) == str(world.people[0])


def test_unfit_connections_and_claims_are_refused_before_anything_is_sent(world: World) -> None:
    with (
        psycopg.connect(world.built.login_dsn) as plain,
        pytest.raises(SettingsError, match="autocommit"),
        tenant(plain, world.claims(), KEY, schema=SCHEMA),
    ):
        pass
    with world.connection() as connection:
        with pytest.raises(SettingsError, match="no role"), tenant(connection, {"sub": "x"}, KEY, schema=SCHEMA):
            pass
        with (
            pytest.raises(SettingsError, match="no role"),
            tenant(connection, world.claims(role="service_role"), KEY, schema=SCHEMA),
        ):
            pass
        with (
            connection.transaction(),
            pytest.raises(SettingsError, match="transaction is already open"),
            tenant(connection, world.claims(), KEY, schema=SCHEMA),
        ):
            pass


def test_the_asynchronous_way_is_the_same(world: World) -> None:
    async def work() -> None:
        async with async_tenant_pool(world.built.login_dsn, max_size=2) as pool:

            async def ask(person: int) -> None:
                async with pool.connection() as connection, async_tenant(
                    connection, world.claims(person), KEY, schema=SCHEMA
                ) as me:  # fmt: skip
                    cursor = await me.execute(WHO)
                    assert await cursor.fetchone() == (str(world.people[person]),)
                    cursor = await me.execute("select id from clinics")
                    assert await cursor.fetchall() == [(world.clinics[person],)]

            await asyncio.gather(*(ask(number % 2) for number in range(20)))
            async with pool.connection() as connection:
                with pytest.raises(errors.InvalidAuthorizationSpecification):
                    async with async_tenant(connection, world.claims(), OTHER, schema=SCHEMA) as me:
                        await me.execute("select 1")

    asyncio.run(work())


# -- tokens -----------------------------------------------------------------------------------------------------------


def _challenge(connection: Connection) -> str:
    return str(value(connection.execute("select tenantry.challenge()")))


def _open(
    connection: Connection,
    claims: str,
    key: SealKey = KEY,
    *,
    age: float = 0,
    spoil: Callable[[str, str], tuple[str, str]] = lambda claims, token: (claims, token),
) -> None:
    """In a transaction of its own, which is taken back."""
    with connection.transaction(force_rollback=True):
        token = key.token(claims, _challenge(connection), now=time.time() - age)
        connection.execute("select tenantry.open(%s, %s)", spoil(claims, token))


SPOILT: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "other claims": lambda c, t: (c.replace("authenticated", "anon"), t),
    "a blank more": lambda c, t: (c + " ", t),
    "one bit": lambda c, t: (c, t[:-1] + ("0" if t[-1] != "0" else "1")),
    "shorter": lambda c, t: (c, t[:-1]),
    "longer": lambda c, t: (c, t + "0"),
    "upper case": lambda c, t: (c, t[:20] + t[20:].upper() + ("" if t[20:].upper() != t[20:] else "x")),
    "another time": lambda c, t: (c, ".".join([t.split(".")[0], str(int(t.split(".")[1]) + 1), t.split(".")[2]])),
    "another key's name": lambda c, t: (c, "other" + t[t.index(".") :]),
    "no key": lambda c, t: (c, t[t.index(".") :]),
    "empty": lambda c, _: (c, ""),
    "a line more": lambda c, t: (c, t + "\n"),
    "sql": lambda c, _: (c, "' or true --"),
    "no claims": lambda _, t: ("", t),
    "a seal": lambda c, t: (c, "test." + t.split(".")[2]),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_token_that_is_not_the_applications_opens_nothing(kind: str, world: World) -> None:
    claims = claims_text(world.claims())
    with world.connection() as connection:
        _open(connection, claims)
        with pytest.raises(errors.InvalidAuthorizationSpecification, match="the context was refused"):
            _open(connection, claims, spoil=SPOILT[kind])


def test_null_is_refused(world: World) -> None:
    with world.connection() as connection:
        for given in ([None, KEY.token("{}", "1.2")], ["{}", None]):
            with pytest.raises(errors.InvalidAuthorizationSpecification):
                connection.execute("select tenantry.open(%s, %s)", given)


def test_tokens_live_for_seconds_and_clocks_may_differ_a_little(world_each: World) -> None:
    world, claims = world_each, claims_text(world_each.claims())
    with world.connection() as connection:
        for age, opens in ((0, True), (29, True), (34, True), (37, False), (600, False), (-3, True), (-8, False)):
            if opens:
                _open(connection, claims, age=age)
            else:
                with pytest.raises(errors.InvalidAuthorizationSpecification, match="ms old"):
                    _open(connection, claims, age=age)


def test_expired_claims_open_nothing(world: World) -> None:
    with world.connection() as connection:
        now = time.time()
        for end, said in (
            (int(now) + 60, ""),
            (int(now) - 1, "expired"),
            ("NaN", "no number"),
            ("9" * 20, "no number"),
        ):
            claims = claims_text(world.claims(exp=end))
            if said:
                with pytest.raises(errors.InvalidAuthorizationSpecification, match=said):
                    _open(connection, claims)
            else:
                _open(connection, claims)


def test_a_login_that_expires_ends_at_the_next_statement_of_an_open_transaction(world: World) -> None:
    end = time.time() + 0.4
    with (
        world.connection() as connection,
        tenant(connection, world.claims(exp=end), KEY, schema=SCHEMA) as me,
    ):
        assert me.execute("select id from clinics").fetchall() == [(world.clinics[0],)]
        me.execute("select pg_sleep(%s)", [max(0.0, end - time.time()) + 0.02])
        assert me.execute("select id from clinics").fetchall() == []
        assert value(me.execute(WHO)) is None


def test_a_token_opens_one_transaction_of_one_session(world: World) -> None:
    claims = claims_text(world.claims())
    with world.connection() as connection, world.connection() as other:
        for end in ("rollback", "commit", "rollback and chain", "commit and chain"):
            connection.execute("begin")
            token = KEY.token(claims, _challenge(connection))
            with other.transaction(force_rollback=True), pytest.raises(errors.InvalidAuthorizationSpecification):
                other.execute("select tenantry.open(%s, %s)", [claims, token])
            connection.execute("select tenantry.open(%s, %s)", [claims, token])
            connection.execute(end.encode())
            if "chain" not in end:
                connection.execute("begin")
            with pytest.raises(errors.InvalidAuthorizationSpecification, match="the context was refused"):
                connection.execute("select tenantry.open(%s, %s)", [claims, token])
            connection.execute("rollback")


def test_a_token_in_the_text_of_a_statement_is_refused(world: World) -> None:
    claims = claims_text(world.claims())
    with psycopg.connect(world.built.login_dsn, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for statement in ("select tenantry.open(%s, %s)", "do $do$ begin perform tenantry.open(%s, %s); end $do$"):
            with (
                connection.transaction(force_rollback=True),
                pytest.raises(errors.InvalidAuthorizationSpecification, match="stands in the text"),
            ):
                connection.execute(statement.encode(), [claims, KEY.token(claims, _challenge(connection))])


def _objects(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], str]:
    return lambda row: f"an object of {len(row)}"


@pytest.mark.parametrize("factory", [psycopg.ClientCursor, psycopg.RawCursor, psycopg.Cursor])
def test_the_library_binds_tokens_whatever_the_connections_cursors_do(factory: type[Any], world: World) -> None:
    with (
        psycopg.connect(
            world.built.login_dsn, autocommit=True, prepare_threshold=None, cursor_factory=factory, row_factory=_objects
        ) as connection,
        world.connection() as other,
        tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
    ):
        _ = me.connection
        seen = value(other.execute("select query from pg_stat_activity where pid = %s", [connection.info.backend_pid]))
        assert "tenantry.open($1, $2)" in str(seen)
        assert me.execute("select count(*) from clinics").fetchall() == ["an object of 1"]


def test_the_role_in_the_seal_is_the_only_one_under_which_the_claims_count(world: World) -> None:
    visitor = world.claims(role="anon")
    with world.connection() as connection:
        with tenant(connection, visitor, KEY, schema=SCHEMA) as me:
            assert value(me.execute(WHO)) == str(world.people[0])
            me.execute("select set_config('role', 'authenticated', true)")
            assert value(me.execute(WHO)) is None
            assert me.execute("select id from clinics").fetchall() == []
        for role in ("service_role", "nobody_has_it", "none", None):
            with pytest.raises(errors.InvalidAuthorizationSpecification, match="no role that this session can take"):
                _open(connection, claims_text(world.claims(role=role)))


def test_reading_only_transactions_open_as_well(world: World) -> None:
    with world.connection() as connection:
        connection.execute("begin read only")
        open_context(connection, KEY, claims_text(world.claims()))
        connection.execute("set local role authenticated")
        assert value(connection.execute("select count(*) from clinic.clinics")) == 1
        connection.execute("rollback")


def test_functions_that_are_older_than_the_library_are_named(world: World) -> None:
    with world.built.owner() as owner:
        run(owner, "set role tenantry_definer", "drop function tenantry.challenge() cascade")
    with (
        world.connection() as connection,
        pytest.raises(ContextOutdated, match="challenge"),
        tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
    ):
        me.execute("select 1")


def test_keys_rotate_without_a_gap_and_a_retired_key_ends_its_contexts(world: World) -> None:
    claims, new = claims_text(world.claims()), SealKey.new("new")
    with world.connection() as connection, world.built.owner() as owner:
        add_key(owner, new)
        for key in (KEY, new):
            _open(connection, claims, key)
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert value(me.execute(WHO)) == str(world.people[0])
            run(owner, "update tenantry.seal_key set not_after = now() where kid = 'test'")
            assert value(me.execute(WHO)) is None
            assert me.execute("select 1 from clinics").fetchall() == []
        with pytest.raises(errors.InvalidAuthorizationSpecification):
            _open(connection, claims)
        _open(connection, claims, new)


def test_only_the_definer_reads_the_keys(world: World) -> None:
    with world.connection() as connection:
        for role in ("none", "anon", "authenticated"):
            with connection.transaction(force_rollback=True):
                connection.execute(sql.SQL("set local role {}").format(sql.SQL(role)))
                for query in ("table tenantry.seal_key", "select open_inner from tenantry.seal_key"):
                    with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
                        connection.execute(query.encode())
        for role in ("anon", "authenticated"):
            with connection.transaction(force_rollback=True), pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
                connection.execute("select tenantry.open('{}', 'x')")
    assert "that nobody knows" not in repr(OTHER)


def test_a_keys_text_is_read_again_and_a_wrong_one_is_not_repeated() -> None:
    key = SealKey.new()
    assert SealKey.parse(key.text() + "\n") == key
    for wrong in ("", "k", "k:", "k:***", "k:c2hvcnQ", "two words:" + "A" * 44):
        with pytest.raises(SettingsError) as caught:
            SealKey.parse(wrong)
        assert not wrong.partition(":")[2] or wrong.partition(":")[2] not in str(caught.value)


# -- the command ------------------------------------------------------------------------------------------------------


def _seal(world: World, *arguments: str) -> Said:
    return cli("seal", *arguments, "--dsn", world.built.owner_dsn)


def test_keys_are_made_listed_and_retired_by_the_command(world: World, tmp_path: Path) -> None:
    file = tmp_path / "seal.key"
    server, name = world.built.database.server, world.built.database.name
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for setting in ("log_statement = 'all'", "log_min_duration_statement = 0", "debug_print_plan = on",
                        "log_parameter_max_length_on_error = -1", "log_error_verbosity = 'verbose'"):  # fmt: skip
            admin.execute(f"alter database {name} set {setting}".encode())
    made = _seal(world, "new", "--name", "by-command", "--out", str(file))
    # One that is registered as it is, also where that is refused, and those of a test and a proof.
    given = SealKey.new("given")
    with world.built.owner() as owner, owner.transaction(force_rollback=True):
        given.register(owner)
        with pytest.raises(errors.UniqueViolation), owner.transaction():
            given.register(owner)
        project = world.built.project
        remove_leftovers(owner)
        drawn = make_fixtures(owner, project, people(project.manifest), removable=False).key
    assert drawn is not None
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"alter database {name} reset all".encode())
    assert made.code == 0, made.err
    assert file.stat().st_mode & 0o777 == 0o600
    key = SealKey.parse(file.read_text())
    secret = file.read_text().partition(":")[2].strip()
    assert key.kid == "by-command"
    assert secret not in made.out + made.err
    # Whatever the server logs, the key is not among it, in none of the forms in which it would be written.
    log = " ".join(server.log_file.read_text(errors="replace").split())
    assert "by-command" in log
    for block in (each for one in (key, given, drawn) for each in (one.secret, *one.blocks().values())):
        signed = " ".join(str(byte - 256 if byte > 127 else byte) for byte in block)
        assert [form for form in (block.hex(), signed) if form in log] == []
    claims = claims_text(world.claims())
    with world.connection() as connection:
        _open(connection, claims, key)
        listed = _seal(world, "list", "--json")
        assert [(each["name"], each["opens"]) for each in json.loads(listed.out)["keys"]] == [
            ("test", True),
            ("by-command", True),
        ]
        assert secret not in listed.out
        assert _seal(world, "retire", "by-command").code == 0
        with pytest.raises(errors.InvalidAuthorizationSpecification):
            _open(connection, claims, key)
    printed = _seal(world, "new", "--name", "printed", "--print")
    assert SealKey.parse(printed.out).kid == "printed"


def test_an_impossible_command_is_reported_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    for arguments, said in (
        (("new",), "Choose where the key goes"),
        (("new", "--out", str(tmp_path)), "cannot be written"),
        (("new", "--print", "--name", "test"), "There is a key of the name test"),
        (("new", "--print", "--name", "two words"), "letters, digits"),
        (("retire", "nobody"), "There is no key of the name 'nobody'"),
        (("retire", "test", "--in", "soon"), "is not a duration"),
    ):
        done = _seal(world, *arguments)
        assert done.code == 2, arguments
        assert said in " ".join(done.err.split()), done.err
    with world.built.owner() as owner:
        assert owner.execute("select kid from tenantry.seal_key where not_after is null").fetchall() == [("test",)]


# -- SQL on the connection --------------------------------------------------------------------------------------------


def test_settings_alone_open_no_context(world_each: World) -> None:
    world = world_each
    with world.connection() as connection:
        told = json.dumps(world.claims())
        with connection.transaction():
            run(connection, "set local role authenticated")
            connection.execute("select set_config('request.jwt.claims', %s, true)", [told])
            connection.execute("select set_config('request.jwt.claim.sub', %s, true)", [str(world.people[0])])
            assert value(connection.execute(WHO)) is None
            assert connection.execute("select 1 from clinic.clinics").fetchall() == []
        with tenant(connection, world.claims(0), KEY, schema=SCHEMA) as me:
            assert value(me.execute(WHO)) == str(world.people[0])
            me.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(world.claims(1))])
            assert value(me.execute(WHO)) is None
            me.execute("select set_config('request.jwt.claims', %s, true)", [claims_text(world.claims(0))])
            assert value(me.execute(WHO)) == str(world.people[0])


def test_a_seal_that_was_seen_holds_in_no_other_transaction(world_each: World) -> None:
    world = world_each
    seen: dict[str, str] = {}
    with world.connection() as connection, world.connection() as second:
        with tenant(connection, world.claims(1), KEY, schema=SCHEMA) as victim:
            victim.execute("select 1")
            for name in ("request.jwt.claims", "tenantry.seal"):
                seen[name] = str(value(victim.execute("select current_setting(%s)", [name])))
            with second.transaction():
                _replay(second, seen)
        with connection.transaction():
            _replay(connection, seen)


def _replay(connection: Connection, seen: dict[str, str]) -> None:
    run(connection, "set local role authenticated")
    for local in (True, False):
        for name, text in seen.items():
            connection.execute("select set_config(%s, %s, %s)", [name, text, local])
    assert value(connection.execute(WHO)) is None
    assert connection.execute("select 1 from clinic.clinics").fetchall() == []


def test_parallel_workers_know_the_caller(world_each: World) -> None:
    world = world_each
    with (
        tenant_pool(world.built.login_dsn, max_size=1) as pool,
        pool.connection() as connection,
        tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
    ):
        force = "force_parallel_mode" if world.built.database.version < 16 else "debug_parallel_query"
        me.execute(f"set local {force} = on")
        query = "select tenantry.uid()::text from generate_series(1, 2)"
        plan = me.execute(f"explain (analyze, costs off, timing off) {query}".encode()).fetchall()
        assert any("Workers Launched: 1" in str(line[0]) for line in plan), plan
        assert me.execute(query.encode()).fetchall() == [(str(world.people[0]),)] * 2


POISON = [
    "set role authenticated",
    "set session request.jwt.claims = '{}'",
    "set search_path = pg_temp, public",
    "prepare known as select 1",
    "declare held cursor with hold for select 1",
    "listen poison",
    "set statement_timeout = 1",
    "set default_transaction_read_only = on",
    "set row_security = off",
    "select pg_advisory_lock(7)",
]


def test_a_session_is_reset_before_its_next_user(world: World) -> None:
    with tenant_pool(world.built.login_dsn, max_size=1) as pool:
        with pool.connection() as connection:
            for statement in POISON:
                connection.execute(statement.encode())
        with pool.connection() as connection:
            assert value(connection.execute("select current_user::text")) == LOGIN
            assert value(connection.execute("select count(*) from pg_prepared_statements")) == 0
            assert value(connection.execute("select count(*) from pg_cursors")) == 0
            assert value(connection.execute("select count(*) from pg_listening_channels()")) == 0
            assert (
                value(
                    connection.execute(
                        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
                    )
                )
                == 0
            )
            assert value(connection.execute("show row_security")) == "on"
            with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
                assert me.execute("select id from clinics").fetchall() == [(world.clinics[0],)]


def test_random_numbers_of_the_next_are_not_the_callers_to_choose(world: World) -> None:
    with world.connection() as connection:
        connection.execute("select setseed(0.25)")
        known = value(connection.execute("select random()"))
    with tenant_pool(world.built.login_dsn, max_size=1) as pool:
        drawn = []
        for _ in range(2):
            with pool.connection() as connection, tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
                drawn.append(value(me.execute("select random()")))
                me.execute("select setseed(0.25)")
    assert known not in drawn
    assert len(set(drawn)) == 2


def test_a_client_who_drops_their_context_within_a_statement_writes_nothing(world: World) -> None:
    with world.built.owner() as owner:
        run(owner, "update clinic.user_clinic_roles set role = 'clinic_admin'")
    dropped = "pg_catalog.set_config('tenantry.seal', '', true) is not null"
    insert = "insert into providers (clinic_id, name, provider_type) select %s::uuid, 'x' || n, 'dentist' from generate_series(1, 3) as n"
    roles = ("n = 1 or " + dropped, f"n = 1 or {dropped} and pg_catalog.set_config('role', 'none', true) is not null")
    with world.connection() as connection:
        for more in roles:
            with (
                pytest.raises(errors.InsufficientPrivilege, match="the context names no person"),
                tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
            ):
                me.execute(f"{insert} where {more}".encode(), [world.clinics[0]])
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert me.execute(insert.encode(), [world.clinics[0]]).rowcount == 3
            with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
                me.execute(f"update providers set name = name || '!' where name = 'x1' or {dropped}".encode())


def test_another_transaction_of_the_callers_sql_is_not_committed_for_them(world: World) -> None:
    with world.connection() as connection:
        for other in ("commit and chain", "rollback; begin", "commit; begin isolation level serializable"):
            with (
                pytest.raises(errors.NoActiveSqlTransaction),
                tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
            ):
                me.execute("select 1")
                me.execute(other.encode())
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        # Nothing runs as the login after it, in no transaction.
        with pytest.raises(errors.NoActiveSqlTransaction), tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            me.execute("select 1")
            me.execute("commit")
            me.execute("select current_user")

    async def run_async() -> None:
        async with (
            await psycopg.AsyncConnection.connect(
                world.built.login_dsn, autocommit=True, prepare_threshold=None
            ) as connection,
        ):
            async with async_tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
                await me.execute("select 1")
            with pytest.raises(errors.NoActiveSqlTransaction):
                async with async_tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
                    await me.execute("select 1")
                    await me.execute("commit and chain")
            with pytest.raises(SettingsError, match="over"):
                await me.execute("select 1")

    asyncio.run(run_async())


def test_a_handle_ends_with_its_block_and_notifications_do_not_reach_the_next_user(world: World) -> None:
    with tenant_pool(world.built.login_dsn, max_size=1, timeout=10) as pool:
        with pool.connection() as connection, tenant(connection, world.claims(0), KEY, schema=SCHEMA) as before:
            before.execute("listen orders")
            before.execute("select pg_notify('orders', 'forged')")
        with pool.connection() as connection, tenant(connection, world.claims(1), KEY, schema=SCHEMA) as me:
            me.execute("select 1")
            with pytest.raises(SettingsError, match="over"):
                before.execute("select 1")
            with pytest.raises(SettingsError, match="over"):
                _ = before.connection
            before.rollback()
            assert value(me.execute(WHO)) == str(world.people[1])
            assert list(connection.notifies(timeout=0)) == []


HOSTILE = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "timezone": "Pacific/Kiritimati",
    "timezone_abbreviations": "India",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "xmloption": "document",
    "xmlbinary": "hex",
    "backslash_quote": "on",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "check_function_bodies": "off",
    "gin_fuzzy_search_limit": "1",
    "exit_on_error": "on",
    "row_security": "off",
    "lc_monetary": "POSIX",
    "lc_numeric": "POSIX",
    "lc_time": "POSIX",
    "client_min_messages": "error",
    "debug_print_parse": "on",
    "debug_print_plan": "on",
    "debug_print_rewritten": "on",
    "log_parameter_max_length_on_error": "-1",
    "plpgsql.check_asserts": "off",
}
"""Another value for each of STATED."""

_STATED = sql.SQL("select {}").format(
    sql.SQL(", ").join(sql.SQL("current_setting({}, true)").format(sql.Literal(name)) for name in STATED)
)


def test_a_context_states_what_sql_means(world: World) -> None:
    assert set(HOSTILE) == set(STATED)
    want = [tuple(STATED.values())]
    with world.connection() as connection:
        for name, text in HOSTILE.items():
            connection.execute("select set_config(%s, %s, false)", [name, text])
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute("select set_config(%s, '25ms', false)", [name])
        assert not set(want[0]) >= set(connection.execute(_STATED).fetchall()[0])
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert me.execute(_STATED).fetchall() == want
            me.execute("select pg_sleep(0.05)")
        # Without a seal the library does it alone.
        with tenant(connection, world.claims(), None, schema=SCHEMA, settings={"timezone": "Asia/Tokyo"}) as me:
            got = me.execute(_STATED).fetchall()
            assert got == [tuple({**STATED, "timezone": "Asia/Tokyo"}.values())]
        with tenant(connection, world.claims(), KEY, schema=SCHEMA, settings={"timezone": "Asia/Tokyo"}) as me:
            assert value(me.execute("show timezone")) == "Asia/Tokyo"


def test_settings_of_the_login_do_not_count_in_the_pools_connections(world: World) -> None:
    login, name = f"{world.built.database.name}_own", world.built.database.name
    with world.built.database.connect() as admin:
        run(admin, f"create role {login} login noinherit", f"grant anon, authenticated to {login}",
            f"grant usage on schema tenantry to {login}",
            f"grant execute on function tenantry.challenge(), tenantry.open(text, text) to {login}")  # fmt: skip
        try:
            planted = {
                **{key: text for key, text in HOSTILE.items() if key != "exit_on_error"},
                "role": "anon",
                "search_path": "planted",
                "default_transaction_read_only": "on",
                "default_transaction_isolation": "serializable",
                "idle_session_timeout": "1h",
                "statement_timeout": "3min",
            }
            # As the login itself, within a caller's transaction.
            with psycopg.connect(world.built.database.dsn_as(login), autocommit=True) as injected:
                injected.execute("do $$ begin end $$")  # loads plpgsql, one of whose settings is planted
                for where in ("", f" in database {name}"):
                    for key, text in planted.items():
                        injected.execute(
                            sql.SQL("alter role {}{} set {} = {}").format(
                                sql.Identifier(login),
                                sql.SQL(where),
                                sql.Identifier(key),
                                sql.Literal(text),
                            )
                        )
            with tenant_pool(world.built.database.dsn_as(login), max_size=1, timeout=10) as pool:
                for _ in range(2):
                    with pool.connection() as connection:
                        got = {key: value(connection.execute("select current_setting(%s)", [key])) for key in AT_START}
                        assert {key: (text, got[key]) for key, text in AT_START.items() if got[key] != text} == {}
                        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
                            assert me.execute("select id from clinics").fetchall() == [(world.clinics[0],)]
        finally:
            run(admin, f"drop owned by {login}", f"drop role {login}")


def test_the_roles_script_pins_the_logins_settings_in_the_database(world: World) -> None:
    with world.built.database.connect(user=LOGIN) as connection:
        connection.execute("do $$ begin end $$")  # loads plpgsql, which has a setting
        for key, text in STATED.items():
            assert value(connection.execute("select reset_val from pg_settings where lower(name) = %s", [key])) == text
            assert connection.execute("select source from pg_settings where lower(name) = %s", [key]).fetchone() in (
                ("database user",), ("client",),
            )  # fmt: skip


def test_session_settings_do_not_change_the_meaning_of_policies_and_statements(world: World) -> None:
    with world.connection() as connection, world.built.owner() as owner:
        for setting in ("default_transaction_isolation = 'repeatable read'", "default_transaction_read_only = on",
                        "row_security = off", "standard_conforming_strings = off"):  # fmt: skip
            connection.execute(f"set session {setting}".encode())
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert me.execute("select id from clinics").fetchall() == [(world.clinics[0],)]
            assert value(me.execute("select length('\\n')")) == 2
            assert value(me.execute("show transaction_read_only")) == "off"
            run(owner, "delete from clinic.user_clinic_roles")
            assert me.execute("select id from clinics").fetchall() == []
        # A plain BEGIN has the isolation level that the previous user left.
        with pytest.raises(errors.InvalidAuthorizationSpecification, match="repeatable read"), connection.transaction():
            open_context(connection, KEY, claims_text(world.claims()))


@pytest.mark.parametrize("first", [True, False])
def test_an_unexpected_copy_costs_only_its_connection(first: bool, world: World) -> None:
    with tenant_pool(world.built.login_dsn, max_size=1, timeout=10) as pool:
        with (
            pytest.raises(psycopg.Error) as caught,
            pool.connection() as connection,
            tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
        ):
            if not first:
                me.execute("select 1")
            me.execute("copy (select 1) to stdout")
        assert "copy" in str(caught.value).lower()
        assert connection.closed
        with pool.connection() as connection, tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert value(me.execute(WHO)) == str(world.people[0])


@pytest.mark.parametrize("ended", ["commit", "rollback", "commit; begin", "rollback and chain; begin"])
def test_sql_after_an_injected_commit_has_no_caller(ended: str, world: World) -> None:
    with world.connection() as connection:
        with (
            pytest.raises((errors.NoActiveSqlTransaction, errors.InsufficientPrivilege)),
            tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
        ):
            me.execute("select 1")
            me.execute(ended)
            assert value(me.execute("select current_user::text")) == LOGIN
            if "begin" in ended:
                me.execute("select id from clinic.clinics")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_an_ignored_failure_does_not_commit(world: World) -> None:
    with (
        world.connection() as connection,
        pytest.raises(errors.InFailedSqlTransaction, match="rolled back"),
        tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
        pytest.raises(errors.DivisionByZero),
    ):
        me.execute("select 1 / 0")


def test_a_revocation_holds_from_the_next_statement(world_each: World) -> None:
    world = world_each
    with (
        world.connection() as connection,
        world.built.owner() as owner,
        tenant(connection, world.claims(), KEY, schema=SCHEMA) as me,
    ):
        assert len(me.execute("select id from clinics").fetchall()) == 1
        run(owner, "update clinic.user_clinic_roles set is_active = false")
        assert me.execute("select id from clinics").fetchall() == []


# -- through a pooler -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("pgbouncer", path="/usr/sbin:/usr/bin") is None, reason="pgbouncer is not installed")
def test_contexts_hold_through_a_pooler_in_transaction_mode(world: World) -> None:
    with tempfile.TemporaryDirectory(prefix="tp-", dir="/tmp") as folder:
        _through_a_pooler(world, Path(folder))


def _through_a_pooler(world: World, tmp_path: Path) -> None:
    info = psycopg.conninfo.conninfo_to_dict(world.built.login_dsn)
    port = 20000 + int(str(info.get("port") or 5432)) % 1000 + uuid4().int % 20000
    database = info["dbname"]
    (tmp_path / "users").write_text(f'"{LOGIN}" ""\n')
    (tmp_path / "pgbouncer.ini").write_text(
        f"[databases]\n{database} = host={info['host']} port={info.get('port') or 5432} user={LOGIN} pool_size=1\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"auth_file = {tmp_path}/users\npool_mode = transaction\nmax_client_conn = 50\n"
        "ignore_startup_parameters = extra_float_digits, options\n"
    )
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o755)
    command = ["pgbouncer", str(tmp_path / "pgbouncer.ini")]
    if os.geteuid() == 0:
        # It refuses to be root; who runs the server reaches its socket.
        runs = Path(str(info["host"])).owner()
        command = ["pgbouncer", "-u", runs, str(tmp_path / "pgbouncer.ini")]
    with subprocess.Popen(command, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}) as process:
        try:
            dsn = f"host=127.0.0.1 port={port} dbname={database} user={LOGIN}"

            def up() -> bool:
                try:
                    psycopg.connect(dsn, autocommit=True).close()
                except psycopg.OperationalError:
                    return False
                return True

            wait_for("the pooler", up)
            clients = [psycopg.connect(dsn, autocommit=True, prepare_threshold=None) for _ in range(4)]
            for number in range(20):
                person = number % 2
                with tenant(clients[number % 4], world.claims(person), KEY, schema=SCHEMA) as me:
                    assert value(me.execute(WHO)) == str(world.people[person])
                    assert me.execute("select id from clinics").fetchall() == [(world.clinics[person],)]
            # All of them share one connection of the server, and none finds what another has opened.
            for client in clients:
                assert value(client.execute("select current_user::text")) == LOGIN
                assert value(client.execute("select current_setting('tenantry.seal', true)")) in ("", None)
                client.close()
        finally:
            process.terminate()
