"""POST /factors and below: time-based one-time codes (TOTP, RFC 6238) as a second factor."""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID, uuid4

import pyotp
import segno
from starlette.requests import Request
from starlette.responses import Response

from tenantry.auth.server.accounts import must_exist
from tenantry.auth.server.caller import SignedIn, claims_of, signed_in
from tenantry.auth.server.database import Row, Unit
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.events import note
from tenantry.auth.server.failures import SignInRefused, invalid, too_many_requests
from tenantry.auth.server.limits import allowed
from tenantry.auth.server.reading import bad_json, client_address, read_body, uuid_of
from tenantry.auth.server.sessions import new_refresh_token, renewed
from tenantry.auth.server.state import SignInServer

_CODE_WINDOW = timedelta(seconds=120)
_UNVERIFIED_LIFETIME = timedelta(minutes=5)
_KINDS = {
    "phone": SignInRefused(422, "mfa_phone_enroll_not_enabled", "MFA enroll is disabled for Phone"),
    "webauthn": SignInRefused(422, "mfa_webauthn_enroll_not_enabled", "MFA enroll is disabled for WebAuthn"),
}
_TRIES, _TRIES_WINDOW = 20, timedelta(minutes=10)
"""Codes that may be tried for one factor: of a million codes three are right at any time."""


async def _caller(server: SignInServer, request: Request, unit: Unit) -> SignedIn:
    caller = await signed_in(request, server, unit)
    if caller.claims.get("is_anonymous"):
        raise SignInRefused(403, "no_authorization", "Anonymous user not allowed to perform these actions")
    return caller


async def enroll(server: SignInServer, request: Request) -> Response:
    settings = server.settings
    claims_of(request, server)
    # Read before a connection is taken: a body may come slowly.
    body = await read_body(request, {"factor_type": str, "friendly_name": str, "issuer": str, "phone": str})
    async with server.database.transaction() as unit:
        caller = await _caller(server, request, unit)
        if caller.session is None:
            raise SignInRefused(
                500, "unexpected_failure", "A valid session and a registered user are required to enroll a factor"
            )
        kind, name = body["factor_type"], body["friendly_name"]
        if kind in _KINDS:
            refused = _KINDS[kind]
            raise SignInRefused(refused.status, refused.code, refused.message)
        if kind != "totp":
            raise invalid("factor_type needs to be totp, phone, or webauthn")
        if not settings.totp_enroll:
            raise SignInRefused(422, "mfa_totp_enroll_not_enabled", "MFA enroll is disabled for TOTP")
        await unit.run("accounts.lock", id=caller.account.id)
        await unit.run("factors.drop_stale", user=caller.account.id, lifetime=_UNVERIFIED_LIFETIME)
        account = await must_exist(unit, caller.account.id)
        if any((each.get("friendly_name") or "") == name for each in account.factors):
            raise SignInRefused(
                422,
                "mfa_factor_name_conflict",
                f'A factor with the friendly name "{name}" for this user already exists',
            )
        verified = sum(each["status"] == "verified" for each in account.factors)
        if len(account.factors) >= settings.max_factors or verified >= settings.max_verified_factors:
            message = "Maximum number of verified factors reached, unenroll to continue"
            raise SignInRefused(422, "too_many_enrolled_mfa_factors", message)
        if verified and caller.aal != "aal2":
            raise SignInRefused(403, "insufficient_aal", "AAL2 required to enroll a new factor")
        factor, secret = uuid4(), pyotp.random_base32(32)
        await unit.run("factors.create", id=factor, user=account.id, friendly_name=name, secret=secret)
        await note(unit, "factor_in_progress", account, {"factor_id": str(factor)})
    issuer = body["issuer"] or urlsplit(settings.site_url).netloc
    uri = _uri(issuer, account.email or str(account.id), secret)
    drawing = segno.make_qr(uri, error="h").svg_inline(scale=4, border=4)
    shown = {"qr_code": f'<?xml version="1.0"?>\n{drawing}', "secret": secret, "uri": uri}
    return answer({"id": str(factor), "type": "totp", "friendly_name": name, "totp": shown})


def _uri(issuer: str, name: str, secret: str) -> str:
    """Return what an authenticator reads, with every parameter said, as Supabase Auth writes it."""
    told = urlencode(
        {"algorithm": "SHA1", "digits": 6, "issuer": issuer, "period": 30, "secret": secret}, quote_via=quote
    )
    return f"otpauth://totp/{quote(issuer, safe='')}:{quote(name, safe='@')}?{told}"


async def _factor(unit: Unit, request: Request, caller: SignedIn) -> Row:
    """Return the caller's factor that the path names, with its secret.

    Raises:
        SignInRefused: 404, they have none.
    """
    given = uuid_of(request.path_params["factor_id"])
    if given is None:
        raise invalid("factor_id must be an UUID", 404)
    row = await unit.one("factors.of", id=given, user=caller.account.id)
    if row is None:
        raise SignInRefused(404, "mfa_factor_not_found", "Factor not found")
    if row["factor_type"] != "totp":
        kind = "phone" if row["factor_type"] == "phone" else "webauthn"
        raise SignInRefused(422, f"mfa_{kind}_verify_not_enabled", f"MFA verification is disabled for {kind.title()}")
    return row


