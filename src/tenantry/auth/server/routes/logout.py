"""POST /logout: ends sessions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tenantry.auth.server.caller import signed_in
from tenantry.auth.server.endpoint import Endpoint
from tenantry.auth.server.failures import invalid
from tenantry.auth.server.sessions import end
from tenantry.auth.server.state import SignInServer


async def logout(server: SignInServer, request: Request) -> Response:
    async with server.database.transaction() as unit:
        caller = await signed_in(request, server, unit)
        scope = request.query_params.get("scope", "") or "global"
        if scope not in {"global", "local", "others"}:
            raise invalid(f'Unsupported logout scope "{scope[:40]}"')
        await end(unit, scope, caller.account, caller.session)
    return Response(status_code=204)


ENDPOINTS = (Endpoint("POST", "/logout", logout),)
