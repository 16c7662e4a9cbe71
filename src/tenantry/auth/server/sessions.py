"""Sessions: a sign-in opens one, its refresh token renews it, signing out ends it."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from joserfc import jwt
from starlette.requests import Request

from tenantry.accounts.user_json import session_json
from tenantry.auth.server.accounts import SignInAccount
from tenantry.auth.server.database import Row, Unit
from tenantry.auth.server.events import payload
from tenantry.auth.server.failures import SignInRefused
from tenantry.auth.server.hooks import edited_claims
from tenantry.auth.server.reading import client_address
from tenantry.auth.server.state import SignInServer

_REFUSALS = {
    "refresh_token_not_found": "Invalid Refresh Token: Refresh Token Not Found",
    "refresh_token_already_used": "Invalid Refresh Token: Already Used",
    "session_not_found": "Invalid Refresh Token: No Valid Session Found",
    "session_expired": "Invalid Refresh Token: Session Expired",
    "session_inactive": "Invalid Refresh Token: Session Expired (Inactivity)",
    "session_superseded": "Invalid Refresh Token: Session Expired (Revoked by Newer Login)",
    "user_banned": "Invalid Refresh Token: User Banned",
}
_SECOND = {"totp", "mfa/phone", "mfa/webauthn"}
_CODES = {"session_inactive": "session_expired", "session_superseded": "session_expired"}
"""Outcomes that clients know under one code."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a session is used from."""

    user_agent: str | None
    address: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """How somebody has shown whose account it is.

    Attributes:
        method: password, otp, anonymous, recovery … as the claim `amr` has it.
        provider: for the log.
        checked: the hash that a password was compared with: the sign-in counts only if it is still the account's.
        rehashed: the same password under a newer hash, stored along with the session.
    """

    method: str
    provider: str = ""
    checked: str | None = field(repr=False, default=None)
    rehashed: str | None = field(repr=False, default=None)


def device(request: Request) -> Device:
    agent = request.headers.get("user-agent", "").replace("\x00", "")[:1024]
    return Device(agent or None, client_address(request))


async def sign_in(
    server: SignInServer,
    unit: Unit,
    account: SignInAccount,
    request: Request,
    shown: Shown,
) -> dict[str, Any]:
    """Open a session, and return the answer that clients get.

    Raises:
        SignInRefused: 400 invalid_credentials, the account changed meanwhile.
    """
    session, fresh, where = uuid4(), new_refresh_token(), device(request)
    opened = await unit.one(
        "sessions.sign_in",
        user=account.id,
        session=session,
        token=fresh,
        method=shown.method,
        checked=shown.checked,
        rehashed=shown.rehashed,
        user_agent=where.user_agent,
        ip=where.address,
        payload=payload("login", account, {"provider": shown.provider or shown.method}),
    )
    if opened is None:
        raise SignInRefused(400, "invalid_credentials", "Invalid login credentials")
    moment: datetime = opened["moment"]
    methods = [{"method": shown.method, "timestamp": int(moment.timestamp())}]
    times = {"last_sign_in_at": opened["last_sign_in_at"], "updated_at": opened["updated_at"]}
    token, lifetime = await access_token(server, unit, account, session, "aal1", methods, shown.method)
    return session_json(
        account.shown(**times), access_token=token, refresh_token=fresh, expires_in=lifetime, now=datetime.now(UTC)
    )


async def refresh(server: SignInServer, unit: Unit, given: str, request: Request) -> dict[str, Any]:
    """Use a refresh token, and return the answer that clients get.

    Raises:
        SignInRefused: with the codes of Supabase Auth; when a token is used again too late, all of its session are revoked.
    """
    where, settings = device(request), server.settings
    used = await unit.one(
        "sessions.refresh",
        token=given,
        fresh=new_refresh_token(),
        reuse=f"{settings.reuse_seconds} seconds",
        rotate=settings.rotate_refresh_tokens,
        timebox=settings.session_timebox,
        inactivity=settings.session_inactivity,
        single=settings.single_session,
        user_agent=where.user_agent,
        ip=where.address,
    )
    assert used is not None
    outcome: str = used.pop("refresh_outcome")
    token, session, methods = (used.pop(name) for name in ("refresh_token", "refresh_session", "methods"))
    if token is None or used["id"] is None:
        outcome = outcome if token is None else "refresh_token_not_found"
        raise SignInRefused(400, _CODES.get(outcome, outcome), _REFUSALS[outcome], keep=True)
    return await _renewed(server, unit, SignInAccount.of(used), session, token, methods, "token_refresh")


