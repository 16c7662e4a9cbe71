"""A FastAPI dependency that gives routes their caller.

guard = TokenGuard(verifier)
guard.install(app)

@app.get("/providers")
def providers(caller: Annotated[VerifiedCaller, Depends(guard)]):
    with pool.connection() as connection, tenant(connection, caller.claims, key, schema="clinic", check_session=True) as me:
        return me.execute("select id, name from providers").fetchall()

@app.delete("/clinic")
def close(caller: Annotated[VerifiedCaller, Depends(guard.require(aal="aal2", anonymous=False))]): ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Any

from tenantry.auth.verify.answers import REFUSALS, Refusal, bearer_token, refusal_answer
from tenantry.auth.verify.caller import LEVELS, VerifiedCaller
from tenantry.auth.verify.errors import AuthPackagesMissing, TokenRefused
from tenantry.auth.verify.middleware import Check
from tenantry.auth.verify.verifier import Verifier
from tenantry.errors import SettingsError

try:
    from fastapi import FastAPI, HTTPException, Security
    from fastapi.security import HTTPBearer
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.websockets import WebSocket
except ImportError as missing:
    raise AuthPackagesMissing(
        "The dependency for FastAPI needs FastAPI, which is not installed.", hint="pip install fastapi 'tenantry[auth]'"
    ) from missing


class _Bearer(HTTPBearer):
    """States in the API's description that a route takes a bearer token. The guard reads the header itself, of WebSockets too."""

    async def __call__(self, _connection: HTTPConnection) -> None:
        return None


_Shown = Annotated[None, Security(_Bearer(scheme_name="access token", bearerFormat="JWT"))]

Dependency = Callable[..., Awaitable[VerifiedCaller]]


class RefusedAnswer(HTTPException):
    """The refusal as FastAPI knows it, so that it is an answer of 401 or 403 also where install() was forgotten."""

    def __init__(self, error: Refusal) -> None:
        self.answer = refusal_answer(error)
        super().__init__(self.answer.status, detail=error.message, headers=self.answer.headers)


class TokenGuard:
    """A dependency: `Depends(guard)` is the verified caller of a request, and refuses requests without one.

    Args:
        check: looks further at a caller whose token is right, such as session_check(pool).
    """

    def __init__(self, verifier: Verifier, *, check: Check | None = None) -> None:
        self._verifier, self._check = verifier, check

    def install(self, app: FastAPI) -> None:
        """Answer refusals of this application as problems: of this guard, and those that routes raise, such as the end of a session."""

        async def refused(connection: Any, error: Exception) -> Response:
            answer = error.answer if isinstance(error, RefusedAnswer) else refusal_answer(error)  # type: ignore[arg-type]
            response = Response(answer.body, answer.status, answer.headers)
            if isinstance(connection, WebSocket):
                if "websocket.http.response" in connection.scope.get("extensions", {}):
                    await connection.send_denial_response(response)
                else:
                    await connection.close(1008)
            return response

        for kind in (RefusedAnswer, *REFUSALS):
            app.add_exception_handler(kind, refused)

    async def __call__(self, connection: HTTPConnection, _shown: _Shown = None) -> VerifiedCaller:
        """Return the caller of a request; FastAPI calls this."""
        return await self._caller(connection)

    def require(
        self, *, aal: str | None = None, anonymous: bool = True, roles: Collection[str] | None = None
    ) -> Dependency:
        """Return a dependency that asks for more than a valid token; see VerifiedCaller.require().

        Raises:
            SettingsError: there is no such level.
        """
        if aal is not None and aal not in LEVELS:
            raise SettingsError(f"{aal!r} is no authenticator assurance level.", hint=f"One of: {', '.join(LEVELS)}.")

        async def dependency(connection: HTTPConnection, _shown: _Shown = None) -> VerifiedCaller:
            caller = await self._caller(connection)
            try:
                caller.require(aal=aal, anonymous=anonymous, roles=roles)
            except REFUSALS as error:
                raise RefusedAnswer(error) from None
            return caller

        return dependency

    async def optional(self, connection: HTTPConnection, _shown: _Shown = None) -> VerifiedCaller | None:
        """A dependency for routes that also serve callers without a token: None for these. A wrong token is refused."""
        if "authorization" in connection.headers:
            return await self._caller(connection)
        return None

    async def _caller(self, connection: HTTPConnection) -> VerifiedCaller:
        try:
            token = bearer_token(connection.headers.raw)
            if token is None:
                raise TokenRefused("This needs an access token.", reason="missing")
            caller = await self._verifier.verify_async(token)
            if self._check is not None:
                await self._check(caller)
        except REFUSALS as error:
            raise RefusedAnswer(error) from None
        return caller
