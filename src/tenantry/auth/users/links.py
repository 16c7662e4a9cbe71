"""One-time links and codes: their form, as Supabase Auth has it. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from tenantry.auth.one_time import new_hash
from tenantry.errors import SettingsError


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """
    Attributes:
        external: the address under which clients reach the sign-in server.
        site: where a link leads back to.
        code_length: digits of a code.
        seconds: how long codes live, for messages.
    """

    external: str
    site: str
    code_length: int = 6
    seconds: int = 86400

    @staticmethod
    def read(values: Mapping[str, str]) -> LinkSettings:
        """
        Raises:
            SettingsError: API_EXTERNAL_URL or GOTRUE_SITE_URL is missing or no address.
        """
        external = values.get("API_EXTERNAL_URL") or values.get("GOTRUE_API_EXTERNAL_URL") or ""
        site = values.get("GOTRUE_SITE_URL") or values.get("SITE_URL") or ""
        length, seconds = (
            values.get(f"GOTRUE_MAILER_{name}") or values.get(f"MAILER_{name}") or default
            for name, default in (("OTP_LENGTH", "6"), ("OTP_EXP", "86400"))
        )
        if not length.isdecimal() or not 6 <= int(length) <= 10 or not seconds.isdecimal():
            raise SettingsError(
                "GOTRUE_MAILER_OTP_LENGTH must be 6 to 10, and GOTRUE_MAILER_OTP_EXP a number of seconds."
            )
        return LinkSettings(
            web_address(external, "API_EXTERNAL_URL"), web_address(site, "GOTRUE_SITE_URL"), int(length), int(seconds)
        )


@dataclass(frozen=True, slots=True)
class OneTimeLink:
    """A link and a code that do the same, once. Whoever has it has the account: its repr shows neither.

    Attributes:
        kind: recovery, invite.
    """

    kind: str
    email: str
    link: str = field(repr=False)
    code: str = field(repr=False)
    token_hash: str = field(repr=False)
    seconds: int


def new_link(kind: str, email: str, settings: LinkSettings) -> OneTimeLink:
    """Draw a code for an address, and make its link. The hash of the code is what the database keeps."""
    code = f"{secrets.randbelow(10**settings.code_length):0{settings.code_length}d}"
    hashed = new_hash(email, code)
    query = urlencode({"token": hashed, "type": kind, "redirect_to": settings.site})
    return OneTimeLink(kind, email, f"{settings.external}/verify?{query}", code, hashed, settings.seconds)


def web_address(text: str, name: str) -> str:
    """Return an address of the web without a slash at its end.

    Raises:
        SettingsError: it is none.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(sign.isspace() for sign in text):
        raise SettingsError(f"{name} is not set to an address such as https://app.example.org.")
    return text.rstrip("/")
