"""A sign-in server for tests: its application in this process, over a database of the test's own, with mails that are kept."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import uvicorn
from joserfc import jwt
from starlette.types import ASGIApp

from tenantry.auth.keys import FixedKeys, SigningKeys, new_key
from tenantry.auth.passwords import Passwords
from tenantry.auth.server.app import sign_in_app
from tenantry.auth.server.database import Database as ServerDatabase
from tenantry.auth.server.state import MailRequest, SignInServer
from tenantry.auth.settings import sign_in_settings

PASSWORD = "correct horse"
BASE = "http://auth.test"
SITE = "http://app.test"
UNLIMITED = {
    "GOTRUE_SMTP_MAX_FREQUENCY": "0s",
    "GOTRUE_MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY": "10000",
    **{
        f"GOTRUE_RATE_LIMIT_{name}": "10000"
        for name in ("TOKEN_REFRESH", "VERIFY", "OTP", "ANONYMOUS_USERS", "EMAIL_SENT")
    },
}
"""Settings without limits."""


@dataclass
class KeptMails:
    """An outbox that keeps mails instead of sending them."""

    mails: list[MailRequest] = field(default_factory=list)
    room: int = 1000

    def has_room(self) -> bool:
        return len(self.mails) < self.room

    def offer(self, mail: MailRequest) -> bool:
        self.mails.append(mail)
        return True

    async def close(self) -> None:
        """Nothing waits."""

    def last(self, kind: str, to: str | None = None) -> MailRequest:
        """Return the newest mail of a kind, to an address if one is given."""
        return [mail for mail in self.mails if mail.kind == kind and to in (None, mail.to)][-1]


@dataclass
class Studio:
    """A server, its mails, and requests to it."""

    client: httpx.Client
    server: SignInServer
    outbox: KeptMails

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return self.client.request(method, path, json=body, headers=sent, follow_redirects=False)

    def post(self, path: str, body: Any = None, token: str | None = None, **headers: str) -> httpx.Response:
        return self.call("POST", path, {} if body is None else body, token, **headers)

    def admin_token(self, role: str = "service_role", **claims: Any) -> str:
        key = self.server.keys.keys().current(datetime.now(UTC).timestamp())
        return jwt.encode({"alg": key.algorithm, "kid": key.kid}, {"role": role, **claims}, key.key)

    def token(self, claims: Mapping[str, Any]) -> str:
        key = self.server.keys.keys().current(datetime.now(UTC).timestamp())
        return jwt.encode({"alg": key.algorithm, "kid": key.kid}, dict(claims), key.key)

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of an access token of this server."""
        key = self.server.keys.keys().current(datetime.now(UTC).timestamp())
        return jwt.decode(token, key.key, algorithms=[key.algorithm]).claims

    def signed_up(self, email: str, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        """Create an account, confirm it by its mail, and return the session."""
        response = self.post("/signup", {"email": email, "password": password, **more})
        assert response.status_code == 200, response.text
        code = self.outbox.last("signup", email).code
        return ok(self.post("/verify", {"type": "signup", "email": email, "token": code}))

    def signed_in(self, email: str, password: str = PASSWORD) -> dict[str, Any]:
        return ok(self.post("/token?grant_type=password", {"email": email, "password": password}))

    def refreshed(self, refresh_token: str) -> httpx.Response:
        return self.post("/token?grant_type=refresh_token", {"refresh_token": refresh_token})


def ok(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, (response.status_code, response.text)
    body: dict[str, Any] = response.json()
    return body


def refused(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    body = response.json()
    assert response.headers["x-sb-error-code"] == body["error_code"]
    return response.status_code, body["error_code"]


def link_parts(link: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return the address of a link or redirect, and what its query and its fragment say."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}{parts.path}", dict(parse_qsl(parts.query)), dict(parse_qsl(parts.fragment))


@contextmanager
def studio(dsn: str, **values: str) -> Iterator[Studio]:
    """Serve a database that has what `tenantry auth init` installs."""
    settings = sign_in_settings(
        {
            "DATABASE_URL": dsn,
            "API_EXTERNAL_URL": BASE,
            "TENANTRY_AUTH_MAIL_ANSWER": "0s",
            "GOTRUE_SITE_URL": SITE,
            "GOTRUE_DB_MAX_POOL_SIZE": "5",
            **UNLIMITED,
            **values,
        }
    )
    outbox = KeptMails()
    server = SignInServer(
        settings,
        FixedKeys(SigningKeys((new_key(),))),
        Passwords(2, cost=4),
        ServerDatabase(dsn, settings.pool_size),
        outbox,
    )
    with serving(server) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield Studio(client, server, outbox)


def serving(server: SignInServer, listening: socket.socket | None = None) -> AbstractContextManager[str]:
    """Serve a sign-in server; see serving_app()."""
    return serving_app(sign_in_app(server), listening)


@contextmanager
def serving_app(served: ASGIApp, listening: socket.socket | None = None) -> Iterator[str]:
    """Serve over HTTP on a bound socket or a free port of this machine; return the address."""
    running = uvicorn.Server(
        uvicorn.Config(served, port=0, log_level="warning", lifespan="on", access_log=False, proxy_headers=False)
    )
    thread = threading.Thread(target=running.run, args=[[listening] if listening else None], daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not running.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        port = running.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join(30)
