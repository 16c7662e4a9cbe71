"""What requests are answered by the middleware and by the FastAPI dependency: callers, problems, challenges, and never a token.

Annotations are not postponed here: FastAPI would look for the guards of tests among the names of the module.
"""

import asyncio
import importlib
import json
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, WebSocket

import tenantry.auth.verify
from tenantry.auth.verify import VerifiedCaller
from tenantry.auth.verify.errors import AuthPackagesMissing, KeysUnavailable, TokenInsufficient, TokenRefused
from tenantry.auth.verify.fastapi import TokenGuard
from tenantry.auth.verify.middleware import TokenMiddleware
from tenantry.errors import SessionEnded, SettingsError
from tests.unit.auth.verify.tokens import NOW, USER, claims, make, verifier

Application = Callable[..., Coroutine[Any, Any, None]]
VERIFIER = verifier()
GOOD, SECOND = make(), make(payload=claims(aal="aal2"))
UNNAMED = make(payload=claims(is_anonymous=True))
EXPIRED = make(payload=claims(exp=NOW - 100))


def ask(app: Any, path: str = "/", *tokens: str, **headers: str) -> httpx.Response:
    given = [("authorization", token if " " in token else f"Bearer {token}") for token in tokens]

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.example") as client:
            return await client.get(path, headers=[*given, *headers.items()])

    return asyncio.run(run())


async def show(scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
    """An application that answers with the caller's id, and does what its path says."""
    caller: VerifiedCaller | None = scope["state"]["caller"]
    if scope["path"] == "/second":
        assert caller is not None
        caller.require(aal="aal2")
    if scope["path"] == "/ended":
        raise SessionEnded("The session has ended.")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/late":
        raise SessionEnded("The session has ended.")
    await send({"type": "http.response.body", "body": (caller.user_id if caller else "nobody").encode()})


def app_with_guard() -> FastAPI:
    app, guard = FastAPI(), TokenGuard(VERIFIER)
    guard.install(app)

    @app.get("/")
    def plain(caller: Annotated[VerifiedCaller, Depends(guard)]) -> str:
        return caller.user_id

    @app.get("/second")
    def second(caller: Annotated[VerifiedCaller, Depends(guard.require(aal="aal2", anonymous=False))]) -> str:
        return caller.aal

    @app.get("/public")
    def public(caller: Annotated[VerifiedCaller | None, Depends(guard.optional)]) -> str:
        return caller.user_id if caller else "nobody"

    @app.get("/ended")
    def ended(_caller: Annotated[VerifiedCaller, Depends(guard)]) -> str:
        raise SessionEnded("The session has ended.")

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, caller: Annotated[VerifiedCaller, Depends(guard)]) -> None:
        await websocket.accept()
        await websocket.send_text(caller.user_id)
        await websocket.close()

    return app


MIDDLEWARE, GUARDED = TokenMiddleware(show, VERIFIER, public=["/public"]), app_with_guard()
BOTH = pytest.mark.parametrize("app", [pytest.param(MIDDLEWARE, id="middleware"), pytest.param(GUARDED, id="guard")])

CHALLENGE = 'Bearer error="invalid_token"'


@BOTH
@pytest.mark.parametrize(
    ("path", "tokens", "status", "challenge"),
    [
        ("/", [], 401, "Bearer"),
        ("/", [EXPIRED], 401, CHALLENGE),
        ("/", [GOOD[:-8]], 401, CHALLENGE),
        ("/", ["Basic YTpi"], 401, CHALLENGE),
        ("/", ["Bearer "], 401, CHALLENGE),
        ("/", [f"Bearer {GOOD} {GOOD}"], 401, CHALLENGE),
        ("/", [f"Bearer {GOOD},{GOOD}"], 401, CHALLENGE),
        ("/", [GOOD, GOOD], 401, CHALLENGE),
        ("/second", [GOOD], 403, 'Bearer error="insufficient_user_authentication", acr_values="aal2"'),
        ("/ended", [GOOD], 401, CHALLENGE),
        ("/public", [EXPIRED], 401, CHALLENGE),
        ("/public?token=1", [], 200, None),
        ("/public", [], 200, None),
        ("/public", [GOOD], 200, None),
        ("/", [GOOD], 200, None),
        ("/", [f"bearer  {GOOD}"], 200, None),
        ("/second", [SECOND], 200, None),
    ],
)
def test_what_is_answered(app: Any, path: str, tokens: list[str], status: int, challenge: str | None) -> None:
    answer = ask(app, path, *tokens)
    assert (answer.status_code, answer.headers.get("www-authenticate")) == (status, challenge)
    if challenge is not None:
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == (
            "application/problem+json",
            "no-store",
        )
        said = answer.json()
        assert (said["status"], said["code"][:5]) == (status, "TN-62")
        assert [part for token in tokens for part in token.split(".") if len(part) > 12 and part in answer.text] == []


@pytest.mark.parametrize("path", ["/public/", "//public", "/Public", "/public/../second", "/publi%63%00"])
def test_only_the_very_paths_are_public(path: str) -> None:
    assert ask(MIDDLEWARE, path).status_code == 401


def test_a_weaker_route_and_an_anonymous_caller() -> None:
    answer = ask(GUARDED, "/second", make(payload=claims(aal="aal2", is_anonymous=True)))
    assert (answer.status_code, answer.json()["reason"]) == (403, "anonymous")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert ask(GUARDED, "/", UNNAMED).status_code == 200


