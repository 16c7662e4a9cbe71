"""Errors of the admin API and of the connection to it."""

from __future__ import annotations

from typing import ClassVar

from tenantry.errors import TenantryError


class AuthUnreachable(TenantryError):
    """The admin API gave no usable answer in any attempt."""

    code: ClassVar[str] = "TN-213"
    exit_code: ClassVar[int] = 1
    remedy: ClassVar[str] = "Run the same command again when the API answers: it resumes where it stopped."


class AuthKeyRefused(TenantryError):
    """The admin API answered, but the key may not administer accounts."""

    code: ClassVar[str] = "TN-214"
    remedy: ClassVar[str] = "Give the service key of this project, not the anon or publishable one."


class AuthRefused(TenantryError):
    """The admin API finally refused one request.

    Attributes:
        status: the HTTP status.
        error_code: Supabase Auth's code, such as `email_exists`; empty if it sent none.
    """

    code: ClassVar[str] = "TN-215"
    exit_code: ClassVar[int] = 1
    remedy: ClassVar[str] = "Correct the account that the API's own message is about, and run the same command again."

    def __init__(self, message: str, *, status: int, error_code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint, detail={"status": status, "error_code": error_code})
        self.status, self.error_code = status, error_code


class EmailTaken(AuthRefused):
    """Another account has this e-mail address."""

    code: ClassVar[str] = "TN-220"
    remedy: ClassVar[str] = "Link the person to that account, or give the account another address."


__all__ = ["AuthKeyRefused", "AuthRefused", "AuthUnreachable", "EmailTaken"]
