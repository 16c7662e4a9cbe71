"""POST /recover, /magiclink, /otp, /resend: codes and links by mail.

Whether an address has an account shows neither in an answer nor in its limits: for unknown addresses the interval between two mails
counts in the table of limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tenantry.auth.server import codes, flows
from tenantry.auth.server.accounts import SignInAccount, account_by_email, must_exist, random_password
from tenantry.auth.server.caller import audience
from tenantry.auth.server.database import Unit
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.events import note
from tenantry.auth.server.failures import SignInRefused, invalid
from tenantry.auth.server.limits import allowed, over_mail_limit
from tenantry.auth.server.reading import PKCE_FIELDS, challenge, email_address, read_body, redirect_target
from tenantry.auth.server.routes.signup import sign_up_email, signups_disabled
from tenantry.auth.server.state import MailRequest, SignInServer

_RECOVER: Mapping[str, type] = {"email": str, **PKCE_FIELDS}
_OTP: Mapping[str, type] = {
    "email": str,
    "phone": str,
    "create_user": bool,
    "data": dict,
    "channel": str,
    **PKCE_FIELDS,
}
_RESEND: Mapping[str, type] = {"type": str, "email": str, "phone": str, **PKCE_FIELDS}


async def recover(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, _RECOVER)
    if not body["email"]:
        raise invalid("Password recovery requires an email")
    if not server.settings.email_enabled:
        raise SignInRefused(400, "email_provider_disabled", "Email logins are disabled")
    email, asked = email_address(body["email"]), challenge(body)
    await _send_recovery(server, request, email, "recovery", asked)
    return answer({})


async def magic_link(server: SignInServer, request: Request) -> Response:
    return await _magic_link(server, request, await read_body(request, _OTP, create_user=True))


async def one_time_code(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, _OTP, create_user=True)
    if body["email"] and body["phone"]:
        raise invalid("Only an email address or phone number should be provided")
    if body["email"] and body["channel"]:
        raise invalid("Channel should only be specified with Phone OTP")
    challenge(body)
    if body["email"]:
        return await _magic_link(server, request, body)
    if body["phone"]:
        raise SignInRefused(400, "phone_provider_disabled", "Unsupported phone provider")
    raise invalid("One of email or phone must be set")


async def _magic_link(server: SignInServer, request: Request, body: Mapping[str, Any]) -> Response:
    settings = server.settings
    if not settings.email_enabled:
        raise SignInRefused(422, "email_provider_disabled", "Email logins are disabled")
    if not settings.magic_links:
        raise SignInRefused(422, "email_provider_disabled", "Login with magic link is disabled")
    if not body["email"]:
        raise invalid("Password recovery requires an email", 422)
    email, asked = email_address(body["email"]), challenge(body)
    async with server.database.connection() as unit:
        account = await account_by_email(unit, email, audience(request, server))
    if account is None and not body["create_user"]:
        raise SignInRefused(422, "otp_disabled", "Signups not allowed for otp")
    if account is None or not account.confirmed:
        if settings.signup_disabled:
            raise signups_disabled()
        if account is None or not settings.autoconfirm:
            await sign_up_email(server, request, email, random_password(), body["data"] or {}, asked)
        if not settings.autoconfirm:
            return answer({})
    await _send_recovery(server, request, email, "magiclink", asked)
    return answer({})


async def _send_recovery(
    server: SignInServer, request: Request, email: str, kind: str, asked: tuple[str, str] | None
) -> None:
    redirect_to = redirect_target(request, server.settings)
    async with server.database.connection() as unit:
        account = await account_by_email(unit, email, audience(request, server))
    if account is None or account.row["deleted_at"] is not None:
        await _unknown(server, email, "recovery")
        return
    codes.must_wait(account.row["recovery_sent_at"], server)
    await codes.must_have_room(server)
    async with server.database.transaction() as unit:
        account = await _locked(unit, account)
        await note(unit, "user_recovery_requested", account)
        if asked is not None:
            await flows.begin(unit, account.id, asked, kind, kind)
        mail = await codes.recovery(server, unit, account, redirect_to, kind, pkce=asked is not None)
    codes.send(server, mail)


async def resend(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, _RESEND)
    kind, email = body["type"], body["email"]
    if kind not in {"signup", "email_change", "sms", "phone_change"}:
        raise invalid("Missing one of these types: signup, email_change, sms, phone_change")
    asked = challenge(body) if kind in {"signup", "email_change"} else None
    if kind == "signup" and not email:
        raise invalid("Type provided requires an email address")
    if kind == "sms" and not body["phone"]:
        raise invalid("Type provided requires a phone number")
    if email and body["phone"]:
        raise invalid("Only an email address or phone number should be provided.")
    if body["phone"]:
        raise SignInRefused(400, "phone_provider_disabled", "Phone logins are disabled")
    if not email:
        raise invalid("Missing email address or phone number")
    if not server.settings.email_enabled:
        raise SignInRefused(400, "email_provider_disabled", "Email logins are disabled")
    email = email_address(email)
    async with server.database.connection() as unit:
        account = await account_by_email(unit, email, audience(request, server))
    nothing = (
        account is None
        or account.row["deleted_at"] is not None
        or (kind == "signup" and account.confirmed)
        or (kind == "email_change" and not account.row["email_change"])
        or kind in {"sms", "phone_change"}
    )
    if account is None or nothing:
        await _unknown(server, email, kind)
        return answer({})
    codes.must_wait(account.row["confirmation_sent_at" if kind == "signup" else "email_change_sent_at"], server)
    await codes.must_have_room(server)
    redirect_to = redirect_target(request, server.settings)
    mails: list[MailRequest] = []
    async with server.database.transaction() as unit:
        account = await _locked(unit, account)
        method = "email/signup" if kind == "signup" else "email_change"
        if asked is not None:
            await flows.begin(unit, account.id, asked, method, method)
        if kind == "signup":
            await note(unit, "user_confirmation_requested", account)
            mails.append(await codes.confirmation(server, unit, account, redirect_to, pkce=asked is not None))
        else:
            wanted = account.row["email_change"]
            mails += await codes.email_change(server, unit, account, wanted, redirect_to, pkce=asked is not None)
    codes.send(server, *mails)
    return answer({})


async def _locked(unit: Unit, account: SignInAccount) -> SignInAccount:
    await unit.run("accounts.lock", id=account.id)
    return await must_exist(unit, account.id)


async def _unknown(server: SignInServer, email: str, kind: str) -> None:
    """Apply to an address without an account the interval that others have."""
    interval = server.settings.mail_interval
    if interval and not await allowed(server.database, f"unknown {kind}:{email}", 1, interval):
        raise over_mail_limit(codes.wait_message(interval.total_seconds() - 1))
    # Counted like a mail: how many are left must not tell whether this address has an account.
    await codes.must_have_room(server)


ENDPOINTS = (
    Endpoint("POST", "/recover", recover, ("recover", "limit_otp"), level=True),
    Endpoint("POST", "/magiclink", magic_link, ("otp", "limit_otp"), level=True),
    Endpoint("POST", "/otp", one_time_code, ("otp", "limit_otp"), level=True),
    Endpoint("POST", "/resend", resend, ("resend", "limit_otp"), level=True),
)
