"""GET and POST /verify: a code or the hash in a link is exchanged for a session.

A link from a mail is also opened by mail scanners and by browsers that fetch ahead, which would use it up. HEAD requests and requests
that call themselves a prefetch get a page with a button instead; typing the code always works.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tenantry.auth.server import codes, flows
from tenantry.auth.server.accounts import SignInAccount, account_by_email, must_exist, random_password
from tenantry.auth.server.caller import audience
from tenantry.auth.server.changes import account_confirmed, confirmed, email_changed
from tenantry.auth.server.codes import CodeKind
from tenantry.auth.server.database import Unit
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.events import note
from tenantry.auth.server.failures import SignInRefused, invalid
from tenantry.auth.server.limits import guess
from tenantry.auth.server.reading import email_address, read_body, redirect_target
from tenantry.auth.server.sessions import Shown, sign_in
from tenantry.auth.server.state import SignInServer

HALF = "Confirmation link accepted. Please proceed to confirm link sent to the other email"

_FIELDS: Mapping[str, type] = {
    "type": str,
    "token": str,
    "token_hash": str,
    "email": str,
    "phone": str,
    "redirect_to": str,
}
_KINDS: Mapping[str, tuple[CodeKind, ...]] = {
    "signup": (CodeKind.CONFIRMATION,),
    "invite": (CodeKind.CONFIRMATION,),
    "recovery": (CodeKind.RECOVERY,),
    "magiclink": (CodeKind.RECOVERY,),
    "email_change": (CodeKind.CHANGE_NEW, CodeKind.CHANGE_CURRENT),
    "email": (CodeKind.CONFIRMATION, CodeKind.RECOVERY),
}
_SENT = {
    CodeKind.CONFIRMATION: "confirmation_sent_at",
    CodeKind.RECOVERY: "recovery_sent_at",
    CodeKind.CHANGE_NEW: "email_change_sent_at",
    CodeKind.CHANGE_CURRENT: "email_change_sent_at",
}
_OAUTH_ERRORS = {
    400: "invalid_request",
    401: "unauthorized_client",
    403: "access_denied",
    500: "server_error",
    503: "temporarily_unavailable",
}
_FLOW_METHODS = {"signup": "email/signup"}


async def post_verify(server: SignInServer, request: Request) -> Response:
    body = await read_body(request, _FIELDS)
    kind, token, token_hash = body["type"], body["token"], body["token_hash"]
    if not kind:
        raise invalid("Verify requires a verification type")
    if bool(token) == bool(token_hash):
        raise invalid("Verify requires either a token or a token hash")
    by_hash = bool(token_hash)
    if by_hash and (body["email"] or body["phone"] or body["redirect_to"]):
        raise invalid("Only the token_hash and type should be provided")
    if not by_hash and body["email"]:
        await guess(server.database, "code", body["email"].lower())
    async with server.database.transaction() as unit:
        if by_hash:
            account, used = await _by_hash(server, unit, kind, token_hash)
        else:
            account, used = await _by_code(server, unit, request, kind, body)
        done = await _apply(server, unit, account, used)
        if done is None:
            return answer({"msg": HALF, "code": "200"})
        return answer(await sign_in(server, unit, done, request, Shown("otp", "email")))


async def get_verify(server: SignInServer, request: Request) -> Response:
    kind = request.query_params.get("type", "")
    hashed = request.query_params.get("token", "")
    target = redirect_target(request, server.settings)
    if not kind:
        raise invalid("Verify requires a verification type")
    if not hashed:
        raise invalid("Verify requires a token or a token hash")
    if _fetched_ahead(request):
        return HTMLResponse(_button(request))
    pkce = hashed.startswith(codes.PKCE)
    try:
        async with server.database.transaction() as unit:
            account, used = await _by_hash(server, unit, kind, hashed)
            done = await _apply(server, unit, account, used)
            if done is None:
                return _redirect(_with(target, {"message": HALF} if pkce else {}, {"message": HALF}))
            if pkce:
                code = await flows.issue(unit, done.id, _FLOW_METHODS.get(kind, kind))
                return _redirect(_with(target, {"code": code}, None))
            session = await sign_in(server, unit, done, request, Shown("otp", "email"))
    except SignInRefused as problem:
        told = {"error_code": problem.code, "error_description": problem.message}
        if problem.status in _OAUTH_ERRORS:
            told = {"error": _OAUTH_ERRORS[problem.status], **told}
        return _redirect(_with(target, told if pkce else {}, told))
    shown = {
        name: str(session[name]) for name in ("access_token", "expires_at", "expires_in", "refresh_token", "token_type")
    }
    return _redirect(_with(target, {}, {**shown, "type": kind}))


def _fetched_ahead(request: Request) -> bool:
    purposes = (request.headers.get(name, "").lower() for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    return any("prefetch" in each or "prerender" in each or each == "preview" for each in purposes)


def _button(request: Request) -> str:
    """Return a page that opens the link again when a person presses its button."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name, quote=True)}" value="{escape(value, quote=True)}">'
        for name, value in request.query_params.multi_items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Continue</title>'
        f'<form method="get">{hidden}<button>Continue</button></form></html>'
    )


