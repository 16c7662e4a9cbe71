"""Accounts as values: read with identities and second factors, and shown as clients see them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from tenantry.accounts.user_json import user_json
from tenantry.auth.server.database import Row, Unit
from tenantry.auth.server.failures import SignInRefused


@dataclass(frozen=True, slots=True)
class SignInAccount:
    """A row of auth.users, with identities and second factors.

    Attributes:
        row: by column; never shown as it is.
        identities, factors: rows by column, the oldest first; factors without their secret.
        session: the row of the session that was asked for with it, or None.
    """

    row: Row = field(repr=False)
    identities: tuple[Row, ...] = field(repr=False, default=())
    factors: tuple[Row, ...] = field(repr=False, default=())
    session: Row | None = field(repr=False, default=None)

    @classmethod
    def of(cls, row: Row) -> SignInAccount:
        """Read a row of a statement that adds identities, factors and perhaps a session as JSON."""
        rest = dict(row)
        identities = tuple(_with_times(each) for each in rest.pop("identities"))
        factors = tuple(_with_times(each) for each in rest.pop("factors"))
        session = rest.pop("session", None)
        return cls(rest, identities, factors, _with_times(session) if session else None)

    @property
    def id(self) -> UUID:
        return UUID(str(self.row["id"]))

    @property
    def email(self) -> str:
        return self.row["email"] or ""

    @property
    def has_password(self) -> bool:
        return bool(self.row["encrypted_password"])

    @property
    def confirmed(self) -> bool:
        return self.row["email_confirmed_at"] is not None

    @property
    def has_verified_factor(self) -> bool:
        return any(factor["status"] == "verified" for factor in self.factors)

    def banned(self, now: datetime | None = None) -> bool:
        until = self.row["banned_until"]
        return until is not None and until > (now or datetime.now(UTC))

    def shown(self, **changed: Any) -> dict[str, Any]:
        """Return the account as clients see it, with some columns replaced."""
        return user_json({**self.row, **changed}, self.identities, self.factors)


async def account_by_id(unit: Unit, account: UUID) -> SignInAccount | None:
    return _account(await unit.one("accounts.by_id", id=account))


async def account_by_email(unit: Unit, email: str, audience: str) -> SignInAccount | None:
    """Return the account of an address; accounts of single sign-on are left out, as they sign in elsewhere."""
    return _account(await unit.one("accounts.by_email", email=email, aud=audience))


async def account_of_session(unit: Unit, account: UUID, session: UUID | None) -> SignInAccount | None:
    return _account(await unit.one("accounts.of_session", id=account, session=session))


async def must_exist(unit: Unit, account: UUID) -> SignInAccount:
    """Return an account that this request has just seen.

    Raises:
        SignInRefused: 404 user_not_found, it was deleted meanwhile.
    """
    found = await account_by_id(unit, account)
    if found is None:
        raise SignInRefused(404, "user_not_found", "User not found")
    return found


async def email_is_taken(unit: Unit, email: str, audience: str, besides: UUID | None = None) -> bool:
    values = {"email": email, "aud": audience, "except": besides}
    return bool(await unit.value("accounts.email_taken", **values))


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account that is to be created.

    Attributes:
        audience: aud, role: role of its tokens.
        id: None: a random one.
        email: in lower case; empty for an anonymous account.
        password_hash: empty: it signs in by mail alone.
        anonymous: it has no address and no identity, and its app_metadata is empty.
    """

    audience: str
    role: str
    id: UUID | None = None
    email: str = ""
    password_hash: str = field(repr=False, default="")
    user_metadata: Mapping[str, Any] = field(repr=False, default_factory=dict)
    banned_until: datetime | None = None
    anonymous: bool = False


async def create_account(unit: Unit, new: NewAccount) -> UUID | None:
    """Create a row of auth.users; None if another one has the address or the id."""
    providers: dict[str, Any] = {} if new.anonymous else {"provider": "email", "providers": ["email"]}
    row = await unit.one(
        "accounts.create",
        id=new.id or uuid4(),
        aud=new.audience,
        role=new.role,
        email=new.email or None,
        encrypted_password=new.password_hash,
        banned_until=new.banned_until,
        raw_app_meta_data=Jsonb(providers),
        raw_user_meta_data=Jsonb(dict(new.user_metadata)),
        is_anonymous=new.anonymous,
    )
    return UUID(str(row["id"])) if row else None


async def create_email_identity(
    unit: Unit, account: UUID, email: str, data: Mapping[str, Any] | None = None, *, verified: bool = False
) -> None:
    """Create the identity `email` of an account, unless it has one."""
    identity = {
        **(data or {}),
        "sub": str(account),
        "email": email,
        "email_verified": verified,
        "phone_verified": False,
    }
    await unit.run(
        "accounts.create_identity", user=account, provider_id=str(account), provider="email", data=Jsonb(identity)
    )


def random_password() -> str:
    """Return a password that nobody knows, for accounts that begin with a link."""
    return secrets.token_urlsafe(33)


def _account(row: Row | None) -> SignInAccount | None:
    return None if row is None else SignInAccount.of(row)


def _with_times(row: Mapping[str, Any]) -> Row:
    """Read the times of a row that came as JSON."""
    return {
        name: _time(value) if isinstance(value, str) and (name.endswith("_at") or name == "not_after") else value
        for name, value in row.items()
    }


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


__all__ = [
    "NewAccount",
    "SignInAccount",
    "account_by_email",
    "account_by_id",
    "account_of_session",
    "create_account",
    "create_email_identity",
    "email_is_taken",
    "must_exist",
    "random_password",
]
