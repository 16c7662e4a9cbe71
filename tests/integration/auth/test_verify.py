"""Verified callers at the database: sessions that have ended, and FastAPI with sealed transactions.

Annotations are not postponed here: FastAPI would look for the guard among the names of the module.
"""

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi import Depends, FastAPI
from psycopg import errors
from psycopg.pq import TransactionStatus

from tenantry.auth.verify import Trust, VerifiedCaller, Verifier
from tenantry.auth.verify.fastapi import TokenGuard
from tenantry.auth.verify.sessions import async_require_session, require_session, session_alive_script, session_check
from tenantry.errors import ContextOutdated, RightsMissing, SessionEnded
from tenantry.postgres.tenant import async_tenant, async_tenant_pool, tenant, tenant_pool
from tests.conftest import Database
from tests.integration.auth.sign_in import PASSWORD, Studio, ok
from tests.isolation.build import KEY, LOGIN, Built, Connection, run
from tests.isolation.studio import Caller, World, build_studio
from tests.unit.auth.verify.tokens import claims, make, verifier

VERIFIER = verifier()
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "verify-tokens.md"


def _session(owner: Connection, account: UUID) -> UUID:
    made = uuid4()
    owner.execute(
        "insert into auth.sessions (id, user_id, created_at, updated_at, aal) values (%s, %s, now(), now(), 'aal1')",
        [made, account],
    )
    return made


def _token(account: object, session: object) -> str:
    return make(payload=claims(sub=str(account), session_id=str(session), exp=4_000_000_000))


def _caller(account: object, session: object) -> VerifiedCaller:
    return VERIFIER.verify(_token(account, session))


class _Signed:
    """A studio's member with a session, at a database that has the functions."""

    def __init__(self, built: Built, owner: Connection, login: Connection) -> None:
        with owner.transaction():
            run(owner, session_alive_script(LOGIN))
        self.built, self.owner, self.world = built, owner, World(built, owner, login)
        self.member: Caller = self.world.person(master=self.world.here)
        assert self.member.account is not None
        self.account, self.session = self.member.account, _session(owner, self.member.account)

    def said(self) -> VerifiedCaller:
        return _caller(self.account, self.session)


ENDS: list[tuple[str, str, bool]] = [
    ("the session has time left", "update auth.sessions set not_after = now() + interval '1 hour' where id = %(session)s", True),
    ("a ban that is over", "update auth.users set banned_until = now() - interval '1 s' where id = %(account)s", True),
    ("the session's time is over", "update auth.sessions set not_after = now() - interval '1 s' where id = %(session)s", False),
    ("banned", "update auth.users set banned_until = now() + interval '1 hour' where id = %(account)s", False),
    ("banned for ever", "update auth.users set banned_until = 'infinity' where id = %(account)s", False),
    ("marked as deleted", "update auth.users set deleted_at = now() where id = %(account)s", False),
    ("signed out", "delete from auth.sessions where id = %(session)s", False),
]  # fmt: skip


def test_a_token_is_dead_when_its_session_is(database: Database, tmp_path: Path) -> None:
    built = build_studio(database, tmp_path)
    with (
        built.owner() as owner,
        built.login() as login,
        tenant_pool(built.login_dsn, max_size=1) as pool,
    ):
        signed = _Signed(built, owner, login)
        alive = signed.said()
        with psycopg.connect(built.login_dsn, autocommit=True) as plain:
            require_session(plain, alive)
            # Another's session, an unknown one, none.
            other = signed.world.person()
            assert other.account is not None
            for unfit in (
                _caller(other.account, signed.session),
                _caller(signed.account, uuid4()),
                _caller(signed.account, _session(owner, other.account)),
                VERIFIER.verify(make(payload=claims(session_id=...))),
            ):
                with pytest.raises(SessionEnded):
                    require_session(plain, unfit)
            # The login learns nothing else, and others learn nothing.
            with pytest.raises(errors.InsufficientPrivilege):
                plain.execute("select count(*) from auth.sessions")
            plain.execute("set role authenticated")
            with pytest.raises(errors.InsufficientPrivilege):
                require_session(plain, alive)
        for name, change, stays in ENDS:
            with owner.transaction(force_rollback=True), owner.cursor() as cursor:
                cursor.execute(change.encode(), {"session": signed.session, "account": signed.account})
                row = cursor.execute(
                    "select tenantry_auth.auth_session_alive(%s, %s)", [signed.session, signed.account]
                ).fetchone()
                assert (name, row) == (name, (stays,))
        _in_the_round_trip(signed, pool)
        # Rows that row-level security hides from the functions are an error, not the end of all sessions.
        run(owner, "alter table auth.sessions force row level security")
        with pytest.raises(errors.InsufficientPrivilege), pool.connection() as connection:
            require_session(connection, alive)
        run(owner, "alter table auth.sessions no force row level security", session_alive_script(LOGIN))
        run(owner, f"revoke all on function tenantry_auth.require_session(uuid, uuid) from {LOGIN}")
        with pytest.raises(RightsMissing, match="require_session"), pool.connection() as connection:
            _names(connection, alive)
        run(owner, "drop function tenantry_auth.require_session(uuid, uuid)")
        with pytest.raises(ContextOutdated, match="require_session"), pool.connection() as connection:
            _names(connection, alive)


