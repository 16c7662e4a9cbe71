"""GET, POST /admin/users and below: accounts as administrators see and change them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tenantry.accounts.password_hashes import kind_of
from tenantry.accounts.user_json import factor_json
from tenantry.auth.server.accounts import (
    NewAccount,
    SignInAccount,
    account_by_id,
    create_account,
    create_email_identity,
    email_is_taken,
    must_exist,
    random_password,
)
from tenantry.auth.server.caller import administrator, audience, claims_of
from tenantry.auth.server.changes import account_confirmed, password_changed
from tenantry.auth.server.database import Unit
from tenantry.auth.server.endpoint import Endpoint, answer
from tenantry.auth.server.events import note
from tenantry.auth.server.failures import SignInRefused, email_exists, invalid
from tenantry.auth.server.reading import body_bytes, email_address, read_body, read_fields, uuid_of
from tenantry.auth.server.routes.signup import check_strength
from tenantry.auth.server.state import SignInServer
from tenantry.auth.settings import read_duration

PER_PAGE, MOST_PER_PAGE = 50, 1000

_FIELDS: Mapping[str, type] = {
    "id": str,
    "aud": str,
    "role": str,
    "email": str,
    "phone": str,
    "password": str,
    "password_hash": str,
    "email_confirm": bool,
    "phone_confirm": bool,
    "user_metadata": dict,
    "app_metadata": dict,
    "ban_duration": str,
}


async def list_users(server: SignInServer, request: Request) -> Response:
    await administrator(request, server)
    page, per_page = _number(request, "page", 1), _number(request, "per_page", PER_PAGE)
    newest_first = _direction(request)
    wanted = request.query_params.get("filter", "").replace("\x00", "")
    aud = audience(request, server, claims_of(request, server))
    pattern = "%" + re.sub(r"([\\%_])", r"\\\1", wanted) + "%" if wanted else None
    size = min(per_page, MOST_PER_PAGE) or PER_PAGE
    name = "admin.newest" if newest_first else "admin.oldest"
    async with server.database.connection() as unit:
        offset = min((max(page, 1) - 1) * size, 2**62)
        rows = await unit.all(name, aud=aud, pattern=pattern, size=size, offset=offset)
        total = await unit.value("admin.count", aud=aud, pattern=pattern)
    users = [SignInAccount.of(row).shown() for row in rows]
    return JSONResponse({"users": users, "aud": aud}, headers=_page_headers(request, max(page, 1), size, total))


def _page_headers(request: Request, page: int, size: int, total: int) -> dict[str, str]:
    """Return Link and X-Total-Count; `page` is the first parameter of each link, since clients read it by position."""
    last = max(-(-total // size), 0)
    others = [(name, value) for name, value in parse_qsl(request.url.query) if name != "page"]

    def link(number: int, relation: str) -> str:
        query = urlencode([("page", str(number)), *sorted(others)])
        return f'<{request.scope["root_path"]}{request.scope["path"].removeprefix(request.scope["root_path"])}?{query}>; rel="{relation}"'

    links = [link(page + 1, "next")] if page < last else []
    return {"Link": ", ".join([*links, link(last, "last")]), "X-Total-Count": str(total)}


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise invalid(f"Bad Pagination Parameters: {name} is no number")
    return int(text)


def _direction(request: Request) -> bool:
    """Return whether the newest accounts come first."""
    newest = True
    for part in request.query_params.get("sort", "").split(","):
        if not part:
            continue
        field, _, direction = part.strip().partition(" ")
        if field != "created_at":
            raise invalid(f"Bad Sort Parameters: bad field for sort '{field[:40]}'")
        if direction.upper() not in {"", "ASC", "DESC"}:
            raise invalid(
                f"Bad Sort Parameters: bad direction for sort '{direction[:40]}', only 'asc' and 'desc' allowed"
            )
        newest = direction.upper() != "ASC"
    return newest


async def create_user(server: SignInServer, request: Request) -> Response:
    role = await administrator(request, server)
    body = await read_body(request, _FIELDS)
    aud = body["aud"] or audience(request, server, claims_of(request, server))
    if not body["email"] and not body["phone"]:
        raise invalid("Cannot create a user without either an email or phone")
    if body["phone"]:
        raise _no_phone()
    email = email_address(body["email"])
    if body["password"] and body["password_hash"]:
        raise invalid("Only a password or a password hash should be provided")
    account_id = _given_id(body["id"])
    banned = _banned_until(body["ban_duration"])
    hashed = await _hash_for(server, body)
    metadata = body["user_metadata"] or {}
    async with server.database.transaction() as unit:
        if await email_is_taken(unit, email, aud):
            raise email_exists()
        new = NewAccount(aud, body["role"] or server.settings.default_role, account_id, email, hashed, metadata, banned)
        created = await create_account(unit, new)
        if created is None:
            raise (
                SignInRefused(422, "conflict", "An account with this id or address exists")
                if account_id
                else email_exists()
            )
        if body["app_metadata"] is not None:
            await unit.run("accounts.app_metadata", id=created, data=Jsonb(body["app_metadata"]))
        account = await must_exist(unit, created)
        await note(unit, "user_signedup", role, {**_about(account), "provider": "email"})
        if body["email_confirm"]:
            await account_confirmed(unit, account)
        await create_email_identity(unit, created, email)
        account = await must_exist(unit, created)
    return answer(account.shown())


async def _hash_for(server: SignInServer, body: Mapping[str, Any]) -> str:
    if body["password_hash"]:
        if kind_of(body["password_hash"]) is None:
            raise invalid("Invalid password hash: bcrypt, argon2i, argon2id and Firebase scrypt are supported")
        given: str = body["password_hash"]
        return given
    if body["password"]:
        check_strength(server, body["password"])
    return await server.passwords.hashed(body["password"] or random_password())


def _given_id(text: str) -> UUID | None:
    if not text:
        return None
    given = uuid_of(text)
    if given is None:
        raise invalid("ID must conform to the uuid v4 format")
    if given.int == 0:
        raise invalid("ID cannot be a nil uuid")
    return given


def _banned_until(text: str) -> datetime | None:
    """Return until when a ban lasts; `none` lifts one."""
    if text in {"", "none"}:
        return None
    try:
        length = read_duration(text)
    except ValueError:
        raise invalid(f"invalid format for ban duration: {text[:40]!r}") from None
    return datetime.now(UTC) + min(length, timedelta(days=365 * 1000))


async def _loaded(unit: Unit, request: Request) -> SignInAccount:
    given = uuid_of(request.path_params["user_id"])
    if given is None:
        raise invalid("user_id must be an UUID", 404)
    account = await account_by_id(unit, given)
    if account is None:
        raise SignInRefused(404, "user_not_found", "User not found")
    return account


async def get_user(server: SignInServer, request: Request) -> Response:
    await administrator(request, server)
    async with server.database.connection() as unit:
        return answer((await _loaded(unit, request)).shown())


async def update_user(server: SignInServer, request: Request) -> Response:
    role = await administrator(request, server)
    async with server.database.connection() as unit:
        account = await _loaded(unit, request)
    body = await read_body(request, _FIELDS, password=None)
    email = email_address(body["email"]) if body["email"] else ""
    if body["phone"]:
        raise _no_phone()
    if body["password"] is not None:
        check_strength(server, body["password"])
    banned = _banned_until(body["ban_duration"])
    hashed = await _hash_for(server, body) if body["password"] or body["password_hash"] else ""
    async with server.database.transaction() as unit:
        await unit.run("accounts.lock", id=account.id)
        account = await must_exist(unit, account.id)
        if body["role"]:
            await unit.run("admin.role", id=account.id, role=body["role"])
        if body["email_confirm"]:
            await account_confirmed(unit, account)
        if hashed:
            await password_changed(unit, account.id, hashed)
        if email:
            await _set_email(unit, account, email, confirmed_too=body["email_confirm"])
        if hashed and not account.has_password and (email or account.email):
            await create_email_identity(unit, account.id, email or account.email)
        if body["app_metadata"] is not None:
            await unit.run("accounts.app_metadata", id=account.id, data=Jsonb(body["app_metadata"]))
        if body["user_metadata"] is not None:
            await unit.run("accounts.user_metadata", id=account.id, data=Jsonb(body["user_metadata"]))
        if body["ban_duration"]:
            await unit.run("admin.ban", id=account.id, until=banned)
        await note(unit, "user_modified", role, _about(account))
        account = await must_exist(unit, account.id)
    return answer(account.shown())


async def _set_email(unit: Unit, account: SignInAccount, email: str, *, confirmed_too: bool) -> None:
    if email != account.email and await email_is_taken(unit, email, account.row["aud"] or "", account.id):
        raise email_exists()
    if any(each["provider"] == "email" for each in account.identities):
        data = Jsonb({"email": email, "email_verified": confirmed_too})
        await unit.run("accounts.edit_identity", user=account.id, provider="email", data=data)
    else:
        await create_email_identity(unit, account.id, email, verified=confirmed_too)
        await unit.run("accounts.providers", id=account.id)
    await unit.run("admin.email", id=account.id, email=email, confirmed=confirmed_too)
    # Codes that went to the earlier address must not open the account.
    await unit.run("codes.forget_all", user=account.id)
    await unit.run("flows.forget", user=account.id, but=None)


async def delete_user(server: SignInServer, request: Request) -> Response:
    role = await administrator(request, server)
    content = await body_bytes(request)
    soft = False
    if content:
        soft = read_fields(content, {"should_soft_delete": bool})["should_soft_delete"]
    async with server.database.transaction() as unit:
        account = await _loaded(unit, request)
        await unit.run("accounts.lock", id=account.id)
        await note(unit, "user_deleted", role, _about(account))
        if not soft:
            await unit.run("admin.delete", id=account.id)
        elif account.row["deleted_at"] is None:
            await unit.run("sessions.end_all", user=account.id)
            await unit.run("codes.forget_all", user=account.id)
            await unit.run("admin.drop_factors", user=account.id)
            await unit.run("admin.hide_identities", user=account.id)
            await unit.run("admin.hide", id=account.id)
    return answer({})


async def list_factors(server: SignInServer, request: Request) -> Response:
    await administrator(request, server)
    async with server.database.connection() as unit:
        account = await _loaded(unit, request)
    return answer([factor_json(each) for each in account.factors])


async def delete_factor(server: SignInServer, request: Request) -> Response:
    await administrator(request, server)
    async with server.database.transaction() as unit:
        account, factor = await _loaded_factor(unit, request)
        await note(unit, "factor_deleted", account, {"user_id": str(account.id), "factor_id": factor["id"]})
        await unit.run("factors.delete", id=factor["id"])
        await unit.run("factors.lower_sessions", factor=factor["id"])
    return answer(factor_json(factor))


async def update_factor(server: SignInServer, request: Request) -> Response:
    role = await administrator(request, server)
    body = await read_body(request, {"friendly_name": str, "phone": str})
    async with server.database.transaction() as unit:
        account, factor = await _loaded_factor(unit, request)
        if body["friendly_name"]:
            name = body["friendly_name"]
            if any(each["friendly_name"] == name and each["id"] != factor["id"] for each in account.factors):
                raise SignInRefused(
                    422,
                    "mfa_factor_name_conflict",
                    f'A factor with the friendly name "{name}" for this user already exists',
                )
            await unit.run("admin.factor_name", id=factor["id"], friendly_name=name)
        traits = {"user_id": str(account.id), "factor_id": factor["id"], "factor_type": factor["factor_type"]}
        await note(unit, "factor_updated", role, traits)
        _, factor = await _loaded_factor(unit, request)
    return answer(factor_json(factor))


async def _loaded_factor(unit: Unit, request: Request) -> tuple[SignInAccount, Mapping[str, Any]]:
    account = await _loaded(unit, request)
    given = uuid_of(request.path_params["factor_id"])
    if given is None:
        raise invalid("factor_id must be an UUID", 404)
    found = next((each for each in account.factors if each["id"] == str(given)), None)
    if found is None:
        raise SignInRefused(404, "mfa_factor_not_found", "Factor not found")
    return account, found


async def audit(server: SignInServer, request: Request) -> Response:
    await administrator(request, server)
    page, per_page = max(_number(request, "page", 1), 1), _number(request, "per_page", PER_PAGE)
    scope, _, text = request.query_params.get("query", "").partition(":")
    keys = {"author": ["actor_username", "actor_name"], "action": ["action"], "type": ["log_type"]}.get(scope)
    if scope and (keys is None or not text):
        raise invalid(f"Invalid query scope: {scope[:40]}")
    pattern = "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%" if scope else None
    size = min(per_page, MOST_PER_PAGE) or PER_PAGE
    async with server.database.connection() as unit:
        values = {"keys": keys or [], "pattern": pattern}
        rows = await unit.all("admin.audit", size=size, offset=min((page - 1) * size, 2**62), **values)
        total = await unit.value("admin.audit_count", **values)
    shown = [row["entry"] for row in rows]
    return JSONResponse(shown, headers=_page_headers(request, page, size, total))


def _about(account: SignInAccount) -> dict[str, Any]:
    return {"user_id": str(account.id), "user_email": account.email, "user_phone": account.row["phone"] or ""}


def _no_phone() -> SignInRefused:
    return SignInRefused(422, "phone_provider_disabled", "Phone numbers are not supported by this server")


ENDPOINTS = (
    Endpoint("GET", "/admin/users", list_users),
    Endpoint("POST", "/admin/users", create_user),
    Endpoint("GET", "/admin/users/{user_id}", get_user),
    Endpoint("PUT", "/admin/users/{user_id}", update_user),
    Endpoint("DELETE", "/admin/users/{user_id}", delete_user),
    Endpoint("GET", "/admin/users/{user_id}/factors", list_factors),
    Endpoint("PUT", "/admin/users/{user_id}/factors/{factor_id}", update_factor),
    Endpoint("DELETE", "/admin/users/{user_id}/factors/{factor_id}", delete_factor),
    Endpoint("GET", "/admin/audit", audit),
)
