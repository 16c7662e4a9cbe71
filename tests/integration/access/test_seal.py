"""The sealed context: the library that opens it, and the tokens that the database takes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tenantry.errors import ContextOutdated, SettingsError
from tenantry.postgres.seal import SealKey, claims_text, open_context
from tenantry.postgres.tenant import async_tenant, async_tenant_pool, tenant
from tests.integration.access.seal_world import OTHER, SCHEMA, WHO, World, challenge, open, value, world, world_each
from tests.isolation.build import KEY, LOGIN, add_key, run

__all__ = ["world", "world_each"]


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
        open(connection, claims)
        with pytest.raises(errors.InvalidAuthorizationSpecification, match="the context was refused"):
            open(connection, claims, spoil=SPOILT[kind])


def test_null_is_refused(world: World) -> None:
    with world.connection() as connection:
        for given in ([None, KEY.token("{}", "1.2")], ["{}", None]):
            with pytest.raises(errors.InvalidAuthorizationSpecification):
                connection.execute("select tenantry.open(%s, %s)", given)


def test_tokens_live_for_seconds_and_clocks_may_differ_a_little(world_each: World) -> None:
    world, claims = world_each, claims_text(world_each.claims())
    with world.connection() as connection:
        for age, opens in ((0, True), (29, True), (31, True), (37, False), (600, False), (-3, True), (-30, False)):
            if opens:
                open(connection, claims, age=age)
            else:
                with pytest.raises(errors.InvalidAuthorizationSpecification, match="ms old"):
                    open(connection, claims, age=age)


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
                    open(connection, claims)
            else:
                open(connection, claims)


def test_a_login_that_expires_ends_at_the_next_statement_of_an_open_transaction(world: World) -> None:
    with world.connection() as connection:
        # On a loaded machine the shortest one ends before the first statement.
        for seconds in (0.4, 3, 30):
            end = time.time() + seconds
            with (
                suppress(errors.InvalidAuthorizationSpecification),
                tenant(connection, world.claims(exp=end), KEY, schema=SCHEMA) as me,
            ):
                seen = me.execute("select id from clinics").fetchall()
                me.execute("select pg_sleep(%s)", [max(0.0, end - time.time()) + 0.02])
                assert me.execute("select id from clinics").fetchall() == []
                assert value(me.execute(WHO)) is None
                if seen:
                    assert seen == [(world.clinics[0],)]
                    return
    raise AssertionError("a login of 30 s saw nothing")


def test_a_token_opens_one_transaction_of_one_session(world: World) -> None:
    claims = claims_text(world.claims())
    with world.connection() as connection, world.connection() as other:
        for end in ("rollback", "commit", "rollback and chain", "commit and chain"):
            connection.execute("begin")
            token = KEY.token(claims, challenge(connection))
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
                connection.execute(statement.encode(), [claims, KEY.token(claims, challenge(connection))])


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
                open(connection, claims_text(world.claims(role=role)))


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
            open(connection, claims, key)
        with tenant(connection, world.claims(), KEY, schema=SCHEMA) as me:
            assert value(me.execute(WHO)) == str(world.people[0])
            run(owner, "update tenantry.seal_key set not_after = now() where kid = 'test'")
            assert value(me.execute(WHO)) is None
            assert me.execute("select 1 from clinics").fetchall() == []
        with pytest.raises(errors.InvalidAuthorizationSpecification):
            open(connection, claims)
        open(connection, claims, new)