def _names(connection: Connection, caller: VerifiedCaller, *, check: bool = True) -> list[object]:
    with tenant(connection, caller.claims, KEY, schema="studio", check_session=check) as me:
        return [name for (name,) in me.execute("select name from studios").fetchall()]


def _in_the_round_trip(signed: _Signed, pool: Any) -> None:
    """tenant() asks before anything runs, leaves the connection as it was, and knows the next request's session."""
    caller = signed.said()
    with pool.connection() as connection:
        assert _names(connection, caller) == ["Ashpit"]
        signed.owner.execute("delete from auth.sessions where id = %s", [signed.session])
        assert _names(connection, caller, check=False) == ["Ashpit"]  # good until it expires
        with (
            pytest.raises(SessionEnded),
            tenant(connection, caller.claims, KEY, schema="studio", check_session=True) as me,
        ):
            me.execute("update studios set name = 'Taken'")
        assert connection.info.transaction_status == TransactionStatus.IDLE
        with (
            pytest.raises(SessionEnded),
            tenant(connection, caller.claims, KEY, schema="studio", check_session=True) as me,
        ):
            me.connection.execute("update studios set name = 'Taken'")
        with (
            pytest.raises(SessionEnded, match="no session"),
            tenant(connection, {"role": "authenticated"}, KEY, schema="studio", check_session=True),
        ):
            pass
        assert signed.owner.execute("select count(*) from studio.studios where name = 'Taken'").fetchone() == (0,)
        signed.session = _session(signed.owner, signed.account)
        assert _names(connection, signed.said()) == ["Ashpit"]


def test_tokens_of_the_sign_in_server_are_verified_and_end_with_what_ends_the_session(
    sign_in: Studio, accounts: Database
) -> None:
    settings, admin = sign_in.server.settings, sign_in.admin_token()
    own = Verifier(Trust(issuer=settings.issuer, jwks_url=f"{sign_in.client.base_url}/.well-known/jwks.json"))
    session = sign_in.signed_up("ada@example.org")
    user = session["user"]["id"]
    with accounts.connect() as database:

        def alive(token: str) -> bool:
            caller = own.verify(token)
            assert (caller.user_id, caller.aal) == (user, "aal1")
            try:
                require_session(database, caller)
            except SessionEnded:
                return False
            return True

        def signed_in() -> dict[str, Any]:
            made = sign_in.signed_in("ada@example.org")
            assert alive(made["access_token"])
            return made

        # Signed out, here and elsewhere.
        first, second = signed_in(), signed_in()
        sign_in.post("/logout?scope=local", token=second["access_token"])
        assert (alive(first["access_token"]), alive(second["access_token"])) == (True, False)
        # A refresh token that two have: its session ends, also for access tokens that are not over.
        renewed = ok(sign_in.refreshed(first["refresh_token"]))
        ok(sign_in.refreshed(renewed["refresh_token"]))
        database.execute("update auth.refresh_tokens set updated_at = updated_at - interval '1 hour'")
        assert sign_in.refreshed(first["refresh_token"]).status_code == 400
        assert not alive(first["access_token"]) and not alive(renewed["access_token"])
        # Another password, by the person and then by an administrator.
        first, second = signed_in(), signed_in()
        ok(sign_in.call("PUT", "/user", {"password": "another horse"}, second["access_token"]))
        assert (alive(first["access_token"]), alive(second["access_token"])) == (False, True)
        ok(sign_in.call("PUT", f"/admin/users/{user}", {"password": PASSWORD}, admin))
        assert not alive(second["access_token"])
        # Banned, and allowed again.
        first = signed_in()
        ok(sign_in.call("PUT", f"/admin/users/{user}", {"ban_duration": "1h"}, admin))
        assert not alive(first["access_token"])
        ok(sign_in.call("PUT", f"/admin/users/{user}", {"ban_duration": "none"}, admin))
        # Deleted.
        first = signed_in()
        ok(sign_in.call("DELETE", f"/admin/users/{user}", {}, admin))
        assert not alive(first["access_token"])


