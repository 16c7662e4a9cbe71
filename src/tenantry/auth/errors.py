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


class AuthSchemaForeign(TenantryError):
    """Another system made schema auth: its own server serves sign-in there."""

    code = "TN-604"
    remedy = "Use the server of that system, and verify its tokens with tenantry.auth.verify."


class ServerLoginUnfit(TenantryError):
    """A role cannot be the login of the sign-in server: it has too much power, or cannot log in."""

    code = "TN-605"
    remedy = "Name another login with `--login`, or take the power that the message names from this one."


class AuthPackagesMissing(TenantryError):
    """A package that sign-in or the verification of tokens needs is not installed."""

    code = "TN-625"
    remedy = "Install it: `pip install 'tenantry[auth]'`."


class ServerPasswordUnknown(TenantryError):
    """The login of the sign-in server exists, and its password is not known here."""

    code = "TN-606"
    remedy = "Give the password in `TENANTRY_AUTH_DB_PASSWORD`, or set a new one with `--new-password`."


class AuthNotInstalled(TenantryError):
    """The database has no accounts that the sign-in server could serve."""

    code = "TN-608"
    remedy = "Run `tenantry auth init`."


class AccountUnknown(TenantryError):
    """No account has this id or e-mail address, or several have it."""

    code = "TN-609"
    exit_code = 1
    remedy = "`tenantry auth users list` shows the accounts."


class MailNotSent(TenantryError):
    """A mail could not be sent, or no mail server is set."""

    code = "TN-610"
    exit_code = 1
    remedy = "Check GOTRUE_SMTP_HOST and the other settings of mail, or print the link instead."
