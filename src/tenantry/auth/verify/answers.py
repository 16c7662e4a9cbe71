"""Refusals as HTTP answers: a problem (RFC 9457) with status 401 or 403 and a challenge (RFC 6750), without any part of the token."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tenantry.auth.verify.errors import KeysUnavailable, TokenInsufficient, TokenRefused
from tenantry.errors import SessionEnded

Refusal = TokenRefused | TokenInsufficient | SessionEnded | KeysUnavailable

REFUSALS: Final = (TokenRefused, TokenInsufficient, SessionEnded, KeysUnavailable)
"""The errors for which refusal_answer() has an answer."""

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class RefusalAnswer:
    """An HTTP answer, of whatever framework."""

    status: int
    headers: dict[str, str]
    body: bytes


def refusal_answer(error: Refusal) -> RefusalAnswer:
    """Return the answer to a caller who was refused.

    401 for a token that is missing, refused, or of a session that has ended; 403 for one that is not enough; 503 if nobody can tell,
    since the issuer's keys cannot be fetched.
    """
    status, title, challenge = _meaning(error)
    problem = {"type": "about:blank", "title": title, "status": status, "detail": _detail(error), "code": error.code}
    if isinstance(error, TokenRefused | TokenInsufficient):
        problem["reason"] = error.reason
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
    if challenge is not None:
        headers["www-authenticate"] = challenge
    else:
        headers["retry-after"] = "5"
    return RefusalAnswer(status, headers, json.dumps(problem).encode())


def _meaning(error: Refusal) -> tuple[int, str, str | None]:
    """Status, title, and challenge."""
    if isinstance(error, TokenInsufficient):
        if error.reason == "aal":
            # RFC 9470 names it so. The status is 403, as of Supabase Auth: clients take 401 for the end of the session.
            return 403, "Forbidden", _challenge("insufficient_user_authentication", acr_values=error.needed)
        return 403, "Forbidden", _challenge("insufficient_scope")
    if isinstance(error, KeysUnavailable):
        return 503, "Service Unavailable", None
    if isinstance(error, TokenRefused) and error.reason == "missing":
        return 401, "Unauthorized", "Bearer"
    return 401, "Unauthorized", _challenge("invalid_token")


def _challenge(error: str, **more: str) -> str:
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in {"error": error, **more}.items())


def _detail(error: Refusal) -> str:
    # Why the keys are missing is for whoever runs the application.
    return "The token cannot be verified at the moment." if isinstance(error, KeysUnavailable) else error.message


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the token of a request's headers, with names in lower case; None if there is no Authorization header.

    Raises:
        TokenRefused: there are several such headers, or it is none with a bearer token.
    """
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        return None
    scheme, _, token = given[0].strip().partition(b" ")
    if len(given) > 1 or scheme.lower() != b"bearer" or not token.strip():
        raise TokenRefused("The Authorization header has no bearer token.", reason="malformed")
    return token.strip()
