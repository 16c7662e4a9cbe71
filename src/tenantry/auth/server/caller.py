"""Who calls: the token of a request is checked, then read with its account and session, or with its administrative role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from starlette.requests import Request

from tenantry.auth.keys import SigningKey
from tenantry.auth.server.accounts import SignInAccount, account_of_session
from tenantry.auth.server.database import Row, Unit
from tenantry.auth.server.failures import SignInRefused
from tenantry.auth.server.reading import uuid_of
from tenantry.auth.server.state import SignInServer
from tenantry.auth.verify.compact import decode_segment, read_header, read_object, split
from tenantry.auth.verify.errors import TokenRefused

AUDIENCE_HEADER = "X-JWT-AUD"
LONGEST_TOKEN = 65_536
"""Bytes of a token: user_metadata is part of it."""
_BEARER = re.compile(r"(?i)^bearer (\S+)$")
_NO_SESSION = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The account of a request's token.

    Attributes:
        session: the session that the token names; None for a token without one.
    """

    account: SignInAccount
    claims: Mapping[str, Any]

    @property
    def session(self) -> Row | None:
        return self.account.session

    @property
    def aal(self) -> str:
        return str(self.session["aal"]) if self.session else "aal1"


def audience(request: Request, server: SignInServer, claims: Mapping[str, Any] | None = None) -> str:
    """Return whose accounts a request is about: the header's audience, else the token's, else the server's."""
    header = request.headers.get(AUDIENCE_HEADER)
    if header:
        return header
    if claims is not None and claims.get("role") not in server.settings.admin_roles:
        given = claims.get("aud")
        first = given[0] if isinstance(given, list) and given else given
        if isinstance(first, str) and first:
            return first
    return server.settings.jwt_audience


def claims_of(request: Request, server: SignInServer) -> dict[str, Any]:
    """Return the claims of a request's token.

    Raises:
        SignInRefused: 401 no_authorization, there is none; 403 bad_jwt, it is not one of ours, or it is over.
    """
    found = _BEARER.match(request.headers.get("authorization", ""))
    if not found:
        raise SignInRefused(401, "no_authorization", "This endpoint requires a valid Bearer token")
    try:
        return _verified(found[1], server)
    except TokenRefused as problem:
        reason = problem.message.rstrip(".")
        raise SignInRefused(
            403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {reason[:1].lower()}{reason[1:]}"
        ) from None


def _verified(token: str, server: SignInServer) -> dict[str, Any]:
    try:
        given = token.encode("ascii")
    except UnicodeEncodeError:
        raise TokenRefused("The token has characters that no token has.", reason="malformed") from None
    header, body, signature = split(given, LONGEST_TOKEN)
    alg, kid = read_header(header)
    now = datetime.now(UTC).timestamp()
    keys = [key for key in server.keys.keys().verification_keys(now) if key.algorithm == alg and _named(key, kid)]
    shown = decode_segment(signature, "signature")
    if not any(_signed_by(key, given[: -len(signature) - 1], shown) for key in keys):
        raise TokenRefused("signature is invalid", reason="signature")
    claims = read_object(decode_segment(body, "payload"), "payload")
    _check_times(claims, now)
    return claims


def _named(key: SigningKey, kid: str | None) -> bool:
    # A secret counts for tokens of HS256 whatever key they name: earlier ones had no name.
    return key.kid == kid or key.symmetric or kid is None


def _signed_by(key: SigningKey, signed: bytes, signature: bytes) -> bool:
    try:
        return bool(JWSRegistry.algorithms[key.algorithm].verify(signed, signature, key.key))
    except (JoseError, ValueError, TypeError, OverflowError):
        return False


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise TokenRefused("token has invalid claims", reason="claims")
    if claims.get("exp") is not None and claims["exp"] <= now:
        raise TokenRefused("token has invalid claims: token is expired", reason="expired")
    if claims.get("nbf") is not None and claims["nbf"] > now + 5:
        raise TokenRefused("token has invalid claims: token is not valid yet", reason="claims")


async def signed_in(request: Request, server: SignInServer, unit: Unit) -> SignedIn:
    """Return the caller of a request.

    Raises:
        SignInRefused: 401 or 403: no token, a bad one, no such account or session, or the account is banned.
    """
    claims = claims_of(request, server)
    subject, session = claims.get("sub"), claims.get("session_id")
    if not subject:
        raise SignInRefused(403, "bad_jwt", "invalid claim: missing sub claim")
    account_id = uuid_of(subject)
    if account_id is None:
        raise SignInRefused(400, "bad_jwt", "invalid claim: sub claim must be a UUID")
    session_id = uuid_of(session) if session and session != _NO_SESSION else None
    if session and session != _NO_SESSION and session_id is None:
        raise SignInRefused(403, "bad_jwt", "invalid claim: session_id claim must be a UUID")
    account = await account_of_session(unit, account_id, session_id)
    if account is None:
        raise SignInRefused(403, "user_not_found", "User from sub claim in JWT does not exist")
    if session_id is not None and account.session is None:
        raise SignInRefused(403, "session_not_found", "Session from session_id claim in JWT does not exist")
    if account.row["deleted_at"] is not None:
        raise SignInRefused(403, "user_not_found", "User from sub claim in JWT does not exist")
    if account.session is not None and _over(account.session, server):
        raise SignInRefused(403, "session_not_found", "Session from session_id claim in JWT does not exist")
    if account.banned():
        raise SignInRefused(403, "user_banned", "User is banned")
    return SignedIn(account, claims)


def _over(session: Row, server: SignInServer) -> bool:
    now = datetime.now(UTC)
    if session["not_after"] is not None and session["not_after"] <= now:
        return True
    timebox = server.settings.session_timebox
    return timebox is not None and session["created_at"] + timebox <= now


async def administrator(request: Request, server: SignInServer) -> str:
    """Return the role of an administrator's token. That of an account counts as long as its session, its role and, where the account has a
    second factor, with it; that of a program, which names no session, until it expires.

    Raises:
        SignInRefused: 401 or 403, there is none.
    """
    claims = claims_of(request, server)
    role = claims.get("role")
    if not isinstance(role, str) or role not in server.settings.admin_roles:
        raise _not_admin()
    if claims.get("session_id") and claims["session_id"] != _NO_SESSION:
        async with server.database.connection() as unit:
            caller = await signed_in(request, server, unit)
        # A hook may give another role than the account has.
        if server.settings.token_hook_name is None and caller.account.row["role"] != role:
            raise _not_admin()
        if caller.account.has_verified_factor and caller.aal != "aal2":
            raise SignInRefused(
                401, "insufficient_aal", "AAL2 session is required of administrators with a second factor."
            )
    return role


def _not_admin() -> SignInRefused:
    return SignInRefused(403, "not_admin", "User not allowed")


__all__ = ["AUDIENCE_HEADER", "SignedIn", "administrator", "audience", "claims_of", "signed_in"]
