"""GET and PUT /user, GET /reauthenticate: the signed-in user's own account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response

from tenantry.auth.server import codes, flows
from tenantry.auth.server.accounts import create_email_identity, email_is_taken, must_exist
from tenantry.auth.server.caller import SignedIn, audience, signed_in
from tenantry.auth.server.changes import email_changed, password_changed
from tenantry.auth.server.codes import CodeKind
from tenantry.auth.server.database import Unit
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.events import note
from tenantry.auth.server.failures import SignInRefused, email_exists, invalid
from tenantry.auth.server.limits import guess
from tenantry.auth.server.reading import (
    PKCE_FIELDS,
    challenge,
    check_metadata,
    email_address,
    read_body,
    redirect_target,
)
from tenantry.auth.server.routes.signup import check_strength
from tenantry.auth.server.state import MailRequest, SignInServer

_FIELDS: Mapping[str, type] = {
    "email": str,
    "password": str,
    "current_password": str,
    "nonce": str,
    "data": dict,
    "app_metadata": dict,
    "phone": str,
    "channel": str,
    **PKCE_FIELDS,
}
_RECENT = timedelta(hours=24)


async def get_user(server: SignInServer, request: Request) -> Response:
    async with server.database.connection() as unit:
        caller = await signed_in(request, server, unit)
    given = caller.claims.get("aud")
    first = given[0] if isinstance(given, list) and given else given
    if audience(request, server, caller.claims) != first:
        raise invalid("Token audience doesn't match request audience")
    return answer(caller.account.shown())


async def put_user(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, _FIELDS, password=None)
    async with server.database.connection() as unit:
        caller = await signed_in(request, server, unit)
    wanted = email_address(body["email"]) if body["email"] else ""
    password: str | None = body["password"]
    if password is not None:
        check_strength(server, password)
    asked = challenge(body)
    changes_email = bool(wanted) and wanted != caller.account.email
    _may_change(caller, body, changes_email)
    if password and body["nonce"] and server.settings.reauthenticate_for_password:
        await guess(server.database, "nonce", str(caller.account.id))
    hashed = await _new_hash(server, caller, body) if password else ""
    mails: list[MailRequest] = []
    if changes_email and not (server.settings.autoconfirm and caller.account.row["is_anonymous"]):
        await codes.must_have_room(server)
    async with server.database.transaction() as unit:
        caller = await _locked(server, request, unit, caller)
        if changes_email and await email_is_taken(
            unit, wanted, audience(request, server, caller.claims), caller.account.id
        ):
            raise email_exists()
        if password:
            await _set_password(server, unit, caller, hashed, body["nonce"])
        if body["data"] is not None:
            await unit.run("accounts.user_metadata", id=caller.account.id, data=Jsonb(body["data"]))
        if changes_email:
            if caller.account.row["is_anonymous"] and server.settings.autoconfirm:
                await unit.run("codes.email_change", user=caller.account.id, email=wanted, new="", current="")
                await email_changed(unit, await must_exist(unit, caller.account.id))
            else:
                if asked is not None:
                    await flows.begin(unit, caller.account.id, asked, "email_change", "email_change")
                redirect_to = redirect_target(request, server.settings)
                mails += await codes.email_change(
                    server, unit, caller.account, wanted, redirect_to, pkce=asked is not None
                )
        await note(unit, "user_modified", caller.account)
        account = await must_exist(unit, caller.account.id)
        if body["data"]:
            check_metadata(account.row["raw_user_meta_data"] or {})
    codes.send(server, *mails)
    return answer(account.shown())


def _may_change(caller: SignedIn, body: Mapping[str, Any], changes_email: bool) -> None:
    account = caller.account
    if body["app_metadata"] is not None:
        raise SignInRefused(403, "not_admin", "Updating app_metadata requires admin privileges")
    if body["phone"] and body["phone"].lstrip("+") != (account.row["phone"] or ""):
        raise SignInRefused(422, "phone_provider_disabled", "Phone logins are disabled")
    sensitive = bool(body["password"]) or changes_email
    if sensitive and account.has_verified_factor and caller.aal != "aal2":
        raise SignInRefused(
            401, "insufficient_aal", "AAL2 session is required to update email or password when MFA is enabled."
        )
    if account.row["is_anonymous"] and body["password"] and not body["email"]:
        raise invalid("Updating password of an anonymous user without an email or phone is not allowed", 422)
    if account.row["is_sso_user"] and (sensitive or body["nonce"]):
        raise SignInRefused(
            422, "user_sso_managed", "Updating email, phone, password of a SSO account only possible via SSO"
        )


async def _new_hash(server: SignInServer, caller: SignedIn, body: Mapping[str, Any]) -> str:
    """Return the hash of a new password, which differs from the present one."""
    stored = caller.account.row["encrypted_password"]
    if stored:
        if server.settings.current_password_for_password and not _in_recovery(caller):
            message = "Current password required when setting new password."
            if not body["current_password"]:
                raise SignInRefused(400, "current_password_required", message)
            if not await server.passwords.matches(body["current_password"], stored):
                raise SignInRefused(400, "current_password_invalid", message)
        if await server.passwords.matches(body["password"], stored):
            raise SignInRefused(422, "same_password", "New password should be different from the old password.")
    return await server.passwords.hashed(body["password"])


def _in_recovery(caller: SignedIn) -> bool:
    amr = caller.claims.get("amr")
    return isinstance(amr, list) and any(
        isinstance(each, dict) and each.get("method") in {"recovery", "otp"} for each in amr
    )


async def _locked(server: SignInServer, request: Request, unit: Unit, before: SignedIn) -> SignedIn:
    """Read the caller again, under a lock of the account: two changes of one account follow each other.

    Raises:
        SignInRefused: 409 conflict, the password was changed meanwhile.
    """
    await unit.run("accounts.lock", id=before.account.id)
    now = await signed_in(request, server, unit)
    if now.account.row["encrypted_password"] != before.account.row["encrypted_password"]:
        raise SignInRefused(409, "conflict", "The account was changed by another request")
    return now


async def _set_password(server: SignInServer, unit: Unit, caller: SignedIn, hashed: str, nonce: str) -> None:
    account = caller.account
    opened = caller.session["created_at"] if caller.session else None
    recent = opened is not None and opened + _RECENT > datetime.now(UTC)
    if server.settings.reauthenticate_for_password and not recent:
        if not nonce:
            raise SignInRefused(400, "reauthentication_needed", "Password update requires reauthentication")
        await _use_nonce(server, unit, caller, nonce)
    first = not account.has_password
    await password_changed(unit, account.id, hashed, keep_session=caller.session["id"] if caller.session else None)
    await note(unit, "user_updated_password", account)
    if first and account.email and account.confirmed:
        await create_email_identity(unit, account.id, account.email, verified=True)


async def _use_nonce(server: SignInServer, unit: Unit, caller: SignedIn, nonce: str) -> None:
    account = caller.account
    sent = account.row["reauthentication_sent_at"]
    if (
        not account.row["reauthentication_token"]
        or codes.expired(sent, server)
        or not codes.fits(account.row["reauthentication_token"], account.email, nonce)
    ):
        raise SignInRefused(422, "reauthentication_not_valid", "Nonce has expired or is invalid")
    await unit.run("codes.reauthenticated", user=account.id)
    await codes.forget(unit, account.id, CodeKind.REAUTHENTICATION)


async def reauthenticate(server: SignInServer, request: Request) -> Response:
    async with server.database.connection() as unit:
        caller = await signed_in(request, server, unit)
    if not caller.account.email:
        raise invalid("Reauthentication requires the user to have an email or a phone number", 422)
    if not caller.account.confirmed:
        raise SignInRefused(422, "email_not_confirmed", "Please verify your email first.")
    await codes.must_have_room(server)
    async with server.database.transaction() as unit:
        await unit.run("accounts.lock", id=caller.account.id)
        caller = await signed_in(request, server, unit)
        await note(unit, "user_reauthenticate_requested", caller.account)
        mail = await codes.reauthentication(server, unit, caller.account)
    codes.send(server, mail)
    return answer({})


ENDPOINTS = (
    Endpoint("GET", "/user", get_user),
    Endpoint("PUT", "/user", put_user, ("user", "limit_token")),
    Endpoint("GET", "/reauthenticate", reauthenticate),
)