def test_without_install_the_status_and_the_challenge_are_the_same() -> None:
    app, guard = FastAPI(), TokenGuard(VERIFIER)

    @app.get("/")
    def plain(caller: Annotated[VerifiedCaller, Depends(guard)]) -> str:
        return caller.user_id

    answer = ask(app, "/", EXPIRED)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert (answer.headers["content-type"], answer.json()) == (
        "application/problem+json",
        {"detail": "The token has expired."},
    )


def test_the_description_of_the_api_says_that_a_token_is_needed() -> None:
    described = GUARDED.openapi()
    assert described["paths"]["/"]["get"]["security"] == [{"access token": []}]
    assert described["components"]["securitySchemes"]["access token"]["scheme"] == "bearer"


def test_a_check_of_the_session_refuses_too() -> None:
    async def ended(_caller: VerifiedCaller) -> None:
        raise SessionEnded("The session has ended.")

    guard, app = TokenGuard(VERIFIER, check=ended), FastAPI()
    guard.install(app)

    @app.get("/")
    def plain(caller: Annotated[VerifiedCaller, Depends(guard)]) -> str:
        return caller.user_id

    for each in (app, TokenMiddleware(show, VERIFIER, check=ended)):
        answer = ask(each, "/", GOOD)
        assert (answer.status_code, answer.json()["code"]) == (401, "TN-623")


def test_keys_that_cannot_be_fetched_are_no_fault_of_the_caller() -> None:
    class Down:
        async def verify_async(self, _token: bytes) -> VerifiedCaller:
            raise KeysUnavailable("The keys of the issuer could not be fetched: no answer (ConnectError).")

    answer = ask(TokenMiddleware(show, Down()), "/", GOOD)  # type: ignore[arg-type]
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "ConnectError" not in answer.text


def test_an_answer_that_has_begun_is_not_answered_again() -> None:
    with pytest.raises(SessionEnded):
        ask(MIDDLEWARE, "/late", GOOD)


def test_requests_do_not_share_a_caller() -> None:
    shared = {"pool": "of the application"}
    seen: list[Any] = []

    async def app(scope: Mapping[str, Any], _receive: Any, _send: Any) -> None:
        seen.append(scope["state"])

    wrapped = TokenMiddleware(app, VERIFIER, required=False)
    for token in (GOOD, None):
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        asyncio.run(wrapped({"type": "http", "path": "/", "headers": headers, "state": shared}, _never, _never))
    assert shared == {"pool": "of the application"}
    assert [(each["pool"], each["caller"] and each["caller"].user_id) for each in seen] == [
        ("of the application", USER),
        ("of the application", None),
    ]


def test_other_events_pass() -> None:
    seen: list[Any] = []

    async def app(scope: Mapping[str, Any], _receive: Any, _send: Any) -> None:
        seen.append(scope)

    asyncio.run(TokenMiddleware(app, VERIFIER)({"type": "lifespan"}, _never, _never))
    assert seen == [{"type": "lifespan"}]


async def _never(*_args: Any) -> Any:
    raise AssertionError


@BOTH
@pytest.mark.parametrize("extension", [True, False])
def test_a_websocket_without_a_token_is_refused_before_it_opens(app: Any, extension: bool) -> None:
    def connect(token: str | None) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "websocket",
            "path": "/socket",
            "raw_path": b"/socket",
            "root_path": "",
            "query_string": b"",
            "subprotocols": [],
            "headers": [(b"authorization", f"Bearer {token}".encode())] if token else [],
            "extensions": {"websocket.http.response": {}} if extension else {},
        }
        asyncio.run(app(scope, receive, send))
        return sent

    for token in (None, EXPIRED):
        first = connect(token)[0]
        if extension:
            assert (first["type"], first["status"]) == ("websocket.http.response.start", 401)
        else:
            assert (first["type"], first["code"]) == ("websocket.close", 1008)
    if app is GUARDED:
        assert [each.get("text") for each in connect(GOOD)][:2] == [None, USER]


def test_a_level_that_does_not_exist_is_a_mistake_of_the_application() -> None:
    with pytest.raises(SettingsError):
        TokenGuard(VERIFIER).require(aal="aal9")


def test_starlettes_request_has_the_caller() -> None:
    app = FastAPI()
    app.add_middleware(TokenMiddleware, verifier=VERIFIER, public=["/health"])

    @app.get("/")
    def plain(request: Request) -> str:
        caller: VerifiedCaller = request.state.caller
        caller.require(aal="aal2")
        return caller.user_id

    assert ask(app, "/", SECOND).json() == USER
    # A refusal within the application reaches the middleware, which knows the answer.
    assert (ask(app, "/", GOOD).status_code, ask(app, "/").status_code) == (403, 401)


@pytest.mark.parametrize(
    ("hidden", "module"),
    [("joserfc", "tenantry.auth.verify.keys"), ("fastapi", "tenantry.auth.verify.fastapi")],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, hidden: str, module: str) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == hidden:
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, hidden, None)
    monkeypatch.delitem(sys.modules, module)
    with pytest.raises(AuthPackagesMissing) as caught:
        importlib.import_module(module)
    assert "tenantry[auth]" in caught.value.hint


def test_only_one_module_needs_fastapi() -> None:
    folder = Path(tenantry.auth.verify.__file__).parent
    needing = [
        file.name
        for file in folder.glob("*.py")
        if re.search(r"^\s*(?:from|import) (?:fastapi|starlette)", file.read_text(), re.MULTILINE)
    ]
    assert needing == ["fastapi.py"]


def test_refusals_are_json_with_their_facts() -> None:
    assert json.loads(json.dumps(TokenRefused("No.", reason="missing").to_json()))["detail"] == {"reason": "missing"}
    assert TokenInsufficient("No.", reason="aal", needed="aal2").to_json()["detail"] == {
        "reason": "aal",
        "needed": "aal2",
    }
