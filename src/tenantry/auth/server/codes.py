"""One-time codes by mail: confirmation, recovery, magic link, change of address, reauthentication.

The hash of a code (tenantry.auth.one_time) has the prefix `pkce_` with PKCE. It stands in the account and in auth.one_time_tokens. A link
carries the hash, a person types the code.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID

from tenantry.auth.one_time import is_hash_of, new_hash
from tenantry.auth.server.accounts import SignInAccount
from tenantry.auth.server.database import Unit
from tenantry.auth.server.failures import SignInRefused
from tenantry.auth.server.limits import allowed, over_mail_limit
from tenantry.auth.server.state import MailRequest, SignInServer

PKCE = "pkce_"

_log = logging.getLogger("tenantry.auth")


class CodeKind(StrEnum):
    """The types of auth.one_time_tokens that a mail carries."""

    CONFIRMATION = "confirmation_token"
    RECOVERY = "recovery_token"
    REAUTHENTICATION = "reauthentication_token"
    CHANGE_NEW = "email_change_token_new"
    CHANGE_CURRENT = "email_change_token_current"


def new_code(length: int) -> str:
    return f"{secrets.randbelow(10**length):0{length}d}"


def code_hash(address: str, code: str, *, pkce: bool = False) -> str:
    """Return a new hash of a code; no two are the same."""
    return (PKCE if pkce else "") + new_hash(address, code)


def fits(stored: str, address: str, code: str) -> bool:
    """Whether a stored hash is that of a code for an address, with PKCE or without: who types a code does not know how it was asked for."""
    return is_hash_of(stored.removeprefix(PKCE), address, code)


def expired(sent_at: datetime | None, server: SignInServer) -> bool:
    return sent_at is None or sent_at + timedelta(seconds=server.settings.otp_seconds) < datetime.now(UTC)


def must_wait(sent_at: datetime | None, server: SignInServer) -> None:
    """Refuse a further mail of a kind to an account within the interval.

    Raises:
        SignInRefused: 429 over_email_send_rate_limit.
    """
    if sent_at is None:
        return
    left = (sent_at + server.settings.mail_interval - datetime.now(UTC)).total_seconds()
    if left > 0:
        raise over_mail_limit(wait_message(left))


def wait_message(seconds: float) -> str:
    return f"For security purposes, you can only request this after {int(seconds)} seconds."


async def must_have_room(server: SignInServer) -> None:
    """Count a mail of the whole installation before anything is written.

    Raises:
        SignInRefused: 429 over_email_send_rate_limit, more mails than allowed within an hour, or too many wait to be sent;
            422 email_provider_disabled, there is no mail server.
    """
    if server.outbox is None:
        raise SignInRefused(422, "email_provider_disabled", "This server sends no mail")
    if not server.outbox.has_room():
        raise over_mail_limit("too many mails are waiting to be sent")
    if not await allowed(server.database, "mails", server.settings.limit_mail, timedelta(hours=1)):
        raise over_mail_limit()


def link(server: SignInServer, hashed: str, kind: str, redirect_to: str) -> str:
    """Return the address of a mail's link."""
    query = urlencode({"token": hashed, "type": kind, "redirect_to": redirect_to})
    return f"{server.settings.base_url}/verify?{query}"


def _mail(
    server: SignInServer, account: SignInAccount, kind: str, to: str, code: str, hashed: str, redirect_to: str
) -> MailRequest:
    return MailRequest(
        kind,
        to,
        code,
        link(server, hashed, kind, redirect_to),
        {
            "email": account.email,
            "new_email": account.row["email_change"] or "",
            "site_url": server.settings.site_url,
            "redirect_to": redirect_to,
            "token_hash": hashed,
            "data": account.row["raw_user_meta_data"] or {},
        },
    )


async def confirmation(
    server: SignInServer,
    unit: Unit,
    account: SignInAccount,
    redirect_to: str,
    *,
    pkce: bool = False,
    invite: bool = False,
) -> MailRequest:
    """Keep a code that confirms the account's address; return its mail."""
    if not invite:
        must_wait(account.row["confirmation_sent_at"], server)
    code = new_code(server.settings.otp_length)
    hashed = code_hash(account.email, code, pkce=pkce)
    await unit.run("codes.confirmation", user=account.id, hash=hashed, invited=invite)
    await keep(unit, account.id, CodeKind.CONFIRMATION, hashed, account.email)
    kind = "invite" if invite else "signup"
    return _mail(server, account, kind, account.email, code, hashed, redirect_to)


