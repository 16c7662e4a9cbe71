"""Reads accounts: pages of them, and one with its identities, factors and sessions. Never hashes, tokens or secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg

from tenantry.auth.errors import AccountUnknown, AuthNotInstalled
from tenantry.postgres import load_blocks

Connection = psycopg.Connection[Any]
STATES = ("banned", "unconfirmed", "deleted", "anonymous")
State = Literal["banned", "unconfirmed", "deleted", "anonymous"]


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account in a list.

    Attributes:
        sessions: how many have not ended.
    """

    id: UUID
    email: str | None
    phone: str | None
    role: str | None
    created_at: datetime | None
    last_sign_in_at: datetime | None
    email_confirmed_at: datetime | None
    banned_until: datetime | None
    deleted_at: datetime | None
    is_anonymous: bool
    sessions: int
    second_factor: bool


@dataclass(frozen=True, slots=True)
class UserPage:
    """
    Attributes:
        next: id after which the next page begins; None: this is the last one.
    """

    users: tuple[AccountLine, ...]
    next: UUID | None


def need_accounts(connection: Connection) -> None:
    """
    Raises:
        AuthNotInstalled: there is no auth.users.
    """
    if connection.execute(block("exists")).fetchone() != (True,):
        raise AuthNotInstalled("This database has no accounts: there is no auth.users.")


def list_accounts(
    connection: Connection,
    *,
    size: int,
    after: UUID | None = None,
    email: str | None = None,
    state: State | None = None,
) -> UserPage:
    """Return one page of the accounts, the newest first.

    Args:
        after: the id that the page before gave as `next`.
        email: a part of the address; % and _ in it mean themselves.

    Raises:
        AccountUnknown: `after` is no account.
    """
    if after is not None and ids_of(connection, [str(after)]).get(str(after)) is None:
        raise AccountUnknown(f"There is no account {after}, after which the page would begin.")
    escaped = email.lower().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") if email else None
    values = {"after": after, "email": escaped and f"%{escaped}%", "state": state, "size": size + 1}
    rows = [AccountLine(*row) for row in connection.execute(block("listed"), values).fetchall()]
    return UserPage(tuple(rows[:size]), rows[size - 1].id if len(rows) > size else None)


def show_account(connection: Connection, who: str) -> dict[str, Any]:
    """Return what is known about an account, as one object.

    Args:
        who: its id or e-mail address.

    Raises:
        AccountUnknown
    """
    (found,) = find_users(connection, [who])
    row = connection.execute(block("shown"), {"id": found}).fetchone()
    assert row is not None
    shown: dict[str, Any] = row[0]
    return shown


def find_users(connection: Connection, given: Sequence[str]) -> list[UUID]:
    """Return the ids of accounts that are named by id or e-mail address, in order.

    Raises:
        AccountUnknown: one is not found, or several accounts have the address. Nothing is returned then.
    """
    found = ids_of(connection, given)
    unknown = [each for each in given if not found.get(each)]
    if unknown:
        raise AccountUnknown(
            f"There is no account {', '.join(unknown[:5])}{' …' if len(unknown) > 5 else ''}. Nothing was changed."
        )
    several = [each for each in given if len(found[each]) > 1]
    if several:
        raise AccountUnknown(
            f"Several accounts have the address {several[0]}. Nothing was changed.", hint="Name the account by its id."
        )
    return list(dict.fromkeys(found[each][0] for each in given))


def ids_of(connection: Connection, given: Sequence[str]) -> dict[str, list[UUID]]:
    found: dict[str, list[UUID]] = {}
    for each, account in connection.execute(block("found"), {"given": list(dict.fromkeys(given))}).fetchall():
        if account is not None:
            found.setdefault(each, []).append(account)
    return found


def block(name: str) -> str:
    """Return a statement of accounts.sql by its name."""
    return load_blocks("tenantry.auth.users", "accounts")[name]
