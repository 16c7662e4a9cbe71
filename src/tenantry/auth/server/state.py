"""What the endpoints of a sign-in server share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from tenantry.auth.keys import KeySource
from tenantry.auth.passwords import Passwords
from tenantry.auth.server.database import Database, Unit
from tenantry.auth.settings import SignInSettings


class Outbox(Protocol):
    """Where mails go: they are sent after the answer."""

    def has_room(self) -> bool:
        """Whether one more mail would be taken."""
        ...

    def offer(self, mail: MailRequest) -> bool:
        """Take a mail to be sent; False if there is no room."""
        ...

    async def close(self) -> None:
        """Send what waits, for a limited time."""
        ...


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A mail with a one-time code.

    Attributes:
        kind: signup, invite, magiclink, recovery, email_change, reauthentication.
        to: its address.
        code: the one-time code; link: the address that does the same, empty if there is none.
        values: more for the templates: email, new_email, site_url, redirect_to, data, token_hash.
    """

    kind: str
    to: str
    code: str
    link: str
    values: dict[str, object]

    def __repr__(self) -> str:
        return f"MailRequest(kind={self.kind!r})"


@dataclass(frozen=True, slots=True)
class SignInServer:
    """A server's settings, keys and connections.

    Attributes:
        outbox: None: there is no mail server, so nothing that needs a mail is served.
    """

    settings: SignInSettings
    keys: KeySource
    passwords: Passwords
    database: Database
    outbox: Outbox | None

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """Where a hook takes part, a transaction, which a failing hook undoes; else statements that commit by themselves."""
        context = self.database.connection() if self.settings.token_hook_name is None else self.database.transaction()
        async with context as unit:
            yield unit


__all__ = ["MailRequest", "Outbox", "SignInServer"]
