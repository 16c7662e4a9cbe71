"""How the sign-in server is started, mounted and hooked; keys that are rotated while it serves; what it sweeps away."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic, sleep, time

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from typer.testing import CliRunner

from tenantry.auth.keys import KeyFile, create_keys, rotate
from tenantry.auth.server.app import sign_in_app, sweep
from tenantry.auth.server.database import Database as ServerDatabase
from tenantry.auth.server.state import SignInServer
from tenantry.cli.main import app
from tenantry.errors import TenantryError
from tests.conftest import Database
from tests.integration.auth.conftest import LOGIN
from tests.integration.auth.sign_in import Studio, ok, refused, serving_app, studio

HOOK = """
create function public.edit_claims(event jsonb) returns jsonb language sql as $$
    select case when event #>> '{claims,email}' = 'mallory@example.org'
                then '{"error": {"http_code": 403, "message": "not you"}}'::jsonb
                else jsonb_set(event, '{claims}', (event -> 'claims') || '{"plan": "gold", "sub": "nobody", "exp": 1}') end
$$;
create function public.fails(event jsonb) returns jsonb language plpgsql as $$ begin raise 'a secret'; end $$;
create function public.forgets(event jsonb) returns jsonb language sql as $$ select '{"claims": {"sub": "x"}}'::jsonb $$;
grant execute on all functions in schema public to public;
"""


def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str, **values: str) -> tuple[int, str]:
    """Run `tenantry auth serve --check` in this process; return exit code and output."""
    monkeypatch.chdir(tmp_path)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["auth", "serve", "--check", "--port", "0", *arguments])
    if isinstance(result.exception, TenantryError):
        return result.exception.exit_code, f"{result.exception.code} {result.exception.message}"
    return result.exit_code, result.output


def test_a_server_that_cannot_serve_says_why_and_exits_with_2(
    accounts: Database, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = accounts.dsn_as(LOGIN)
    assert started(monkeypatch, tmp_path)[0] == 2
    code, said = started(monkeypatch, tmp_path, DATABASE_URL=good)
    assert (code, "TN-601" in said) == (2, True)
    keys = tmp_path / "keys.json"
    create_keys(keys)
    code, said = started(monkeypatch, tmp_path, GOTRUE_JWT_KEYS_FILE=str(keys), GOTRUE_MAILER_AUTOCONFIRM="true")
    assert (code, "can be served" in said) == (0, True), said
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = started(monkeypatch, tmp_path, "--port", str(taken.getsockname()[1]))
        assert (code, "TN-633" in said) == (2, True)
    code, said = started(monkeypatch, tmp_path, DATABASE_URL=accounts.dsn)
    assert (code, "TN-632" in said, "superuser" in said) == (2, True, True)
    code, said = started(monkeypatch, tmp_path, DATABASE_URL=database.dsn_as(LOGIN))
    assert (code, "TN-631" in said, "auth.users" in said) == (2, True, True)
    code, said = started(monkeypatch, tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (code, "TN-2" in said) == (2, True)
    code, said = started(monkeypatch, tmp_path, DATABASE_URL=good, GOTRUE_JWT_EXP="never", GOTRUE_SITE_URL="ftp://x")
    assert code == 2
    assert "GOTRUE_JWT_EXP" in said
    assert "GOTRUE_SITE_URL" in said
    assert "never" not in said


def test_a_hook_edits_claims_and_refuses_sign_ins(accounts: Database) -> None:
    with accounts.connect() as owner:
        owner.execute(HOOK)
    hook = {"GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_ENABLED": "true", "GOTRUE_MAILER_AUTOCONFIRM": "true"}

    def uri(name: str) -> dict[str, str]:
        return {**hook, "GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_URI": f"pg-functions://postgres/public/{name}"}

    person = {"email": "ada@example.org", "password": "correct horse"}
    with studio(accounts.dsn_as(LOGIN), **uri("edit_claims")) as sign_in:
        session = ok(sign_in.post("/signup", person))
        claims = sign_in.claims(session["access_token"])
        assert (claims["plan"], claims["sub"]) == ("gold", session["user"]["id"])
        assert claims["exp"] > time()
        assert sign_in.claims(ok(sign_in.refreshed(session["refresh_token"]))["access_token"])["plan"] == "gold"
        mallory = {**person, "email": "mallory@example.org"}
        response = sign_in.post("/signup", mallory)
        assert (response.status_code, response.json()["msg"]) == (403, "not you")
    for name in ("fails", "forgets"):
        with studio(accounts.dsn_as(LOGIN), **uri(name)) as sign_in:
            response = sign_in.post("/token?grant_type=password", person)
            assert response.status_code == 500
            assert "secret" not in response.text
            # What the refused sign-in wrote is gone, and the refresh token of before counts still.
            assert refused(sign_in.refreshed(session["refresh_token"]))[0] == 500
    with studio(accounts.dsn_as(LOGIN)) as sign_in, accounts.connect() as owner:
        assert owner.execute("select count(*) from auth.sessions").fetchone() == (1,)
        assert ok(sign_in.refreshed(session["refresh_token"]))


def eventually(ask: Callable[[], httpx.Response], right: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Ask until the answer is right; servers look at their file of keys every second."""
    deadline = monotonic() + 60
    while not right(answer := ask()):
        assert monotonic() < deadline, answer.text
        sleep(0.05)
    return answer


