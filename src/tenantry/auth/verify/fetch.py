"""Fetching a JWK set over HTTP: bounded in time and size, over https, and never from another host than the stated one."""

from __future__ import annotations

import ipaddress
import json
import re
import time
from dataclasses import dataclass
from typing import Final

import httpx

from tenantry.auth.verify.keys import VerificationKeys, read_jwks
from tenantry.errors import SettingsError, TenantryError

_REDIRECTS = 3
_MAX_AGE = re.compile(r'max-age\s*=\s*"?(\d{1,9})')
_HEADERS: Final = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRules:
    """Bounds on fetching keys. Times are seconds.

    Attributes:
        timeout: for one fetch, and for how long a request waits for it.
        max_bytes: the largest answer that is read.
        interval: between two fetches for keys that are not known, and between two attempts while the issuer does not answer.
        min_ttl, default_ttl, max_ttl: bounds on the lifetime that the answer states (Cache-Control), and the one without it.
        stale_for: for how long beyond their lifetime keys may be used while the issuer does not answer.
    """

    timeout: float = 5.0
    max_bytes: int = 262_144
    interval: float = 10.0
    min_ttl: float = 30.0
    default_ttl: float = 600.0
    max_ttl: float = 3600.0
    stale_for: float = 14_400.0


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """What an issuer answered: its keys, and for how many seconds they may be used without asking again."""

    keys: VerificationKeys
    ttl: float


class FetchFailed(Exception):
    """The keys could not be fetched; the text says why, without an address or anything of the answer."""


def check_url(url: str) -> httpx.URL:
    """
    Raises:
        SettingsError: the address is not https, and not of this machine; or it has a user, a password or a fragment.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("https", "http") or not parsed.host or parsed.userinfo or parsed.fragment:
        raise SettingsError("The address of the issuer's keys is no URL that can be used.", hint="https://…/jwks.json")
    if parsed.scheme == "http" and not is_loopback(parsed.host):
        raise SettingsError(
            "The address of the issuer's keys is not https: whoever stands between could give other keys.",
            hint="Use https. Only addresses of this machine (localhost, 127.0.0.1, ::1) may be http.",
        )
    return parsed


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def fetch_keys(url: httpx.URL, rules: FetchRules) -> FetchedKeys:
    """Fetch a JWK set.

    Raises:
        FetchFailed: no answer in time, another answer than a JWK set, a larger one, or a redirect to elsewhere.
    """
    until = time.monotonic() + rules.timeout
    # A proxy that the environment states is for other machines.
    with httpx.Client(timeout=rules.timeout, trust_env=not is_loopback(url.host), follow_redirects=False) as client:
        here = url
        for _ in range(_REDIRECTS + 1):
            try:
                with client.stream("GET", here, headers=_HEADERS) as answer:
                    if answer.next_request is None:
                        return _read(answer, rules, until)
                    here = answer.next_request.url
            except httpx.HTTPError as error:
                raise FetchFailed(f"no answer ({type(error).__name__})") from None
            if _origin(here) != _origin(url):
                raise FetchFailed("a redirect to another host")
    raise FetchFailed("too many redirects")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _read(answer: httpx.Response, rules: FetchRules, until: float) -> FetchedKeys:
    if answer.status_code != 200:
        raise FetchFailed(f"status {answer.status_code}")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchFailed("a compressed answer, although none was asked for")
    text = bytearray()
    for part in answer.iter_raw():
        text += part
        if len(text) > rules.max_bytes:
            raise FetchFailed(f"an answer of more than {rules.max_bytes} bytes")
        if time.monotonic() > until:
            raise FetchFailed("an answer that took too long")
    try:
        return FetchedKeys(read_jwks(json.loads(bytes(text))), lifetime(answer.headers, rules))
    except (ValueError, RecursionError, TenantryError):
        raise FetchFailed("an answer that is no JWK set") from None


def lifetime(headers: httpx.Headers, rules: FetchRules) -> float:
    """Return for how many seconds an answer may be used, by Cache-Control and Age, within the bounds."""
    control = headers.get("cache-control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return rules.min_ttl
    stated = _MAX_AGE.search(control)
    if stated is None:
        return rules.default_ttl
    age = headers.get("age", "0")
    passed = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
    return min(max(int(stated[1]) - passed, rules.min_ttl), rules.max_ttl)