def _redirect(address: str) -> Response:
    return RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _with(target: str, query: Mapping[str, str], fragment: Mapping[str, str] | None) -> str:
    """Return an address with more parameters in its query, and with others as its fragment."""
    parts = urlsplit(target)
    joined = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *query.items()])
    after = urlencode({**fragment, "sb": ""}, quote_via=quote) if fragment is not None else parts.fragment
    return urlunsplit((parts.scheme, parts.netloc, parts.path, joined, after))


async def _by_hash(server: SignInServer, unit: Unit, kind: str, hashed: str) -> tuple[SignInAccount, CodeKind]:
    """Return whose code has a hash; it is exact: a hash of PKCE counts only with its prefix."""
    if kind not in _KINDS:
        raise invalid("Invalid email verification type")
    found = await codes.owner(unit, hashed, *_KINDS[kind])
    if found is None:
        raise codes.link_expired()
    account = await must_exist(unit, found[0])
    if account.banned():
        raise SignInRefused(403, "user_banned", "User is banned")
    if account.row["deleted_at"] is not None or codes.expired(account.row[_SENT[found[1]]], server):
        raise codes.link_expired()
    return account, found[1]


async def _by_code(
    server: SignInServer, unit: Unit, request: Request, kind: str, body: Mapping[str, Any]
) -> tuple[SignInAccount, CodeKind]:
    """Return the account of an address whose code this is."""
    if body["phone"] or not body["email"]:
        if kind in {"sms", "phone_change"} and body["phone"]:
            raise codes.code_expired()
        raise invalid("Only an email address or phone number should be provided on verify")
    try:
        email = email_address(body["email"])
    except SignInRefused:
        raise invalid("Invalid email format", 422) from None
    if kind not in _KINDS:
        # An address without an account is answered in the same way: nothing is looked up before the type is known.
        raise codes.code_expired()
    hashed = await codes.hash_of_typed(unit, email, body["token"], *_KINDS[kind])
    found = await codes.owner(unit, hashed, *_KINDS[kind]) if hashed is not None else None
    if found is None:
        await _banned_or_expired(server, unit, request, email)
        raise codes.code_expired()
    account = await must_exist(unit, found[0])
    if account.banned():
        raise SignInRefused(403, "user_banned", "User is banned")
    if (
        account.row["deleted_at"] is not None
        or account.row["aud"] != audience(request, server)
        or codes.expired(account.row[_SENT[found[1]]], server)
    ):
        raise codes.code_expired()
    return account, found[1]


async def _banned_or_expired(server: SignInServer, unit: Unit, request: Request, email: str) -> None:
    account = await account_by_email(unit, email, audience(request, server))
    if account is not None and account.banned():
        raise SignInRefused(403, "user_banned", "User is banned")


async def _apply(server: SignInServer, unit: Unit, account: SignInAccount, used: CodeKind) -> SignInAccount | None:
    """Do what a code stands for; None if an address change waits for its other half."""
    if used is CodeKind.CONFIRMATION:
        await _confirm(server, unit, account)
    elif used is CodeKind.RECOVERY:
        await unit.run("accounts.recover", id=account.id)
        await codes.forget(unit, account.id, CodeKind.RECOVERY)
        if account.confirmed:
            await note(unit, "login", account)
        else:
            await note(unit, "user_signedup", account, {"provider": "email"})
            # Whoever signed up with a password has not shown that the address is theirs.
            await unit.run("accounts.forget_password", id=account.id)
            await account_confirmed(unit, account)
    elif not await _change(server, unit, account, used):
        return None
    await unit.run("accounts.providers", id=account.id)
    return await must_exist(unit, account.id)


async def _confirm(server: SignInServer, unit: Unit, account: SignInAccount) -> None:
    if not account.has_password and account.row["invited_at"] is not None:
        # A password that nobody knows, until the person sets one.
        await unit.run("accounts.password", id=account.id, hash=await server.passwords.hashed(random_password()))
        await codes.forget(unit, account.id, *CodeKind)
    await note(unit, "user_signedup", account, {"provider": "email"})
    await confirmed(unit, account)


async def _change(server: SignInServer, unit: Unit, account: SignInAccount, used: CodeKind) -> bool:
    both = server.settings.secure_email_change and not server.settings.autoconfirm and bool(account.email)
    if both and account.row["email_change_confirm_status"] == 0:
        await unit.run("accounts.half_changed", id=account.id, current=used is CodeKind.CHANGE_CURRENT)
        await codes.forget(unit, account.id, used)
        return False
    await note(unit, "user_modified", account)
    await email_changed(unit, account)
    return True


ENDPOINTS = (
    Endpoint("GET", "/verify", get_verify, ("verify", "limit_verify")),
    Endpoint("POST", "/verify", post_verify, ("verify", "limit_verify")),
)
