"""Catches the mails of a development server: SMTP on the loopback address, and a page that shows what came.

Mails are kept in memory, a limited number of them. Nothing is sent on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tenantry.errors import SettingsError

HOST = "127.0.0.1"
"""Sign-in codes are shown to everyone who reaches the page: only this machine does."""
LARGEST_MAIL = 2_000_000
_LINK = re.compile(r"""https?://[^\s"'<>]*[^\s"'<>.,;:!?)]""")
_CODE = re.compile(r"(?<![\w/=-])\d{6,10}(?![\w/-])")
_CLOSED = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


@dataclass(frozen=True, slots=True)
class CaughtMail:
    """
    Attributes:
        links: addresses in the text, in order.
        codes: groups of 6 to 10 digits in the text, in order.
    """

    id: int
    received_at: str
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    links: tuple[str, ...]
    codes: tuple[str, ...]


class MailCatcher:
    """The mails, the SMTP handler that takes them, and the page that shows them."""

    def __init__(self, keep: int = 500) -> None:
        self._numbers = itertools.count(1)
        self._kept: deque[CaughtMail] = deque(maxlen=keep)

    @property
    def mails(self) -> tuple[CaughtMail, ...]:
        """The mails, the newest first."""
        return tuple(reversed(self._kept))

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        parsed = message_from_bytes(content, policy=default_policy)
        assert isinstance(parsed, EmailMessage)
        self._kept.append(_read(parsed, next(self._numbers), tuple(map(str, envelope.rcpt_tos))))
        return "250 caught"

    def smtp(self) -> SMTP:
        """Return the protocol of one connection."""
        return SMTP(self, data_size_limit=LARGEST_MAIL, enable_SMTPUTF8=True, ident="mail catcher")

    def app(self) -> Starlette:
        """Return the page, and /api/messages for tests: GET lists (`?to=` one recipient's), DELETE forgets all."""
        environment = Environment(loader=PackageLoader(__package__, "templates"), autoescape=True)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

        async def listed(_request: Request) -> Response:
            page = environment.get_template("catcher_list.html.j2").render(mails=self.mails)
            return HTMLResponse(page, headers={**headers, "Content-Security-Policy": _CLOSED})

        async def shown(request: Request) -> Response:
            mail = self._find(request)
            if mail is None:
                return Response("There is no such mail any more.", 404)
            page = environment.get_template("catcher_mail.html.j2").render(mail=mail)
            return HTMLResponse(page, headers={**headers, "Content-Security-Policy": f"{_CLOSED}; frame-src 'self'"})

        async def html(request: Request) -> Response:
            mail = self._find(request)
            policy = {"Content-Security-Policy": f"{_CLOSED}; sandbox allow-popups"}
            return HTMLResponse(mail.html if mail else "", 200 if mail else 404, headers={**headers, **policy})

        async def api(request: Request) -> Response:
            if request.method == "DELETE":
                self._kept.clear()
                return Response(status_code=204)
            wanted = request.query_params.get("to", "").lower()
            found = [asdict(each) for each in self.mails if not wanted or wanted in map(str.lower, each.to)]
            return JSONResponse({"messages": found}, headers=headers)

        routes = [
            Route("/", listed),
            Route("/messages/{id:int}", shown),
            Route("/messages/{id:int}/html", html),
            Route("/api/messages", api, methods=["GET", "DELETE"]),
        ]
        # A page of another site whose name leads to the loopback address (DNS rebinding) must not read codes.
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
        return Starlette(routes=routes, middleware=[hosts])

    def _find(self, request: Request) -> CaughtMail | None:
        return next((each for each in self._kept if each.id == request.path_params["id"]), None)


@asynccontextmanager
async def catching(catcher: MailCatcher, port: int = 0) -> AsyncIterator[int]:
    """Take mails by SMTP on the loopback address while this lasts. Yields the port.

    Raises:
        SettingsError: the port is taken.
    """
    try:
        server = await asyncio.get_running_loop().create_server(catcher.smtp, HOST, port)
    except OSError as error:
        raise _taken(port, error) from None
    async with server:
        yield int(server.sockets[0].getsockname()[1])


def catch_mails(
    smtp_port: int, web_port: int, *, keep: int = 500, started: Callable[[int, int], None] = lambda _smtp, _web: None
) -> None:
    """Catch mails and show them until the process is told to stop.

    Args:
        smtp_port, web_port: 0: any free one.
        started: called with both ports when they are open.

    Raises:
        SettingsError: a port is taken.
    """
    catcher = MailCatcher(keep)

    async def run() -> None:
        with _listening(web_port) as web:
            async with catching(catcher, smtp_port) as smtp:
                started(smtp, int(web.getsockname()[1]))
                config = uvicorn.Config(catcher.app(), log_level="warning", lifespan="off", server_header=False)
                await uvicorn.Server(config).serve(sockets=[web])

    asyncio.run(run())


def _listening(port: int) -> socket.socket:
    found = socket.socket()
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen(100)
    except OSError as error:
        found.close()
        raise _taken(port, error) from None
    return found


def _taken(port: int, error: OSError) -> SettingsError:
    return SettingsError(
        f"Port {port} of {HOST} cannot be opened: {os.strerror(error.errno or 0)}.",
        hint="Give another one with --smtp-port or --web-port, or stop the process that uses this one.",
    )


def _read(message: EmailMessage, number: int, recipients: tuple[str, ...]) -> CaughtMail:
    text, html = _body(message, "plain"), _body(message, "html")
    found = CaughtMail(
        number,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        str(message.get("From", "")),
        recipients,
        str(message.get("Subject", "")),
        text,
        html,
        (),
        (),
    )
    searched = text or re.sub(r"<[^>]*>", " ", html)
    return replace(found, links=tuple(_LINK.findall(searched)), codes=tuple(_CODE.findall(_LINK.sub(" ", searched))))


def _body(message: EmailMessage, kind: str) -> str:
    part: Any = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError):
        return "(The text has an encoding that cannot be read.)"
