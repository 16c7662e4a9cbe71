"""The sealed context: what SQL on the connection can do to it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql

from tenantry.errors import SettingsError
from tenantry.postgres.seal import claims_text, open_context
from tenantry.postgres.stated import AT_START, STATED
from tenantry.postgres.tenant import async_tenant, tenant, tenant_pool
from tests.integration.access.seal_world import SCHEMA, WHO, World, value, world, world_each
from tests.isolation.build import KEY, LOGIN, Connection, run
from tests.migrate_support import PATIENCE, wait_for

__all__ = ["world", "world_each"]


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
    "set default_transaction_read_only = on",
    "set row_security = off",
    "select pg_advisory_lock(7)",
    # The last: on a busy machine nothing after it would be in time.
    "set statement_timeout = 1",
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
    with tenant_pool(world.built.login_dsn, max_size=1, timeout=PATIENCE) as pool:
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
            connection.execute("select set_config(%s, '500ms', false)", [name])
        assert not set(want[0]) >= set(connection.execute(_STATED).fetchall()[0])
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert me.execute(_STATED).fetchall() == want
            me.execute("select pg_sleep(0.55)")
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
            with tenant_pool(world.built.database.dsn_as(login), max_size=1, timeout=PATIENCE) as pool:
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
    with tenant_pool(world.built.login_dsn, max_size=1, timeout=PATIENCE) as pool:
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
