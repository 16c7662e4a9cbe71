"""POST /token: a session for a password, a refresh token, or a code of PKCE."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tenantry.auth.passwords import LONGEST
from tenantry.auth.server import flows
from tenantry.auth.server.accounts import account_by_email, account_by_id
from tenantry.auth.server.caller import audience
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.failures import SignInRefused, invalid
from tenantry.auth.server.limits import take
from tenantry.auth.server.reading import read_body
from tenantry.auth.server.routes.signup import check_strength
from tenantry.auth.server.sessions import Shown, is_refresh_token, refresh, sign_in
from tenantry.auth.server.state import SignInServer


async def token(server: SignInServer, request: Request) -> Response:
    grant = request.query_params.get("grant_type", "")
    handlers = {
        "password": _password,
        "refresh_token": _refresh,
        "pkce": _pkce,
        "id_token": _id_token,
        "web3": _web3,
    }
    if grant not in handlers:
        raise SignInRefused(400, "invalid_credentials", "unsupported_grant_type")
    await take(server.database, server.settings, request, "token", server.settings.limit_token)
    return await handlers[grant](server, request)


async def _password(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, {"email": str, "phone": str, "password": str})
    email, password = body["email"], body["password"]
    if email and body["phone"]:
        raise invalid("Only an email address or phone number should be provided on login.")
    if body["phone"]:
        raise SignInRefused(422, "phone_provider_disabled", "Phone logins are disabled")
    if not email:
        raise invalid("missing email or phone")
    if not server.settings.email_enabled:
        raise SignInRefused(422, "email_provider_disabled", "Email logins are disabled")
    async with server.database.connection() as unit:
        account = await account_by_email(unit, email, audience(request, server))
    stored = account.row["encrypted_password"] if account else None
    # Checked in any case: the time of the answer does not tell whether there is such an account.
    right = await server.passwords.matches(password, stored)
    if account is None or not right or account.row["deleted_at"] is not None:
        raise SignInRefused(400, "invalid_credentials", "Invalid login credentials")
    if account.banned():
        raise SignInRefused(400, "user_banned", "User is banned")
    if not account.confirmed:
        raise SignInRefused(400, "email_not_confirmed", "Email not confirmed")
    assert stored is not None
    rehashed = None
    if server.passwords.outdated(stored) and len(password.encode()) <= LONGEST:
        rehashed = await server.passwords.hashed(password)
    async with server.unit() as unit:
        session = await sign_in(server, unit, account, request, Shown("password", "email", stored, rehashed))
    session["weak_password"] = None
    try:
        check_strength(server, password)
    except SignInRefused as weak:
        if weak.weak:
            session["weak_password"] = {"message": weak.message, "reasons": list(weak.weak)}
    return answer(session)


async def _refresh(server: SignInServer, request: Request) -> Response:
    given = (await read_body(request, {"refresh_token": str}))["refresh_token"]
    if not is_refresh_token(given):
        raise invalid("Refresh token is not valid")
    async with server.unit() as unit:
        return answer(await refresh(server, unit, given, request))


async def _pkce(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, {"auth_code": str, "code_verifier": str})
    if not body["auth_code"] or not body["code_verifier"]:
        raise invalid("invalid request: both auth code and code verifier should be non-empty")
    async with server.database.transaction() as unit:
        flow = await flows.use(server, unit, body["auth_code"], body["code_verifier"])
        account = await account_by_id(unit, flow.account)
        if account is None or account.row["deleted_at"] is not None:
            raise SignInRefused(404, "user_not_found", "User not found")
        if account.banned():
            raise SignInRefused(403, "user_banned", "User is banned")
        return answer(await sign_in(server, unit, account, request, Shown(flow.method, "email")))


async def _id_token(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, {"id_token": str, "provider": str, "client_id": str, "issuer": str})
    if not body["id_token"]:
        return answer({"error": "invalid request", "error_description": "id_token required"}, 400)
    if not body["provider"] and not (body["client_id"] and body["issuer"]):
        raise invalid("provider or client_id and issuer required")
    raise SignInRefused(
        400, "provider_disabled", f'Provider (issuer "{body["issuer"] or body["provider"]}") is not enabled'
    )


async def _web3(server: SignInServer, request: Request) -> Response:
    await read_body(request, {"chain": str, "message": str, "signature": str})
    raise SignInRefused(422, "web3_provider_disabled", "Web3 provider is disabled")


ENDPOINTS = (Endpoint("POST", "/token", token),)
