"""PKCE (RFC 7636): a challenge waits until the mail's link leads back, then its code and verifier are exchanged for a session."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from tenantry.auth.server.database import Unit
from tenantry.auth.server.failures import SignInRefused
from tenantry.auth.server.state import SignInServer


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow whose code has come back."""

    account: UUID
    method: str


async def begin(unit: Unit, account: UUID, challenge: tuple[str, str], provider: str, method: str) -> None:
    """Keep a challenge for an account and a kind of mail."""
    await unit.run(
        "flows.begin",
        user=account,
        challenge=challenge[0],
        challenge_method=challenge[1],
        provider=provider,
        method=method,
    )


async def issue(unit: Unit, account: UUID, method: str) -> str:
    """Return the code of the newest flow of an account and kind.

    Raises:
        SignInRefused: 400 flow_state_not_found.
    """
    code: str | None = await unit.value("flows.issue", user=account, method=method)
    if code is None:
        raise SignInRefused(
            400, "flow_state_not_found", "No associated flow state found. No valid flow state found for user."
        )
    return code


async def use(server: SignInServer, unit: Unit, code: str, verifier: str) -> Flow:
    """Check a code with its verifier, and use it up.

    Raises:
        SignInRefused: 404 flow_state_not_found, 422 flow_state_expired, 400 bad_code_verifier.
    """
    row = await unit.one("flows.by_code", code=code, lifetime=server.settings.flow_lifetime)
    if row is None or row["user_id"] is None:
        raise _not_found()
    if row["expired"]:
        raise SignInRefused(422, "flow_state_expired", "invalid flow state, flow state has expired")
    shown = verifier
    if row["challenge_method"] == "s256":
        digest = hashlib.sha256(verifier.encode()).digest()
        shown = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(shown.encode(), (row["code_challenge"] or "").encode()):
        raise SignInRefused(400, "bad_code_verifier", "code challenge does not match previously saved code verifier")
    if await unit.one("flows.use", id=row["id"]) is None:
        raise _not_found()
    return Flow(UUID(str(row["user_id"])), row["authentication_method"])


def _not_found() -> SignInRefused:
    return SignInRefused(404, "flow_state_not_found", "invalid flow state, no valid flow state found")


__all__ = ["Flow", "begin", "issue", "use"]