async def recovery(
    server: SignInServer, unit: Unit, account: SignInAccount, redirect_to: str, kind: str, *, pkce: bool = False
) -> MailRequest:
    """Keep a code that signs the account in (kind magiclink) or lets its password be set (recovery); return its mail."""
    must_wait(account.row["recovery_sent_at"], server)
    code = new_code(server.settings.otp_length)
    hashed = code_hash(account.email, code, pkce=pkce)
    await unit.run("codes.recovery", user=account.id, hash=hashed)
    await keep(unit, account.id, CodeKind.RECOVERY, hashed, account.email)
    return _mail(server, account, kind, account.email, code, hashed, redirect_to)


async def reauthentication(server: SignInServer, unit: Unit, account: SignInAccount) -> MailRequest:
    """Keep a code that shows once more who a signed-in user is; return its mail, which has no link."""
    must_wait(account.row["reauthentication_sent_at"], server)
    code = new_code(server.settings.otp_length)
    hashed = code_hash(account.email, code)
    await unit.run("codes.reauthentication", user=account.id, hash=hashed)
    await keep(unit, account.id, CodeKind.REAUTHENTICATION, hashed, account.email)
    values: dict[str, object] = {"email": account.email, "site_url": server.settings.site_url}
    return MailRequest("reauthentication", account.email, code, "", values)


async def email_change(
    server: SignInServer, unit: Unit, account: SignInAccount, wanted: str, redirect_to: str, *, pkce: bool = False
) -> list[MailRequest]:
    """Keep the codes of a change of address: one for the new address, and a second one for the current address where both confirm."""
    must_wait(account.row["email_change_sent_at"], server)
    code = new_code(server.settings.otp_length)
    new_hash = code_hash(wanted, code, pkce=pkce)
    both = server.settings.secure_email_change and bool(account.email)
    current_code = new_code(server.settings.otp_length) if both else ""
    current_hash = code_hash(account.email, current_code, pkce=pkce) if both else ""
    await unit.run("codes.email_change", user=account.id, email=wanted, new=new_hash, current=current_hash)
    await forget(unit, account.id, CodeKind.CHANGE_NEW, CodeKind.CHANGE_CURRENT)
    await keep(unit, account.id, CodeKind.CHANGE_NEW, new_hash, wanted)
    changed = SignInAccount(
        {**account.row, "email_change": wanted}, account.identities, account.factors, account.session
    )
    mails = [_mail(server, changed, "email_change", wanted, code, new_hash, redirect_to)]
    if both:
        await keep(unit, account.id, CodeKind.CHANGE_CURRENT, current_hash, account.email)
        mails.append(_mail(server, changed, "email_change", account.email, current_code, current_hash, redirect_to))
    return mails


async def keep(unit: Unit, account: UUID, kind: CodeKind, hashed: str, address: str) -> None:
    """Keep the hash of a code; an earlier one of the kind counts no more."""
    await unit.run("codes.keep", user=account, type=kind.value, hash=hashed, relates=address.lower())


async def forget(unit: Unit, account: UUID, *kinds: CodeKind) -> None:
    await unit.run("codes.forget", user=account, types=[kind.value for kind in kinds])


async def owner(unit: Unit, hashed: str, *kinds: CodeKind) -> tuple[UUID, CodeKind] | None:
    """Return whose code has this hash, and its kind; the account stays locked until the transaction ends."""
    row = await unit.one("codes.owner", hash=hashed, types=[kind.value for kind in kinds])
    if row is None:
        return None
    # The account was locked after the search: the code may have been used while this request waited.
    there = await unit.value("codes.still_there", user=row["id"], type=row["token_type"], hash=hashed)
    return (UUID(str(row["id"])), CodeKind(row["token_type"])) if there else None


async def hash_of_typed(unit: Unit, address: str, code: str, *kinds: CodeKind) -> str | None:
    """Return the hash of a code that was sent to an address. A wrong guess locks nothing."""
    kept = await unit.all("codes.sent_to", address=address.lower(), types=[kind.value for kind in kinds])
    return next((row["token_hash"] for row in kept if fits(row["token_hash"], address, code)), None)


def send(server: SignInServer, *mails: MailRequest) -> None:
    """Hand mails over, after the transaction that keeps their codes."""
    for mail in mails:
        if server.outbox is None or not server.outbox.offer(mail):
            _log.error("a mail was not taken: %s", mail.kind)


def link_expired() -> SignInRefused:
    return SignInRefused(403, "otp_expired", "Email link is invalid or has expired")


def code_expired() -> SignInRefused:
    return SignInRefused(403, "otp_expired", "Token has expired or is invalid")


__all__ = [
    "PKCE",
    "CodeKind",
    "code_expired",
    "code_hash",
    "confirmation",
    "email_change",
    "expired",
    "fits",
    "forget",
    "hash_of_typed",
    "keep",
    "link",
    "link_expired",
    "must_have_room",
    "must_wait",
    "new_code",
    "owner",
    "reauthentication",
    "recovery",
    "send",
    "wait_message",
]
