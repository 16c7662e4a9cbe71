"""Limits that all processes of an installation share: for each address and kind of call, and for mails."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import timedelta

from starlette.requests import Request

from tenantry.auth.server.database import Database, Unit
from tenantry.auth.server.failures import SignInRefused, too_many_requests
from tenantry.auth.server.reading import client_address
from tenantry.auth.settings import SignInSettings

WINDOW = timedelta(minutes=5)
GUESSES, GUESSES_WINDOW = 30, timedelta(hours=1)
"""Guesses at one account's codes: within a day fewer than one of a thousand codes is found."""


def caller(request: Request, settings: SignInSettings) -> str:
    """Return what the limits of a request count for: the first value of the proxy's header if one is set, else the address.

    Of an IPv6 address the network counts, since one household has 2⁶⁴ addresses.
    """
    if settings.limit_header:
        first = request.headers.get(settings.limit_header, "").partition(",")[0].strip()
        if first:
            return network(first)
    return network(client_address(request) or "local")


def network(address: str) -> str:
    """Return the network of an IPv6 address, in one form however the address is written; an IPv4 address, also one that is mapped to IPv6, and
    any other text as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


async def take(
    database: Database, settings: SignInSettings, request: Request, kind: str, count: int, window: timedelta = WINDOW
) -> None:
    """Count a call.

    Raises:
        SignInRefused: 429 over_request_rate_limit, there were `count` within the window.
    """
    if not await allowed(database, f"{kind}:{caller(request, settings)}", count, window):
        raise too_many_requests()


async def guess(database: Database, kind: str, whose: str) -> None:
    """Count a guess at a code of six digits, for the account that it is a guess at: an attacker has many addresses.

    The account need not exist, so that nobody learns whether it does. Links are no guesses.

    Raises:
        SignInRefused: 429 over_request_rate_limit, there were GUESSES within an hour.
    """
    if not await allowed(database, f"guess {kind}:{whose}", GUESSES, GUESSES_WINDOW):
        raise too_many_requests()


async def allowed(database: Database | Unit, key: str, count: int, window: timedelta) -> bool:
    """Count one use of a key, and return whether fewer than `count` came within the window. The table has digests alone.

    In a unit of work the count goes with its transaction, and takes no second connection.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()
    row = await database.one("limits.take", key=digest, each=window / count, window=window)
    return row is not None


def over_mail_limit(message: str = "email rate limit exceeded") -> SignInRefused:
    return SignInRefused(429, "over_email_send_rate_limit", message)


__all__ = ["GUESSES", "WINDOW", "allowed", "caller", "guess", "network", "over_mail_limit", "take"]