def test_fastapi_gives_callers_to_sealed_transactions(database: Database, tmp_path: Path) -> None:
    built = build_studio(database, tmp_path)
    with built.owner() as owner, built.login() as login:
        signed = _Signed(built, owner, login)
        there = signed.world.person(guest=signed.world.there)
        with tenant_pool(built.login_dsn, max_size=2) as pool:
            asyncio.run(_serve(signed, there, pool))


async def _serve(signed: _Signed, there: Caller, pool: Any) -> None:
    async with async_tenant_pool(signed.built.login_dsn, max_size=2) as async_pool:
        app, guard = FastAPI(), TokenGuard(VERIFIER)
        watched = TokenGuard(VERIFIER, check=session_check(async_pool))
        guard.install(app)

        @app.get("/threads")
        def threads(caller: Annotated[VerifiedCaller, Depends(guard)]) -> list[str]:
            with pool.connection() as connection:
                return [str(each) for each in _names(connection, caller)]

        @app.get("/tasks")
        async def tasks(caller: Annotated[VerifiedCaller, Depends(guard)]) -> list[str]:
            async with (
                async_pool.connection() as connection,
                async_tenant(connection, caller.claims, KEY, schema="studio", check_session=True) as me,
            ):
                return [name for (name,) in await (await me.execute("select name from studios")).fetchall()]

        @app.get("/unchecked")
        def unchecked(caller: Annotated[VerifiedCaller, Depends(guard)]) -> list[str]:
            with pool.connection() as connection:
                return [str(each) for each in _names(connection, caller, check=False)]

        @app.get("/watched")
        async def seen(caller: Annotated[VerifiedCaller, Depends(watched)]) -> str:
            return caller.user_id

        # What the page shows, with this schema's names.
        code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
        code = code.replace('schema="clinic"', 'schema="studio"').replace(
            "id, name from providers", "name from studios"
        )
        shown: dict[str, Any] = {
            "app": FastAPI(),
            "verifier": VERIFIER,
            "pool": pool,
            "key": KEY,
            "Annotated": Annotated,
            "Depends": Depends,
        }
        exec(code, shown)  # noqa: S102
        app.mount("/page", shown["app"])

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api.example") as client:

            async def get(path: str, token: str) -> httpx.Response:
                return await client.get(path, headers={"authorization": f"Bearer {token}"})

            mine = _token(signed.account, signed.session)
            assert there.account is not None
            theirs = _token(there.account, _session(signed.owner, there.account))
            for path in ("/threads", "/tasks", "/unchecked"):
                assert ((await get(path, mine)).json(), (await get(path, theirs)).json()) == (["Ashpit"], ["Saltglaze"])
            assert (await get("/watched", mine)).json() == str(signed.account)
            assert (await get("/page/providers", mine)).json() == [["Ashpit"]]
            signed.owner.execute("delete from auth.sessions where id = %s", [signed.session])
            for path in ("/threads", "/tasks", "/watched", "/page/providers"):
                answer = await get(path, mine)
                assert (path, answer.status_code, answer.json()["code"]) == (path, 401, "TN-623")
                assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
            # Where nobody asks the database, the stolen token is good until it expires.
            assert (await get("/unchecked", mine)).json() == ["Ashpit"]
            async with async_pool.connection() as connection:
                await async_require_session(connection, VERIFIER.verify(theirs))
                with pytest.raises(SessionEnded):
                    await async_require_session(connection, VERIFIER.verify(mine))
