"""ASGI middleware that lets only callers with a verified token through. For Starlette, FastAPI and every other ASGI application.

    app = TokenMiddleware(app, verifier, public=["/health"])
    app.add_middleware(TokenMiddleware, verifier=verifier)  # the same with Starlette and FastAPI

The application finds the caller in `request.state.caller` (`scope["state"]["caller"]`). Put middleware for CORS outside of this one:
browsers send no token with preflight requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from tenantry.auth.verify.answers import REFUSALS, RefusalAnswer, bearer_token, refusal_answer
from tenantry.auth.verify.caller import VerifiedCaller
from tenantry.auth.verify.errors import TokenRefused
from tenantry.auth.verify.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Check = Callable[[VerifiedCaller], Awaitable[None]]


class TokenMiddleware:
    """Verifies the bearer token of each HTTP request and WebSocket.

    A refused token is answered with 401, also on public paths. So is a refusal that the application raises itself, such as
    `caller.require(aal="aal2")` or the end of a session, unless it has begun to answer.

    Args:
        required: whether a request without a token is refused; if not, its caller is None.
        public: paths of requests that need no token, exactly as the server states them.
        check: looks further at a caller whose token is right, such as session_check(pool); raises an error of REFUSALS.
    """

    def __init__(
        self,
        app: Application,
        verifier: Verifier,
        *,
        required: bool = True,
        public: Collection[str] = (),
        check: Check | None = None,
    ) -> None:
        self._app, self._verifier, self._check = app, verifier, check
        self._required, self._public = required, frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            caller = await self._caller(scope)
            # A copy: the state that servers hand over may be shared by requests.
            inner = {**scope, "state": {**scope.get("state", {}), "caller": caller}}
            await self._app(inner, receive, watched)
        except REFUSALS as error:
            if begun:
                raise
            await _answer(refusal_answer(error), scope, send)

    async def _caller(self, scope: Scope) -> VerifiedCaller | None:
        token = bearer_token(scope["headers"])
        if token is None:
            if self._required and scope["path"] not in self._public:
                raise TokenRefused("This needs an access token.", reason="missing")
            return None
        caller = await self._verifier.verify_async(token)
        if self._check is not None:
            await self._check(caller)
        return caller


async def _answer(answer: RefusalAnswer, scope: Scope, send: Send) -> None:
    prefix = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        prefix = "websocket.http"
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    await send(
        {
            "type": f"{prefix}.response.start",
            "status": answer.status,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    await send({"type": f"{prefix}.response.body", "body": answer.body})
