"""Why the sign-in server does not start: TN-631 to TN-633."""

from __future__ import annotations

from tenantry.errors import TenantryError


class SignInNotInstalled(TenantryError):
    """The database does not have what the sign-in server needs."""

    code = "TN-631"
    remedy = (
        "Run `tenantry auth init` as the owner of the database; it creates what is missing and changes nothing else."
    )


class SignInLoginUnfit(TenantryError):
    """The login of the sign-in server has rights that it must not have."""

    code = "TN-632"
    remedy = "Name the login that `tenantry auth init` creates in DATABASE_URL; it has exactly the rights that the server needs."


class AddressTaken(TenantryError):
    """The address on which the sign-in server should listen cannot be used."""

    code = "TN-633"
    remedy = "Give another port with --port or GOTRUE_API_PORT, or stop the process that uses this one."


__all__ = ["AddressTaken", "SignInLoginUnfit", "SignInNotInstalled"]
