"""Endpoints as values: method, path, what limits them, and the function that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tenantry.auth.server.limits import take
from tenantry.auth.server.state import SignInServer

Handler = Callable[[SignInServer, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    Attributes:
        limited: kind of the limit per address and the name of the setting that has its number; None without a limit.
        level: the answer comes after the same time at least, so that its time does not tell what was done: an account's codes are kept,
            and nothing is kept for an address without one.
    """

    method: str
    path: str
    answer: Handler
    limited: tuple[str, str] | None = None
    level: bool = False

    async def call(self, server: SignInServer, request: Request) -> Response:
        if self.limited is not None:
            kind, setting = self.limited
            await take(server.database, server.settings, request, kind, getattr(server.settings, setting))
        if not self.level:
            return await self.answer(server, request)
        begun = monotonic()
        try:
            return await self.answer(server, request)
        finally:
            await asyncio.sleep(server.settings.mail_answer.total_seconds() - (monotonic() - begun))


def answer(content: Any, status: int = 200, **headers: str) -> Response:
    return JSONResponse(content, status, {name.replace("_", "-"): value for name, value in headers.items()} or None)


__all__ = ["Endpoint", "Handler", "answer"]
