"""What the sign-in server refuses, in the forms and with the codes that Supabase Auth's clients read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

VERSION_HEADER = "X-Supabase-Api-Version"
VERSION = "2024-01-01"
"""The version of the API from which on errors have the short form."""


class SignInRefused(Exception):
    """A request is refused with a status, a code that clients compare, and a sentence for people.

    Attributes:
        weak: the reasons of a weak password.
        keep: what the transaction has written stays although the request fails.
    """

    def __init__(self, status: int, code: str, message: str, *, weak: Sequence[str] = (), keep: bool = False) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.weak, self.keep = tuple(weak), keep


def invalid(message: str, status: int = 400) -> SignInRefused:
    return SignInRefused(status, "validation_failed", message)


def too_many_requests() -> SignInRefused:
    return SignInRefused(429, "over_request_rate_limit", "Request rate limit reached")


def unexpected(status: int = 500) -> SignInRefused:
    return SignInRefused(
        status, "unexpected_failure", "Unexpected failure, please check server logs for more information"
    )


def email_exists() -> SignInRefused:
    return SignInRefused(422, "email_exists", "A user with this email address has already been registered")


def failure_response(request: Request, failure: SignInRefused, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a refused request, in the form that the request's version of the API has."""
    body: dict[str, Any]
    sent = dict(headers or {})
    asked = request.headers.get(VERSION_HEADER, "")
    if asked >= VERSION and len(asked) == len(VERSION):
        sent[VERSION_HEADER] = VERSION
        body = {"code": failure.code, "message": failure.message}
    else:
        body = {"code": failure.status, "error_code": failure.code, "msg": failure.message}
    sent["x-sb-error-code"] = failure.code
    if failure.weak:
        body["weak_password"] = {"reasons": list(failure.weak)}
    return JSONResponse(body, failure.status, sent)


__all__ = [
    "VERSION",
    "VERSION_HEADER",
    "SignInRefused",
    "email_exists",
    "failure_response",
    "invalid",
    "too_many_requests",
    "unexpected",
]
