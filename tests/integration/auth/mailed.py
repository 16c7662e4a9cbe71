"""A sign-in server for official clients: over HTTP under /auth/v1, with mails that are sent by SMTP to a catcher."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import uvicorn
from joserfc import jwt
from psycopg import sql
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tenantry.auth.install.database import install_database
from tenantry.auth.keys import FixedKeys, SigningKeys, new_key
from tenantry.auth.mail import Mailer, MailTemplates, RetryDelays, SmtpSender, SmtpSettings
from tenantry.auth.mail.catcher import CaughtMail, MailCatcher, catching
from tenantry.auth.passwords import Passwords
from tenantry.auth.server.database import Database as ServerDatabase
from tenantry.auth.server.state import SignInServer
from tenantry.auth.settings import sign_in_settings
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database
from tests.integration.auth.sign_in import SITE, UNLIMITED, serving

_AGE = """
update auth.refresh_tokens set updated_at = updated_at - interval '1 minute' where session_id in (
    select session_id from auth.refresh_tokens where token = %s)
"""


class Mailbox:
    """A mail server in a thread of its own, its page, and what only tests do to the database."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._catcher = MailCatcher()
        self._taken: set[int] = set()
        self._ready = threading.Event()
        self.smtp_port = 0
        self.web = socket.create_server(("127.0.0.1", 0))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.web.getsockname()[1]}"

    def mail(self, to: str, subject: str = "", patience: float = 30) -> CaughtMail:
        """Return the oldest mail to an address that was not read yet. It is sent after the answer: wait for it."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for each in reversed(self._catcher.mails):
                if each.id not in self._taken and to in each.to and subject.lower() in each.subject.lower():
                    self._taken.add(each.id)
                    return each
            time.sleep(0.002)
        raise AssertionError(f"no mail came to {to}; there are {[each.to for each in self._catcher.mails]}")

    def age(self, refresh_token: str) -> None:
        """Let a minute pass for the used refresh tokens of a session."""
        with psycopg.connect(self._dsn, autocommit=True) as owner:
            owner.execute(_AGE, [refresh_token])

    @contextmanager
    def running(self) -> Iterator[Mailbox]:
        app = self._catcher.app()
        app.routes.append(Route("/age/{token}", self._age, methods=["POST"]))
        page = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            await self._listen()
            self._ready.set()
            await page.serve(sockets=[self.web])
            await self._hang_up()

        thread = threading.Thread(target=asyncio.run, args=[run()], daemon=True)
        thread.start()
        try:
            assert self._ready.wait(30)
            yield self
        finally:
            page.should_exit = True
            thread.join(30)

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Refuse connections for a while."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(30)
        yield
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)

    async def _listen(self) -> None:
        self._taking = catching(self._catcher, self.smtp_port)
        self.smtp_port = await self._taking.__aenter__()

    async def _hang_up(self) -> None:
        await self._taking.__aexit__(None, None, None)

    async def _age(self, request: Request) -> Response:
        await asyncio.to_thread(self.age, request.path_params["token"])
        return JSONResponse({})


@dataclass(frozen=True)
class Mailed:
    """A running server, as an official client sees it.

    Attributes:
        project: what `supabase.create_client` is given; url: the same for clients of sign-in alone.
        anon, service: the keys of a project: tokens of these roles.
    """

    project: str
    mailbox: Mailbox
    server: SignInServer

    @property
    def url(self) -> str:
        return f"{self.project}/auth/v1"

    @property
    def anon(self) -> str:
        return self.key("anon")

    @property
    def service(self) -> str:
        return self.key("service_role")

    def key(self, role: str) -> str:
        now = int(datetime.now(UTC).timestamp())
        signer = self.server.keys.keys().current(now)
        claims: dict[str, Any] = {"role": role, "iss": "tenantry", "iat": now, "exp": now + 3600}
        return jwt.encode({"alg": signer.algorithm, "kid": signer.kid}, claims, signer.key)


@contextmanager
def mailed(postgres: EmbeddedServer) -> Iterator[Mailed]:
    """Serve a new database."""
    with fresh_database(postgres) as database, served_over(database) as made:
        yield made


@contextmanager
def served_over(database: Database, *, wait_seconds: float = 30, **values: str) -> Iterator[Mailed]:
    """Serve a database as the login that `tenantry auth init` makes; mails go to a mailbox by SMTP.

    Args:
        wait_seconds: how long a request waits for a connection. It is long, as tests run on machines that do much else.
    """
    login = f"tenantry_auth_{uuid4().hex[:8]}"
    with database.connect() as owner:
        install_database(owner, login, None)
    try:
        with _served(database, login, values, wait_seconds) as made:
            yield made
    finally:
        with database.connect() as owner:
            owner.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(login)))


@contextmanager
def _served(database: Database, login: str, values: Mapping[str, str], wait_seconds: float) -> Iterator[Mailed]:
    dsn = database.dsn_as(login)
    with Mailbox(database.dsn).running() as mailbox, socket.create_server(("127.0.0.1", 0)) as listening:
        project = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = sign_in_settings(
            {
                "DATABASE_URL": dsn,
                "API_EXTERNAL_URL": f"{project}/auth/v1",
                "TENANTRY_AUTH_MAIL_ANSWER": "0s",
                "GOTRUE_SITE_URL": SITE,
                "GOTRUE_DB_MAX_POOL_SIZE": "5",
                "GOTRUE_API_MAX_REQUEST_DURATION": "60s",
                **UNLIMITED,
                **values,
            }
        )
        smtp = SmtpSettings("127.0.0.1", mailbox.smtp_port, "no-reply@app.test", "Clinic")
        server = SignInServer(
            settings,
            FixedKeys(SigningKeys((new_key(),))),
            Passwords(2, cost=4),
            ServerDatabase(dsn, settings.pool_size, wait_seconds),
            Mailer(SmtpSender(smtp), MailTemplates(), delays=RetryDelays((0.1,) * 100)),
        )
        with serving(server, listening):
            yield Mailed(project, mailbox, server)
