"""Why a caller is refused: TN-621 to TN-629. SessionEnded is in tenantry.errors, since opening a transaction raises it."""

from __future__ import annotations

from tenantry.auth.errors import AuthPackagesMissing
from tenantry.errors import TenantryError


class TokenRefused(TenantryError):
    """A caller's access token is missing, malformed, forged, expired, or not meant for this application.

    Attributes:
        reason: one word of tenantry.auth.verify.REASONS. The message never repeats any part of the token.
    """

    code = "TN-621"
    exit_code = 1
    remedy = "Sign in again, and send the new access token as `Authorization: Bearer …`."

    def __init__(self, message: str, *, reason: str, hint: str = "") -> None:
        super().__init__(message, hint=hint, detail={"reason": reason})
        self.reason = reason


class TokenInsufficient(TenantryError):
    """The caller's token is valid, but not enough here: a second factor, another role, or an account that is not anonymous is needed.

    Attributes:
        reason: `aal`, `role` or `anonymous`.
        needed: what would be enough, such as `aal2`.
    """

    code = "TN-622"
    exit_code = 1
    remedy = "Sign in with what the message names, such as a second factor, and send the new token."

    def __init__(self, message: str, *, reason: str, needed: str = "") -> None:
        super().__init__(message, detail={"reason": reason, "needed": needed})
        self.reason, self.needed = reason, needed


class KeysUnavailable(TenantryError):
    """The issuer's public keys could not be fetched, and no fetched key may be used any more."""

    code = "TN-624"
    exit_code = 1
    remedy = "Check that the address of the issuer's keys can be reached from here and answers with a JWK set."


__all__ = ["AuthPackagesMissing", "KeysUnavailable", "TokenInsufficient", "TokenRefused"]
