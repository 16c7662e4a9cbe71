"""The ASGI application of the sign-in server."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from tenantry.auth.server.caller import AUDIENCE_HEADER
from tenantry.auth.server.database import database_failure
from tenantry.auth.server.endpoint import Endpoint
from tenantry.auth.server.failures import VERSION_HEADER, SignInRefused, failure_response, unexpected
from tenantry.auth.server.routes.table import ENDPOINTS
from tenantry.auth.server.state import SignInServer

_log = logging.getLogger("tenantry.auth")
_HEADERS = [
    "Accept",
    "Authorization",
    "Content-Type",
    "X-Client-IP",
    "X-Client-Info",
    AUDIENCE_HEADER,
    "x-use-cookie",
    VERSION_HEADER,
    # Supabase's gateway, which reads this header, allows it itself; here there is none between browser and server.
    "apikey",
]
SWEEP_SECONDS = 300
_SWEEPS = ("limits.sweep", "limits.sweep_flows", "limits.sweep_challenges", "limits.sweep_sessions")
_NO_STORE = {"Cache-Control": "no-store"}


def sign_in_app(server: SignInServer) -> Starlette:
    """Return the application, to be served at the root or mounted under /auth/v1; it answers under both of its own accord.

    Its lifespan opens the connections; an application that mounts it runs that lifespan, or calls `server.database.open()`.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await server.database.open()
        sweeper = asyncio.create_task(_sweep(server))
        try:
            yield
        finally:
            sweeper.cancel()
            if server.outbox is not None:
                await server.outbox.close()
            await server.database.close()
            server.passwords.close()

    routes = _routes(server)
    headers = [*_HEADERS, *server.settings.cors_headers]
    app = Starlette(
        routes=[*routes, Mount("/auth/v1", routes=routes)],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_failure, Exception: _any_failure},
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=headers,
                expose_headers=["X-Total-Count", "Link", VERSION_HEADER],
            )
        ],
    )
    # A redirect to the path without its slash would lead past a gateway's prefix.
    app.router.redirect_slashes = False
    return app


def _routes(server: SignInServer) -> list[Route]:
    by_path: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for each in ENDPOINTS:
        by_path[each.path][each.method] = each
    made = [Route(path, _dispatch(server, methods), methods=list(methods)) for path, methods in by_path.items()]
    for route in made:
        # Starlette answers HEAD where there is GET; Supabase Auth does not.
        assert route.methods is not None
        route.methods.discard("HEAD")
    return made


def _dispatch(server: SignInServer, methods: dict[str, Endpoint]):  # type: ignore[no-untyped-def]
    async def respond(request: Request) -> Response:
        endpoint = methods.get(request.method)
        if endpoint is None:
            # HEAD, which a mail scanner sends to a link, must not do what GET does.
            return Response(status_code=405, headers={"Allow": ", ".join(methods)})
        try:
            async with asyncio.timeout(server.settings.request_seconds.total_seconds()):
                response = await endpoint.call(server, request)
        except SignInRefused as problem:
            response = failure_response(request, problem)
        except TimeoutError:
            refused = SignInRefused(
                504, "request_timeout", "Processing this request timed out, please retry after a moment."
            )
            response = failure_response(request, refused)
        except (psycopg.Error, PoolTimeout, TooManyRequests) as problem:
            response = failure_response(request, database_failure(problem))
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as problem:  # noqa: BLE001 - its text may hold a secret, so nothing above this may print it
            response = failure_response(request, _unexpected(problem))
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return respond


def _unexpected(problem: Exception) -> SignInRefused:
    """Note a defect without its values, which may be secrets: where it happened, and a number that the answer has, too."""
    number = secrets.token_hex(4)
    trace, places = problem.__traceback__, []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}")
        trace = trace.tb_next
    _log.error("unexpected failure %s: %s at %s", number, type(problem).__name__, " > ".join(places[-4:]))
    failure = unexpected()
    failure.message += f" (error id {number})"
    return failure


async def _http_failure(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    if problem.status_code == 404:
        return PlainTextResponse("404 page not found\n", 404, headers=_NO_STORE)
    return Response(status_code=problem.status_code, headers={**(problem.headers or {}), **_NO_STORE})


async def _any_failure(request: Request, problem: Exception) -> Response:
    return failure_response(request, _unexpected(problem), _NO_STORE)


async def _sweep(server: SignInServer) -> None:
    """Remove what no longer counts, now and then; several processes may do so at once."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await sweep(server)


async def sweep(server: SignInServer) -> None:
    """Remove limits without effect, flows and challenges that are over, and sessions that ended a week ago."""
    for name in _SWEEPS:
        try:
            await server.database.one(name)
        except (psycopg.Error, PoolTimeout, TooManyRequests) as problem:
            _log.warning("%s failed: %s", name, type(problem).__name__)


__all__ = ["sign_in_app", "sweep"]