async def renewed(
    server: SignInServer, unit: Unit, account: SignInAccount, session: UUID, refresh_token: str, method: str
) -> dict[str, Any]:
    """Return the answer with a new access token of an open session."""
    methods: list[dict[str, Any]] = await unit.value("sessions.methods", session=session)
    return await _renewed(server, unit, account, session, refresh_token, methods, method)


async def _renewed(
    server: SignInServer,
    unit: Unit,
    account: SignInAccount,
    session: UUID,
    refresh_token: str,
    methods: list[dict[str, Any]],
    method: str,
) -> dict[str, Any]:
    second = any(each["method"] in _SECOND for each in methods)
    token, lifetime = await access_token(server, unit, account, session, "aal2" if second else "aal1", methods, method)
    return session_json(
        account.shown(), access_token=token, refresh_token=refresh_token, expires_in=lifetime, now=datetime.now(UTC)
    )


async def access_token(
    server: SignInServer,
    unit: Unit,
    account: SignInAccount,
    session: UUID,
    aal: str,
    methods: list[dict[str, Any]],
    method: str,
) -> tuple[str, int]:
    """Sign an access token; return it with its lifetime in seconds."""
    settings, row = server.settings, account.row
    now = int(datetime.now(UTC).timestamp())
    claims: dict[str, Any] = {
        "iss": settings.issuer,
        "sub": str(account.id),
        "aud": row["aud"] or settings.jwt_audience,
        "exp": now + settings.jwt_lifetime,
        "iat": now,
        "email": account.email,
        "phone": row["phone"] or "",
        "app_metadata": row["raw_app_meta_data"] or {},
        "user_metadata": row["raw_user_meta_data"] or {},
        "role": row["role"] or "",
        "aal": aal,
        "amr": methods,
        "session_id": str(session),
        "is_anonymous": bool(row["is_anonymous"]),
    }
    if settings.token_hook_name is not None:
        claims = await edited_claims(unit, settings.token_hook_name, account.id, claims, method)
    return signed(server, claims), settings.jwt_lifetime


def signed(server: SignInServer, claims: Mapping[str, Any]) -> str:
    """Sign claims with the key that signs now."""
    key = server.keys.keys().current(datetime.now(UTC).timestamp())
    header = {"alg": key.algorithm, "typ": "JWT", **({"kid": key.kid} if key.kid else {})}
    return jwt.encode(header, dict(claims), key.key, algorithms=[key.algorithm])


_TOKEN_CHARACTERS = string.ascii_lowercase + string.digits
_TOKEN_LENGTH = 12


def new_refresh_token() -> str:
    """Return a token of the one form that a Supabase Auth server accepts too, so that sessions outlast a handover: 62 bits."""
    return "".join(secrets.choice(_TOKEN_CHARACTERS) for _ in range(_TOKEN_LENGTH))


def is_refresh_token(given: str) -> bool:
    return len(given) == _TOKEN_LENGTH and all(character in _TOKEN_CHARACTERS for character in given)


async def end(unit: Unit, scope: str, account: SignInAccount, session: Row | None) -> None:
    """Sign out: `local` ends this session, `others` all but this one, `global` all of the account."""
    await unit.run("limits.note", payload=payload("logout", account))
    if session is not None and scope == "local":
        await unit.run("sessions.end_session", session=session["id"])
    elif session is not None and scope == "others":
        await unit.run("sessions.end_others", user=account.id, session=session["id"])
    else:
        await unit.run("sessions.end_all", user=account.id)


__all__ = [
    "Device",
    "Shown",
    "access_token",
    "device",
    "end",
    "is_refresh_token",
    "new_refresh_token",
    "refresh",
    "renewed",
    "sign_in",
    "signed",
]
