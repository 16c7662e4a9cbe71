"""Reads answers of the admin API: accounts, pages, error codes. The key is in none of them."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tenantry.auth_admin.failures import AuthUnreachable
from tenantry.auth_admin.values import User
from tenantry.errors import SettingsError

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_NEXT = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class AdminAnswer:
    status: int
    headers: httpx.Headers
    value: Any
    looked_up: bool = False
    """The answer was lost, and a later lookup found this."""


class Secret:
    """A key that repr(), str() and pickle do not reveal."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def reveal(self) -> str:
        return self._key

    def hide(self, text: str) -> str:
        return text.replace(self._key, "…")

    def __repr__(self) -> str:
        return "…"

    def __reduce__(self) -> str:
        raise TypeError("a key is not stored")


class Lost:
    """Whether the answer to an attempt was lost."""

    happened = False


class Window:
    """The most recent ids, in a bounded number."""

    def __init__(self, size: int) -> None:
        self._size, self._ids = size, OrderedDict[str, None]()

    def add(self, name: str) -> bool:
        """Add an id; return whether it is new."""
        if name in self._ids:
            return False
        self._ids[name] = None
        if len(self._ids) > self._size:
            self._ids.popitem(last=False)
        return True


def checked_url(url: str) -> str:
    hint = "Give it as https://project.example, without a path; http:// only for this machine."
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("The URL of the admin API cannot be read.", hint=hint) from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise SettingsError("The URL of the admin API contains more than an address (it is not shown).", hint=hint)
    if not host or parts.scheme not in ("https", "http"):
        raise SettingsError("The URL of the admin API is not an HTTP URL.", hint=hint)
    if parts.scheme == "http" and host not in _LOCAL:
        raise SettingsError("Without TLS the service key would cross the network in clear text.", hint=hint)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/auth/v1')}"


def json_of(response: httpx.Response) -> Any:
    """Return the body; None if it is not JSON. An empty body counts as an empty object."""
    if not response.content:
        return {}
    try:
        return response.json()
    except (ValueError, UnicodeDecodeError):
        return None


def user_of(answer: AdminAnswer) -> User:
    value = answer.value
    if isinstance(value, dict) and isinstance(value.get("user"), dict):
        value = value["user"]
    if not isinstance(value, dict) or "id" not in value:
        raise AuthUnreachable("The admin API answered without the requested user.")
    return value


def same_email(user: Mapping[str, Any], email: str | None) -> bool:
    return email is None or str(user.get("email") or "").lower() == email.strip().lower()


def next_page(link: str | None, page: int) -> int | None:
    """Return the number of the next page from the Link header; only the number is used, wherever the link leads."""
    found = _NEXT.search(link or "")
    if found is None:
        return None
    number = parse_qs(urlsplit(found[1]).query).get("page", [""])[0]
    return int(number) if number.isdigit() and int(number) > page else None


def code_of_error(response: httpx.Response, value: Any) -> str:
    """Return Supabase Auth's own code: `code` in newer answers, `error_code` in older ones, or the header."""
    said = value if isinstance(value, dict) else {}
    code = said.get("error_code") or (said.get("code") if isinstance(said.get("code"), str) else None)
    return str(code or response.headers.get("x-sb-error-code") or "")


def reason_of(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return f"the connection failed ({str(error)[:200] or type(error).__name__})"


__all__ = [
    "AdminAnswer",
    "Lost",
    "Secret",
    "Window",
    "checked_url",
    "code_of_error",
    "json_of",
    "next_page",
    "reason_of",
    "same_email",
    "user_of",
]
