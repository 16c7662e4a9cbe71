"""The caller: what a verified token says, checked, as a value that nothing can change."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.auth.verify.compact import read_object
from tenantry.auth.verify.errors import TokenInsufficient, TokenRefused

LEVELS: Final = ("aal1", "aal2", "aal3")
"""Authenticator assurance levels, the weakest first. A token without one has the first."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}").fullmatch
_MOMENT_LIMIT = 1e11
"""Seconds since 1970, some thousand years from now: no issuer means more, and a database's times end."""


@dataclass(frozen=True, slots=True)
class VerifiedCaller:
    """Who calls, by a token that was verified.

    Attributes:
        user_id: the claim `sub`, a uuid in lower case.
        role: the database role.
        aal: `aal1`, or `aal2` after a second factor.
        session_id: a uuid, or None if the issuer states no session.
        expires_at: seconds since 1970.
    """

    user_id: str
    role: str
    aal: str
    is_anonymous: bool
    session_id: str | None
    expires_at: float
    _text: str = field(repr=False)

    @property
    def claims(self) -> dict[str, Any]:
        """All claims, a new copy each time: for tenant(), which opens a transaction for them."""
        found: dict[str, Any] = json.loads(self._text)
        return found

    def require(self, *, aal: str | None = None, anonymous: bool = True, roles: Collection[str] | None = None) -> None:
        """Check what a route asks for beyond a valid token.

        Args:
            aal: the lowest level that is enough, such as `aal2`.
            anonymous: whether anonymous users may pass.
            roles: the roles that may pass; None for each that the verifier accepts.

        Raises:
            TokenInsufficient: something is missing; the error names it.
        """
        if aal is not None and LEVELS.index(self.aal) < LEVELS.index(aal):
            raise TokenInsufficient(f"This needs a sign-in with {aal}, a second factor.", reason="aal", needed=aal)
        if self.is_anonymous and not anonymous:
            raise TokenInsufficient("This needs an account that is not anonymous.", reason="anonymous")
        if roles is not None and self.role not in roles:
            raise TokenInsufficient("This needs another role.", reason="role")


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What claims must say."""

    issuer: str
    audience: str
    roles: frozenset[str]
    leeway: float


def read_caller(text: bytes, rules: ClaimRules, now: float) -> VerifiedCaller:
    """Check the claims of a token whose signature is right: its payload, decoded.

    Raises:
        TokenRefused: a claim is missing, of another type, or not what the rules state.
    """
    claims = read_object(text, "payload")
    expires = _moment(claims, "exp")
    if expires is None:
        raise _refused("The token has no time at which it expires.", "claims")
    if now >= expires + rules.leeway:
        raise _refused("The token has expired.", "expired")
    latest = now + rules.leeway
    if (_moment(claims, "nbf") or 0) > latest or (_moment(claims, "iat") or 0) > latest:
        raise _refused("The token is not valid yet.", "not_yet")
    if claims.get("iss") != rules.issuer:
        raise _refused("The token is from another issuer.", "issuer")
    audience = claims.get("aud")
    if audience != rules.audience and not (isinstance(audience, list) and rules.audience in audience):
        raise _refused("The token is for another audience.", "audience")
    user, role, session = claims.get("sub"), claims.get("role"), claims.get("session_id")
    aal, anonymous = claims.get("aal", LEVELS[0]), claims.get("is_anonymous", False)
    if not (isinstance(user, str) and _UUID(user)):
        raise _refused("The token's subject is not a uuid.", "claims")
    if not isinstance(role, str) or role not in rules.roles:
        raise _refused("The token's role is none that is accepted here.", "role")
    if session is not None and not (isinstance(session, str) and _UUID(session)):
        raise _refused("The token's session is not a uuid.", "claims")
    if aal not in LEVELS or not isinstance(anonymous, bool):
        raise _refused("The token's claims aal or is_anonymous have impossible values.", "claims")
    return VerifiedCaller(
        user_id=user.lower(),
        role=role,
        aal=aal,
        is_anonymous=anonymous,
        session_id=session.lower() if session is not None else None,
        expires_at=expires,
        _text=text.decode(),
    )


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """Return a time of the claims, in seconds since 1970; None if there is none.

    Raises:
        TokenRefused: it is no number, or beyond all times that are meant.
    """
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if type(value) not in _NUMBERS or not 0 <= value <= _MOMENT_LIMIT:  # type: ignore[operator]
        raise _refused(f"The token's claim {name} is no time.", "claims")
    return value


_NUMBERS: Final = frozenset((int, float))
"""True and false are of neither type, although they are ints."""


def _refused(message: str, reason: str) -> TokenRefused:
    return TokenRefused(message, reason=reason)
