"""Reads requests: bodies by the types of their fields, addresses, and where an answer may lead."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from starlette.requests import Request

from tenantry.auth.server.failures import SignInRefused, invalid
from tenantry.auth.settings import SignInSettings

LARGEST_BODY = 1 << 20
"""Bytes of a body that are read."""

LARGEST_METADATA = 32_768
"""Bytes of user_metadata as JSON, which is part of each access token."""

_EMAIL = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
_CHALLENGE = re.compile(r"[a-zA-Z._~0-9-]+")
_HOST = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?")

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_EMPTY: Mapping[type, Any] = {str: "", bool: False, dict: None, int: 0, float: 0}


async def read_body(request: Request, fields: Mapping[str, type], **defaults: Any) -> dict[str, Any]:
    """Read the fields of a JSON object; a missing or null field has its default, or its type's empty value.

    A dict is None where it is missing. Other fields of the object are ignored, as official clients send some.

    Raises:
        SignInRefused: 400 bad_json for anything else than such an object; 413 for more than a megabyte.
    """
    return read_fields(await body_bytes(request), fields, **defaults)


def read_fields(content: bytes, fields: Mapping[str, type], **defaults: Any) -> dict[str, Any]:
    """Read the fields of a JSON object; see read_body()."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise bad_json("it is not valid JSON") from None
    if not isinstance(value, dict):
        raise bad_json("an object is expected")
    read: dict[str, Any] = {}
    for name, kind in fields.items():
        given = value.get(name)
        if given is None:
            read[name] = defaults.get(name, _EMPTY[kind])
        elif not isinstance(given, kind) or (kind is not bool and isinstance(given, bool)):
            raise bad_json(f"field {name} has another type")
        elif isinstance(given, str) and ("\x00" in given or not _encodable(given)):
            raise bad_json(f"field {name} has characters that no text has")
        else:
            read[name] = given
        if kind is dict and read[name] is not None and not _storable(_json(read[name])):
            raise bad_json(f"field {name} has characters that no text has")
    return read


def _json(value: dict[str, Any]) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except RecursionError:
        raise bad_json("it is too deep") from None
    except ValueError:
        raise bad_json("it has a number beyond the range") from None


def check_metadata(data: Mapping[str, Any]) -> None:
    """Refuse user_metadata with which tokens would be longer than servers read: whoever signs up first with an address would lock it.

    Raises:
        SignInRefused: 400 validation_failed.
    """
    if len(_json(dict(data))) > LARGEST_METADATA:
        raise invalid(f"User metadata is too large (max {LARGEST_METADATA} bytes)")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _storable(text: str) -> bool:
    """Whether PostgreSQL can store JSON as jsonb: no NUL, no half of a surrogate pair."""
    return not re.search(r"(?<!\\)(?:\\\\)*\\u0000", text) and not re.search(
        r"\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}",
        text,
    )


def bad_json(reason: str) -> SignInRefused:
    return SignInRefused(400, "bad_json", f"Could not parse request body as JSON: {reason}")


async def body_bytes(request: Request) -> bytes:
    """Return the body, of at most a megabyte."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) > LARGEST_BODY:
            raise SignInRefused(413, "request_entity_too_large", f"Request body too large (max {LARGEST_BODY} bytes)")
    return bytes(held)


def uuid_of(text: Any) -> UUID | None:
    """Return the UUID that a text is in its usual form; None if it is none."""
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


def email_address(text: str) -> str:
    """Check an e-mail address by its form, and return it in lower case.

    Raises:
        SignInRefused: 400 validation_failed.
    """
    if not text:
        raise invalid("An email address is required")
    if len(text) > 255:
        raise invalid("An email address is too long")
    if not _EMAIL.fullmatch(text):
        raise invalid("Unable to validate email address: invalid format")
    return text.lower()


def challenge(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return a request's PKCE challenge and its method; None without one.

    Raises:
        SignInRefused: 400, only one of the two is there, or the challenge is not of the form of RFC 7636.
    """
    given, method = values["code_challenge"], values["code_challenge_method"]
    if bool(given) != bool(method):
        raise invalid("PKCE flow requires code_challenge_method and code_challenge")
    if not given:
        return None
    if not 43 <= len(given) <= 128:
        raise invalid("code challenge has to be between 43 and 128 characters")
    if not _CHALLENGE.fullmatch(given):
        raise invalid(
            "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes"
        )
    if method.lower() not in {"s256", "plain"}:
        raise SignInRefused(500, "unexpected_failure", f"unsupported code challenge method {method[:20]!r}")
    return given, method.lower()


PKCE_FIELDS: Mapping[str, type] = {"code_challenge": str, "code_challenge_method": str}


def redirect_target(request: Request, settings: SignInSettings, given: str = "") -> str:
    """Return where an answer may lead: what the request asks for if it is allowed, else the site."""
    for wanted in (given, request.query_params.get("redirect_to", ""), request.headers.get("referer", "")):
        if redirect_allowed(wanted, settings):
            return wanted
    return settings.site_url


def redirect_allowed(wanted: str, settings: SignInSettings) -> bool:
    """Whether an address is the site's own, a loopback address, or in the list of allowed ones.

    In the list, `*` stands for characters but dots and slashes, `**` for any.
    """
    if not wanted or re.search(r"[\x00-\x20\\]", wanted):
        return False
    try:
        site, asked = urlsplit(settings.site_url), urlsplit(wanted)
        host, port, site_port = asked.hostname or "", asked.port, site.port
    except ValueError:
        return False
    loopback = host == "localhost" or _is_loopback(host)
    if site.hostname == host and site.scheme == asked.scheme and (site_port == port or loopback):
        return True
    if host.isdecimal():
        return False
    if _is_address(host):
        return _is_loopback(host)
    if asked.scheme in {"http", "https"} and not _HOST.fullmatch(host):
        return False
    against = wanted.partition("#")[0]
    return any(_matches(each, against, asked.netloc) for each in settings.redirect_urls)


def _matches(glob: str, wanted: str, authority: str) -> bool:
    """Whether an address is one of a pattern's, and its authority one of the pattern's authority: `*` there must not reach into the path or
    query, since `https://*.app.example/` would mean `https://0x7f000001?.app.example/`, too."""
    _, stands, rest = glob.partition("://")
    host = rest.partition("/")[0]
    if stands and not _pattern(host).fullmatch(authority):
        return False
    return bool(_pattern(glob).fullmatch(wanted))


def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", glob)
    meanings = {"**": ".*", "*": "[^./]*", "?": "[^./]"}
    return re.compile("".join(meanings.get(part, re.escape(part)) for part in parts))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def client_address(request: Request) -> str | None:
    """Return the client's IP address, or None where it has none (a Unix socket)."""
    host = request.client.host if request.client else ""
    return host if _is_address(host) else None


__all__ = [
    "LARGEST_BODY",
    "LARGEST_METADATA",
    "PKCE_FIELDS",
    "bad_json",
    "body_bytes",
    "challenge",
    "check_metadata",
    "client_address",
    "email_address",
    "read_body",
    "read_fields",
    "redirect_allowed",
    "redirect_target",
    "uuid_of",
]
