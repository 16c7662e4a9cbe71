"""What can go wrong with keys, the installation, and mail of the sign-in server: TN-601 to TN-619."""

from __future__ import annotations

from tenantry.errors import TenantryError


class SigningKeysWrong(TenantryError):
    """The signing keys of the sign-in server are missing, or cannot be read."""

    code = "TN-601"
    remedy = (
        "Run `tenantry auth init`, which creates a file of keys, or correct `GOTRUE_JWT_KEYS` or `GOTRUE_JWT_SECRET`."
    )


class SigningKeysExposed(TenantryError):
    """Other users of this machine may read the file of signing keys."""

    code = "TN-602"
    remedy = "Run `chmod 600 FILE`. If others may have read it, run `tenantry auth keys rotate --leaked`."


class RotationPending(TenantryError):
    """The new key of an earlier rotation does not sign yet: it is published first, so that no cache misses it."""

    code = "TN-603"
    exit_code = 1
    remedy = "Wait until the time that the message names. If the keys leaked, run `tenantry auth keys rotate --leaked`."
