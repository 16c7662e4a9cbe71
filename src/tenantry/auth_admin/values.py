"""Accounts as the admin API takes and returns them, and the rate of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tenantry.errors import SettingsError

User = dict[str, Any]
"""A user as the API returns it; tenantry.accounts.user_json.user_json() builds the same from rows."""


@dataclass(frozen=True, slots=True)
class AccountFields:
    """The desired fields of an account; None: unchanged, or the server's default.

    Attributes:
        id: chosen beforehand, so that a call whose answer was lost can be repeated.
        password_hash: bcrypt, argon2 or Firebase scrypt, as Supabase Auth accepts them. Never shown.
        email_confirm: the address counts as confirmed.
        app_metadata: data that no user can edit; the given keys are added to existing ones.
        ban_duration: in Go's notation, such as `24h`; `none` lifts a ban.
        role: the database role of the user's tokens.
    """

    id: UUID | None = None
    email: str | None = None
    password_hash: str | None = field(default=None, repr=False)
    email_confirm: bool | None = None
    user_metadata: Mapping[str, Any] | None = None
    app_metadata: Mapping[str, Any] | None = None
    ban_duration: str | None = None
    role: str | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON of a request; `id` as text."""
        given = {
            "id": None if self.id is None else str(self.id),
            "email": self.email,
            "password_hash": self.password_hash,
            "email_confirm": self.email_confirm,
            "user_metadata": None if self.user_metadata is None else dict(self.user_metadata),
            "app_metadata": None if self.app_metadata is None else dict(self.app_metadata),
            "ban_duration": self.ban_duration,
            "role": self.role,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class RequestPace:
    """Limits of a client's requests.

    Attributes:
        rate: requests a second, over all threads.
        burst: requests at once after a pause.
        in_flight: requests that wait for an answer at the same time.
        timeout: seconds until an answer counts as lost.
        tries: attempts of one request before it fails.
        wait: seconds before the second attempt; later waits double, each shortened randomly by up to a half.
        longest_wait: maximum seconds between two attempts, whatever the server requests.
    """

    rate: float = 10.0
    burst: float = 1.0
    in_flight: int = 4
    timeout: float = 30.0
    tries: int = 8
    wait: float = 0.5
    longest_wait: float = 60.0

    def __post_init__(self) -> None:
        numbers = (self.rate, self.timeout)
        if not (all(number > 0 for number in numbers) and min(self.burst, self.in_flight, self.tries) >= 1):
            raise SettingsError(
                "The pace of the admin API is not possible: rate, burst, in_flight, timeout and tries must be above 0."
            )


@dataclass(frozen=True, slots=True)
class Made:
    """An account that exists as requested.

    Attributes:
        created: by this call; False if it existed before, None if unknown: the answer of an attempt was lost, and the account
            existed afterwards.
    """

    user: User
    created: bool | None


__all__ = ["AccountFields", "Made", "RequestPace", "User"]
