"""POST /invite and /admin/generate_link: an administrator invites by mail, or gets the link to hand it over otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response

from tenantry.auth.server import codes
from tenantry.auth.server.accounts import (
    NewAccount,
    SignInAccount,
    account_by_email,
    create_account,
    create_email_identity,
    email_is_taken,
    must_exist,
    random_password,
)
from tenantry.auth.server.caller import administrator, audience, claims_of
from tenantry.auth.server.codes import CodeKind
from tenantry.auth.server.database import Unit
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.events import note
from tenantry.auth.server.failures import SignInRefused, email_exists, invalid
from tenantry.auth.server.reading import email_address, read_body, redirect_allowed, redirect_target
from tenantry.auth.server.routes.signup import check_strength
from tenantry.auth.server.state import SignInServer

_LINK: Mapping[str, type] = {
    "type": str,
    "email": str,
    "new_email": str,
    "password": str,
    "data": dict,
    "redirect_to": str,
}


async def invite(server: SignInServer, request: Request) -> Response:
    role = await administrator(request, server)
    body = await read_body(request, {"email": str, "data": dict})
    email = email_address(body["email"])
    aud = audience(request, server, claims_of(request, server))
    redirect_to = redirect_target(request, server.settings)
    await codes.must_have_room(server)
    async with server.database.transaction() as unit:
        account = await _new_or_unconfirmed(server, unit, email, aud, body["data"] or {}, "")
        await note(unit, "user_invited", role, {"user_id": str(account.id), "user_email": account.email})
        mail = await codes.confirmation(server, unit, account, redirect_to, invite=True)
        account = await must_exist(unit, account.id)
    codes.send(server, mail)
    return answer(account.shown())


async def _new_or_unconfirmed(
    server: SignInServer, unit: Unit, email: str, aud: str, data: Mapping[str, Any], hashed: str
) -> SignInAccount:
    """Return the account of an address, which nobody has confirmed, or a new one.

    Raises:
        SignInRefused: 422 email_exists, an account has the address.
    """
    account = await account_by_email(unit, email, aud)
    if account is not None and not account.confirmed:
        await unit.run("accounts.lock", id=account.id)
        # Whoever signed up before with a password has not shown that the address is theirs.
        await unit.run("accounts.forget_password", id=account.id)
        if hashed:
            await unit.run("accounts.password", id=account.id, hash=hashed)
        return await must_exist(unit, account.id)
    if account is not None or await email_is_taken(unit, email, aud):
        raise email_exists()
    new = NewAccount(aud, server.settings.default_role, email=email, password_hash=hashed, user_metadata=data)
    created = await create_account(unit, new)
    if created is None:
        raise email_exists()
    await create_email_identity(unit, created, email)
    return await must_exist(unit, created)


async def generate_link(server: SignInServer, request: Request) -> Response:
    role = await administrator(request, server)
    body = await read_body(request, _LINK)
    email = email_address(body["email"])
    aud = audience(request, server, claims_of(request, server))
    target = body["redirect_to"]
    redirect_to = target if redirect_allowed(target, server.settings) else redirect_target(request, server.settings)
    kind, password = body["type"], body["password"]
    async with server.database.connection() as unit:
        account = await account_by_email(unit, email, aud)
    if account is None:
        if kind == "magiclink":
            kind, password = "signup", random_password()
        elif kind in {"recovery", "email_change_current", "email_change_new"}:
            raise SignInRefused(404, "user_not_found", "User with this email not found")
    if kind == "signup" and account is None and not password:
        raise invalid("Signup requires a valid password")
    if kind == "signup" and password:
        check_strength(server, password)
    hashed = await server.passwords.hashed(password) if kind == "signup" and password else ""
    code = codes.new_code(server.settings.otp_length)
    sent_to = body["new_email"] if kind == "email_change_new" else email
    wish = _Link(kind, email, aud, codes.code_hash(sent_to, code), body["data"], body["new_email"], hashed, role)
    async with server.database.transaction() as unit:
        account = await _keep(server, unit, wish)
        account = await must_exist(unit, account.id)
    verification = "email_change" if kind.startswith("email_change") else kind
    return answer(
        {
            **account.shown(),
            "action_link": codes.link(server, wish.token_hash, verification, redirect_to),
            "email_otp": code,
            "hashed_token": wish.token_hash,
            "verification_type": kind,
            "redirect_to": redirect_to,
        }
    )


@dataclass(frozen=True, slots=True)
class _Link:
    """A link that an administrator asks for.

    Attributes:
        hashed: the hash of the password of an account that is created for a sign-up.
        role: the administrator's.
    """

    kind: str
    email: str
    audience: str
    token_hash: str
    data: Mapping[str, Any] | None
    new_email: str
    hashed: str
    role: str


async def _keep(server: SignInServer, unit: Unit, wish: _Link) -> SignInAccount:
    """Keep the code of a link; return its account."""
    kind, token_hash = wish.kind, wish.token_hash
    if kind in {"magiclink", "recovery"}:
        account = await _known(unit, wish)
        await note(unit, "user_recovery_requested", account)
        await unit.run("codes.recovery", user=account.id, hash=token_hash)
        await codes.keep(unit, account.id, CodeKind.RECOVERY, token_hash, wish.email)
    elif kind in {"signup", "invite"}:
        account = await _new_or_unconfirmed(server, unit, wish.email, wish.audience, wish.data or {}, wish.hashed)
        if kind == "invite":
            await note(unit, "user_invited", wish.role, {"user_id": str(account.id), "user_email": account.email})
        elif wish.data:
            await unit.run("accounts.user_metadata", id=account.id, data=Jsonb(dict(wish.data)))
        await unit.run("codes.confirmation", user=account.id, hash=token_hash, invited=kind == "invite")
        await codes.keep(unit, account.id, CodeKind.CONFIRMATION, token_hash, wish.email)
    elif kind in {"email_change_current", "email_change_new"}:
        account = await _change(server, unit, wish)
    else:
        raise invalid(f"Invalid email action link type requested: {kind[:40]}")
    return account


async def _known(unit: Unit, wish: _Link) -> SignInAccount:
    account = await account_by_email(unit, wish.email, wish.audience)
    if account is None:
        raise SignInRefused(404, "user_not_found", "User with this email not found")
    return account


async def _change(server: SignInServer, unit: Unit, wish: _Link) -> SignInAccount:
    account = await _known(unit, wish)
    of_current = wish.kind == "email_change_current"
    if of_current and not server.settings.secure_email_change:
        raise invalid("Enable secure email change to generate link for current email")
    wanted = email_address(wish.new_email)
    if await email_is_taken(unit, wanted, wish.audience, account.id):
        raise email_exists()
    # The other half of a change to the same address stays valid: an administrator asks for both, one after the other.
    same = account.row["email_change"] == wanted
    current, new = account.row["email_change_token_current"], account.row["email_change_token_new"]
    if of_current:
        current, new = wish.token_hash, new if same else ""
        await codes.keep(unit, account.id, CodeKind.CHANGE_CURRENT, current, wish.email)
    else:
        current, new = current if same else "", wish.token_hash
        await codes.keep(unit, account.id, CodeKind.CHANGE_NEW, new, wanted)
    if not same:
        await codes.forget(unit, account.id, CodeKind.CHANGE_NEW if of_current else CodeKind.CHANGE_CURRENT)
    await unit.run("codes.email_change", user=account.id, email=wanted, new=new, current=current)
    return account


ENDPOINTS = (
    Endpoint("POST", "/invite", invite),
    Endpoint("POST", "/admin/generate_link", generate_link),
)