async def challenge(server: SignInServer, request: Request) -> Response:
    async with server.database.transaction() as unit:
        caller = await _caller(server, request, unit)
        factor = await _factor(unit, request, caller)
        if not server.settings.totp_verify:
            raise SignInRefused(422, "mfa_totp_verify_not_enabled", "MFA verification is disabled for TOTP")
        asked = uuid4()
        await unit.run("factors.challenge", id=asked, factor=factor["id"], ip=client_address(request) or "127.0.0.1")
        traits = {"factor_id": str(factor["id"]), "factor_status": factor["status"]}
        await note(unit, "challenge_created", caller.account, traits)
    expires = datetime.now(UTC) + timedelta(seconds=server.settings.challenge_seconds)
    return answer({"id": str(asked), "type": "totp", "expires_at": int(expires.timestamp())})


async def verify(server: SignInServer, request: Request) -> Response:
    async with server.database.connection() as unit:
        caller = await _caller(server, request, unit)
        factor = await _factor(unit, request, caller)
    body = await read_body(request, {"challenge_id": str, "code": str}, challenge_id=str(UUID(int=0)))
    if not body["code"]:
        raise invalid("Code needs to be non-empty")
    if not server.settings.totp_verify:
        raise SignInRefused(422, "mfa_totp_verify_not_enabled", "MFA verification is disabled for TOTP")
    if not await allowed(server.database, f"factor:{factor['id']}", _TRIES, _TRIES_WINDOW):
        raise too_many_requests()
    async with server.database.transaction() as unit:
        await unit.run("accounts.lock", id=caller.account.id)
        caller = await _caller(server, request, unit)
        factor = await _factor(unit, request, caller)
        await _check_challenge(server, unit, request, factor, body)
        first = factor["status"] != "verified"
        traits = {"factor_id": str(factor["id"]), "challenge_id": body["challenge_id"], "factor_type": "totp"}
        await note(unit, "verification_attempted", caller.account, traits)
        await unit.run("factors.verified", id=factor["id"], challenge=UUID(body["challenge_id"]))
        if caller.session is None:
            raise SignInRefused(403, "session_not_found", "Session from session_id claim in JWT does not exist")
        session = caller.session["id"]
        fresh = new_refresh_token()
        await unit.run(
            "factors.raise_session", session=session, factor=factor["id"], user=caller.account.id, token=fresh
        )
        await unit.run("factors.end_lower", user=caller.account.id, session=session)
        if first:
            await unit.run("factors.drop_unverified", user=caller.account.id)
        account = await must_exist(unit, caller.account.id)
        return answer(await renewed(server, unit, account, session, fresh, "totp"))


async def _check_challenge(
    server: SignInServer, unit: Unit, request: Request, factor: Row, body: dict[str, Any]
) -> None:
    given = body["challenge_id"]
    known = uuid_of(given)
    if known is None:
        raise bad_json("field challenge_id is no UUID")
    row = await unit.one("factors.find_challenge", id=known, factor=factor["id"])
    if row is None:
        raise SignInRefused(422, "mfa_factor_not_found", "MFA factor with the provided challenge ID not found")
    if row["verified_at"] is not None or str(row["ip_address"]) != (client_address(request) or "127.0.0.1"):
        raise SignInRefused(422, "mfa_ip_address_mismatch", "Challenge and verify IP addresses mismatch.")
    if row["created_at"] + timedelta(seconds=server.settings.challenge_seconds) < datetime.now(UTC):
        await unit.run("factors.drop_challenge", id=row["id"])
        raise SignInRefused(
            422,
            "mfa_challenge_expired",
            f"MFA challenge {given} has expired, verify against another challenge or create a new challenge.",
            keep=True,
        )
    counter = matched_counter(factor["secret"], body["code"], datetime.now(UTC))
    # A code counts once (RFC 6238, 5.2), although it is right for 90 seconds.
    if counter is None or not await allowed(unit, f"totp used:{factor['id']}:{counter}", 1, _CODE_WINDOW):
        raise _wrong_code()


def matched_counter(secret: str, code: str, now: datetime) -> int | None:
    """Return which of the three time steps around now a code belongs to, the newest if it is that of several; None: it is wrong."""
    if not re.fullmatch(r"[0-9]{6}", code):
        return None
    totp = pyotp.TOTP(secret)
    present = int(now.timestamp()) // totp.interval
    steps = (present + 1, present, present - 1)
    return next((each for each in steps if hmac.compare_digest(totp.generate_otp(each), code)), None)


def _wrong_code() -> SignInRefused:
    return SignInRefused(422, "mfa_verification_failed", "Invalid TOTP code entered")


async def unenroll(server: SignInServer, request: Request) -> Response:
    async with server.database.transaction() as unit:
        caller = await _caller(server, request, unit)
        await unit.run("accounts.lock", id=caller.account.id)
        given = uuid_of(request.path_params["factor_id"])
        if given is None:
            raise invalid("factor_id must be an UUID", 404)
        factor = await unit.one("factors.of", id=given, user=caller.account.id)
        if factor is None:
            raise SignInRefused(404, "mfa_factor_not_found", "Factor not found")
        if factor["status"] == "verified" and caller.aal != "aal2":
            raise SignInRefused(422, "insufficient_aal", "AAL2 required to unenroll verified factor")
        await unit.run("factors.delete", id=factor["id"])
        await unit.run("factors.lower_sessions", factor=factor["id"])
        traits = {"factor_id": str(factor["id"]), "factor_status": factor["status"]}
        await note(unit, "factor_unenrolled", caller.account, traits)
    return answer({"id": str(factor["id"])})


ENDPOINTS = (
    Endpoint("POST", "/factors", enroll),
    Endpoint("POST", "/factors/{factor_id}/challenge", challenge, ("factor", "limit_factor")),
    Endpoint("POST", "/factors/{factor_id}/verify", verify, ("factor", "limit_factor")),
    Endpoint("DELETE", "/factors/{factor_id}", unenroll),
)
