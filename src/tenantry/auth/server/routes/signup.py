"""POST /signup: a new account with address and password, or an anonymous one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response

from tenantry.accounts.user_json import time_text
from tenantry.auth.passwords import LONGEST, weaknesses
from tenantry.auth.server import codes, flows
from tenantry.auth.server.accounts import (
    NewAccount,
    SignInAccount,
    account_by_email,
    create_account,
    create_email_identity,
    email_is_taken,
    must_exist,
)
from tenantry.auth.server.changes import account_confirmed
from tenantry.auth.server.database import Unit
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.events import note
from tenantry.auth.server.failures import SignInRefused, invalid
from tenantry.auth.server.limits import take
from tenantry.auth.server.reading import (
    PKCE_FIELDS,
    challenge,
    check_metadata,
    email_address,
    read_body,
    redirect_target,
)
from tenantry.auth.server.sessions import Shown, sign_in
from tenantry.auth.server.state import MailRequest, SignInServer

_FIELDS: Mapping[str, type] = {"email": str, "phone": str, "password": str, "data": dict, "channel": str, **PKCE_FIELDS}


async def sign_up(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, _FIELDS)
    settings = server.settings
    if not body["email"] and not body["phone"]:
        if not settings.anonymous_users:
            raise SignInRefused(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
        await take(server.database, settings, request, "anonymous", settings.limit_anonymous)
        return await _anonymous(server, request, body)
    await take(server.database, settings, request, "signup", settings.limit_otp)
    if settings.signup_disabled:
        raise signups_disabled()
    if not body["password"]:
        raise invalid("Signup requires a valid password")
    check_strength(server, body["password"])
    if body["email"] and body["phone"]:
        raise invalid("Only an email address or phone number should be provided on signup.")
    if body["phone"]:
        raise SignInRefused(400, "phone_provider_disabled", "Phone signups are disabled")
    asked = challenge(body)
    if not settings.email_enabled:
        raise SignInRefused(400, "email_provider_disabled", "Email signups are disabled")
    email = email_address(body["email"])
    result = await sign_up_email(server, request, email, body["password"], body["data"] or {}, asked)
    if isinstance(result, SignInAccount):
        if result.confirmed:
            async with server.database.transaction() as unit:
                return answer(await sign_in(server, unit, result, request, Shown("password", "email")))
        shown = result.shown()
        if result.row["invited_at"] is not None:
            shown |= {"user_metadata": {}, "identities": []}
        return answer(shown)
    return answer(result)


def signups_disabled() -> SignInRefused:
    return SignInRefused(422, "signup_disabled", "Signups not allowed for this instance")


def check_strength(server: SignInServer, password: str) -> None:
    """Refuse a password that is too long or too weak.

    Raises:
        SignInRefused: 400 validation_failed, 422 weak_password.
    """
    if len(password.encode()) > LONGEST:
        raise invalid(f"Password cannot be longer than {LONGEST} characters")
    lacks = weaknesses(password, server.settings.password_min_length, server.settings.password_sets)
    if lacks:
        message = " ".join(text for _, text in lacks)
        raise SignInRefused(422, "weak_password", message, weak=[reason for reason, _ in lacks])


async def sign_up_email(
    server: SignInServer,
    request: Request,
    email: str,
    password: str,
    data: Mapping[str, Any],
    asked: tuple[str, str] | None,
) -> SignInAccount | dict[str, Any]:
    """Create an account, or send its mail once more. If the account has another password, that one counts no more.

    Returns:
        The account; or, where a confirmed account has the address, the JSON of one that does not exist.

    Raises:
        SignInRefused: 422 user_already_exists, only where new accounts need no confirmation, so that the answer tells anyway. An account that waits
            for a confirmation, such as an invited one, is opened there by its password or its mail alone.
    """
    check_metadata(data)
    # Whoever signs up does not choose for which application their tokens are.
    aud, settings = server.settings.jwt_audience, server.settings
    async with server.database.connection() as unit:
        before = await account_by_email(unit, email, aud)
    same = before is not None and not before.confirmed and await _has_password(server, before, password)
    redirect_to = redirect_target(request, settings)
    # Hashed in any case: the time of an answer does not tell whether the address has an account.
    hashed = await server.passwords.hashed(password)
    mails: list[MailRequest] = []
    if not settings.autoconfirm:
        await codes.must_have_room(server)
    async with server.database.transaction() as unit:
        account = await _taken_or_new(server, unit, email, aud, hashed, data)
        if account is not None and not account.confirmed and account.row["encrypted_password"] != hashed:
            await unit.run("accounts.lock", id=account.id)
            account = await must_exist(unit, account.id)
            if before is None or account.row["encrypted_password"] != before.row["encrypted_password"]:
                same = await _has_password(server, account, password)
            if not same and not account.confirmed:
                # Two have claimed the address. Whoever confirms it gets in by the mail, and neither of them by a password.
                if settings.autoconfirm:
                    raise user_exists()
                await unit.run("accounts.forget_password", id=account.id)
        if account is None or account.confirmed:
            if account is not None:
                await note(unit, "user_repeated_signup", account, {"provider": "email"})
            if settings.autoconfirm:
                raise user_exists()
            return _made_up(settings.jwt_audience, email, data)
        await create_email_identity(unit, account.id, account.email, data)
        await unit.run("accounts.drop_unconfirmed_identities", user=account.id, provider="email")
        if settings.autoconfirm:
            await note(unit, "user_signedup", account, {"provider": "email"})
            await account_confirmed(unit, account)
        else:
            await note(unit, "user_confirmation_requested", account, {"provider": "email"})
            if asked is not None:
                await flows.begin(unit, account.id, asked, "email", "email/signup")
            mails.append(await codes.confirmation(server, unit, account, redirect_to, pkce=asked is not None))
        account = await must_exist(unit, account.id)
    codes.send(server, *mails)
    return account


def user_exists() -> SignInRefused:
    return SignInRefused(422, "user_already_exists", "User already registered", keep=True)


async def _has_password(server: SignInServer, account: SignInAccount, password: str) -> bool:
    return account.has_password and await server.passwords.matches(password, account.row["encrypted_password"])


async def _taken_or_new(
    server: SignInServer, unit: Unit, email: str, aud: str, hashed: str, data: Mapping[str, Any]
) -> SignInAccount | None:
    """Return the account of an address, or a new one; None if an account has the address only by an identity of a provider."""
    account = await account_by_email(unit, email, aud)
    if account is not None:
        return account
    if await email_is_taken(unit, email, aud):
        return None
    new = NewAccount(aud, server.settings.default_role, email=email, password_hash=hashed, user_metadata=data)
    created = await create_account(unit, new)
    if created is not None:
        identity_data = {"sub": str(created), "email": email, "email_verified": False, "phone_verified": False}
        await unit.run("accounts.user_metadata", id=created, data=Jsonb({**data, **identity_data}))
        return await must_exist(unit, created)
    # Another request has just created it.
    return await account_by_email(unit, email, aud)


def _made_up(aud: str, email: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return an account that does not exist, so that the answer does not tell whether the address has one."""
    now = time_text(datetime.now(UTC))
    return {
        "id": str(uuid4()),
        "aud": aud,
        "role": "",
        "email": email,
        "phone": "",
        "confirmation_sent_at": now,
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": dict(data),
        "identities": [],
        "created_at": now,
        "updated_at": now,
        "is_anonymous": False,
    }


async def _anonymous(server: SignInServer, request: Request, body: Mapping[str, Any]) -> Response:
    if server.settings.signup_disabled:
        raise signups_disabled()
    check_metadata(body["data"] or {})
    async with server.database.transaction() as unit:
        aud, role = server.settings.jwt_audience, server.settings.default_role
        created = await create_account(unit, NewAccount(aud, role, user_metadata=body["data"] or {}, anonymous=True))
        assert created is not None
        account = await must_exist(unit, created)
        return answer(await sign_in(server, unit, account, request, Shown("anonymous")))


ENDPOINTS = (Endpoint("POST", "/signup", sign_up),)
