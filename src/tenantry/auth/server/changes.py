"""Changes of an account that several endpoints make."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tenantry.auth.server.accounts import SignInAccount, create_email_identity, email_is_taken
from tenantry.auth.server.codes import CodeKind, forget
from tenantry.auth.server.database import Unit
from tenantry.auth.server.failures import email_exists


async def password_changed(unit: Unit, account: UUID, hashed: str, keep_session: Any = None) -> None:
    """Store a new password. All other sessions end, and so do all codes that were sent, and those
    of PKCE that links were exchanged for.

    Args:
        keep_session: the id of the session that stays; None: all end.
    """
    await unit.run("accounts.password", id=account, hash=hashed)
    await unit.run("codes.forget_all", user=account)
    await unit.run("flows.forget", user=account, but=None)
    if keep_session is None:
        await unit.run("sessions.end_all", user=account)
    else:
        await unit.run("sessions.end_others", user=account, session=keep_session)


async def account_confirmed(unit: Unit, account: SignInAccount) -> None:
    """Confirm the account's address, which says nothing about its identities: nobody has shown that they are theirs."""
    await unit.run("accounts.confirm", id=account.id)
    await forget(unit, account.id, CodeKind.CONFIRMATION)


async def confirmed(unit: Unit, account: SignInAccount) -> None:
    """Confirm the account's address and its identities with it, since the person got a mail there."""
    await account_confirmed(unit, account)
    await unit.run("accounts.mark_identities_verified", user=account.id, email=account.email)


async def email_changed(unit: Unit, account: SignInAccount) -> None:
    """Make the address that an account wanted its own. `account` was read after the wish was stored.

    Raises:
        SignInRefused: 422 email_exists, another account has got the address meanwhile.
    """
    wanted: str = account.row["email_change"]
    if await email_is_taken(unit, wanted, account.row["aud"] or "", account.id):
        raise email_exists()
    if any(identity["provider"] == "email" for identity in account.identities):
        data = Jsonb({"email": wanted, "email_verified": True})
        await unit.run("accounts.edit_identity", user=account.id, provider="email", data=data)
    else:
        await create_email_identity(unit, account.id, wanted, verified=True)
    await unit.run("accounts.email_changed", id=account.id)
    await unit.run("codes.forget_all", user=account.id)
    await unit.run("flows.forget", user=account.id, but="email_change")
    await unit.run("accounts.providers", id=account.id)


__all__ = ["account_confirmed", "confirmed", "email_changed", "password_changed"]