@contextmanager
def with_key_file(accounts: Database, path: Path) -> Iterator[Studio]:
    with studio(accounts.dsn_as(LOGIN)) as made:
        server = SignInServer(
            made.server.settings,
            KeyFile(path),
            made.server.passwords,
            ServerDatabase(accounts.dsn_as(LOGIN), 3),
            made.outbox,
        )
        with serving_app(sign_in_app(server)) as address, httpx.Client(base_url=address) as client:
            yield Studio(client, server, made.outbox)


def test_keys_are_rotated_and_replaced_while_the_server_serves(accounts: Database, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_keys(path)
    with with_key_file(accounts, path) as sign_in:
        session = sign_in.signed_up("ada@example.org")
        before = ok(sign_in.client.get("/.well-known/jwks.json"))["keys"]
        rotate(path, longest_token=3600)
        published = eventually(
            lambda: sign_in.client.get("/.well-known/jwks.json"), lambda found: len(found.json()["keys"]) == 2
        )
        assert published.headers["cache-control"] == "public, max-age=600"
        assert [each for each in published.json()["keys"] if each in before] == before
        assert "d" not in json.dumps([sorted(each) for each in published.json()["keys"]]).replace("kid", "").replace(
            "ES256", ""
        )
        assert ok(sign_in.call("GET", "/user", token=session["access_token"]))
        rotate(path, longest_token=3600, leaked=True)
        asked = eventually(
            lambda: sign_in.call("GET", "/user", token=session["access_token"]), lambda found: found.status_code != 200
        )
        assert refused(asked) == (403, "bad_jwt")
        renewed = ok(sign_in.refreshed(session["refresh_token"]))
        assert ok(sign_in.call("GET", "/user", token=renewed["access_token"]))


def test_it_is_mounted_in_another_application(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN)) as made:
        server = SignInServer(
            made.server.settings,
            made.server.keys,
            made.server.passwords,
            ServerDatabase(accounts.dsn_as(LOGIN), 3),
            made.outbox,
        )
        inner: Starlette = sign_in_app(server)

        @asynccontextmanager
        async def lifespan(_app: FastAPI):  # type: ignore[no-untyped-def]
            async with inner.router.lifespan_context(inner):
                yield

        outer = FastAPI(lifespan=lifespan)
        outer.mount("/auth/v1", inner)
        with serving_app(outer) as address, httpx.Client(base_url=f"{address}/auth/v1") as client:
            mounted = Studio(client, server, made.outbox)
            session = mounted.signed_up("ada@example.org")
            assert ok(mounted.call("GET", "/user", token=session["access_token"]))["email"] == "ada@example.org"
            listed = mounted.call("GET", "/admin/users?per_page=1", token=mounted.admin_token())
            assert listed.headers["link"].startswith("</auth/v1/admin/users?page=1")


def test_what_is_over_is_swept_away(sign_in: Studio, accounts: Database) -> None:
    session = sign_in.signed_up("ada@example.org")
    with accounts.connect() as owner:
        owner.execute(
            "insert into auth.flow_state (id, provider_type, authentication_method, created_at)"
            " values (gen_random_uuid(), 'email', 'recovery', now() - interval '2 days'), (gen_random_uuid(), 'email', 'recovery', now())"
        )
        owner.execute(
            "insert into auth.sessions (id, user_id, created_at, not_after) values (gen_random_uuid(), %s, now(), now() - interval '8 days')",
            [session["user"]["id"]],
        )
        owner.execute("insert into tenantry_auth.rate_limits values ('old', now() - interval '1 hour')")

        async def swept() -> None:
            server = SignInServer(
                sign_in.server.settings,
                sign_in.server.keys,
                sign_in.server.passwords,
                ServerDatabase(accounts.dsn_as(LOGIN), 1),
                None,
            )
            await server.database.open()
            await sweep(server)
            await server.database.close()

        asyncio.run(swept())
        count = "select (select count(*) from auth.flow_state), (select count(*) from auth.sessions),"
        left = owner.execute(
            f"{count} (select count(*) from tenantry_auth.rate_limits where key = 'old')".encode()
        ).fetchone()
        assert left == (1, 1, 0)
