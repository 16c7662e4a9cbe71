"""What an attacker without an account, or with somebody's token, can find out or do."""

from __future__ import annotations

import base64
import hmac
import json
import re
from statistics import median
from time import monotonic, process_time
from typing import Any

import pytest
from joserfc import jwk, jwt

from tenantry.auth.passwords import Passwords
from tenantry.auth.server.routes.table import ENDPOINTS
from tests.conftest import Database
from tests.integration.auth.conftest import LOGIN
from tests.integration.auth.sign_in import Studio, ok, refused, studio

PASSWORD = {"password": "correct horse"}


def without_times(body: dict[str, object]) -> dict[str, object]:
    """Return an answer without what differs from one request to the next."""
    varying = {"id", "created_at", "updated_at", "confirmation_sent_at", "email", "identities", "user_metadata"}
    return {name: value for name, value in body.items() if name not in varying}


def test_answers_do_not_tell_whether_an_address_has_an_account(sign_in: Studio) -> None:
    sign_in.signed_up("ada@example.org")
    known, unknown = {"email": "ada@example.org"}, {"email": "nobody@example.org"}
    for path in ("/recover", "/otp", "/magiclink"):
        answers = [sign_in.post(path, body) for body in (known, unknown)]
        assert [(each.status_code, each.json()) for each in answers] == [(200, {})] * 2, path
    for kind in ("signup", "email_change"):
        answers = [sign_in.post("/resend", {**body, "type": kind}) for body in (known, unknown)]
        assert [(each.status_code, each.json()) for each in answers] == [(200, {})] * 2, kind
    wrong = [
        sign_in.post("/token?grant_type=password", {**body, "password": "wrong horse"}) for body in (known, unknown)
    ]
    assert wrong[0].json() == wrong[1].json()
    code = [sign_in.post("/verify", {**body, "type": "recovery", "token": "000000"}) for body in (known, unknown)]
    assert code[0].json() == code[1].json()
    new = {"email": "new@example.org"}
    again, first = ok(sign_in.post("/signup", {**known, **PASSWORD})), ok(sign_in.post("/signup", {**new, **PASSWORD}))
    assert sorted(again) == sorted(first)
    assert {**without_times(again), "role": ""} == {**without_times(first), "role": ""}


def test_limits_of_mails_do_not_tell_whether_an_address_has_an_account(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN), GOTRUE_SMTP_MAX_FREQUENCY="60s") as sign_in:
        sign_in.signed_up("ada@example.org")
        for path, more in (("/recover", {}), ("/resend", {"type": "signup"})):
            found = [
                [
                    refused(each) if each.status_code != 200 else 200
                    for each in (sign_in.post(path, {"email": email, **more}) for _ in range(2))
                ]
                for email in ("ada@example.org", "nobody@example.org")
            ]
            assert found[0] == found[1] == [200, (429, "over_email_send_rate_limit")], path


def test_requests_for_mails_are_answered_after_the_same_time_at_least(accounts: Database) -> None:
    """The pause is a lower bound: load can lengthen an answer, and cannot let this fail."""
    with studio(accounts.dsn_as(LOGIN), TENANTRY_AUTH_MAIL_ANSWER="400ms") as sign_in:
        sign_in.signed_up("ada@example.org")
        for path, more in (("/recover", {}), ("/otp", {"create_user": False}), ("/resend", {"type": "email_change"})):
            for email in ("ada@example.org", "nobody@example.org"):
                begun = monotonic()
                sign_in.post(path, {"email": email, **more})
                assert monotonic() - begun >= 0.4, (path, email)


def test_checking_no_account_costs_as_much_as_checking_one() -> None:
    """Time is compared in the processor's seconds of this process, so that other processes do not count."""
    import asyncio  # noqa: PLC0415

    passwords = Passwords(1, cost=8)

    async def measured() -> tuple[float, float]:
        stored = await passwords.hashed("correct horse")
        taken: dict[str | None, list[float]] = {stored: [], None: []}
        for _ in range(9):
            for hashed, times in taken.items():
                begun = process_time()
                await passwords.matches("wrong horse", hashed)
                times.append(process_time() - begun)
        return median(taken[stored]), median(taken[None])

    with_account, without = asyncio.run(measured())
    assert 0.5 < without / with_account < 2


def test_an_address_can_try_only_so_often(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN), GOTRUE_RATE_LIMIT_TOKEN_REFRESH="5", GOTRUE_RATE_LIMIT_OTP="3") as sign_in:
        tries = [
            sign_in.post("/token?grant_type=password", {"email": "a@b.example", "password": "x"}) for _ in range(7)
        ]
        assert [each.status_code for each in tries] == [400] * 5 + [429] * 2
        assert refused(tries[-1]) == (429, "over_request_rate_limit")
        signups = [sign_in.post("/signup", {"email": f"n{n}@example.org", **PASSWORD}).status_code for n in range(5)]
        assert signups == [200] * 3 + [429] * 2
        # A header that nobody set up as the proxy's does not make another address of one.
        forged = sign_in.post(
            "/token?grant_type=password", {"email": "a@b.example", "password": "x"}, X_Forwarded_For="9.9.9.9"
        )
        assert forged.status_code == 429


def by_secret(claims: dict[str, object], kid: str, secret: bytes) -> str:
    """Sign a token with HS256 by hand: the library refuses what an attacker does."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": kid}, claims)
    ]
    signature = hmac.digest(secret, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_forged_tokens_are_refused(sign_in: Studio) -> None:
    session = sign_in.signed_up("ada@example.org")
    claims = sign_in.claims(session["access_token"])
    current = sign_in.server.keys.keys().keys[0]
    other = jwk.ECKey.generate_key("P-256", {"kid": current.kid})
    header, body, signature = session["access_token"].split(".")
    assert isinstance(current.key, jwk.ECKey)
    pem = current.key.as_pem(private=False)
    forged = {
        "another key of the same name": jwt.encode({"alg": "ES256", "kid": current.kid}, claims, other),
        "the public key as a secret": by_secret(claims, current.kid, pem),
        "an embedded key": jwt.encode({"alg": "ES256", "jwk": other.as_dict(private=False)}, claims, other),
        "no signature": f"{header}.{body}.",
        "another body": f"{header}.{body[:-4]}AAAA.{signature}",
        "no algorithm": "eyJhbGciOiJub25lIn0." + body + ".",
        "over": sign_in.token({**claims, "exp": 1}),
        "not yet": sign_in.token({**claims, "nbf": 99999999999}),
        "rubbish": "a.b.c",
    }
    for name, token in forged.items():
        assert refused(sign_in.call("GET", "/user", token=token)) == (403, "bad_jwt"), name
        assert refused(sign_in.call("GET", "/admin/users", token=token)) == (403, "bad_jwt"), name
    assert refused(sign_in.call("GET", "/user", token=sign_in.admin_token())) == (403, "bad_jwt")


def test_every_endpoint_of_administrators_refuses_everybody_else(sign_in: Studio) -> None:
    session = sign_in.signed_up("ada@example.org")
    anonymous = sign_in.admin_token("anon")
    paths = [each for each in ENDPOINTS if each.path.startswith("/admin/") or each.path == "/invite"]
    assert len(paths) > 10
    for each in paths:
        path = re.sub(r"\{\w+\}", session["user"]["id"], each.path)
        body = {"email": "x@example.org"} if each.method in {"POST", "PUT"} else None
        assert refused(sign_in.call(each.method, path, body)) == (401, "no_authorization"), path
        for token in (session["access_token"], anonymous, sign_in.admin_token("postgres")):
            assert refused(sign_in.call(each.method, path, body, token)) == (403, "not_admin"), path


def test_nobody_gives_themselves_a_role(sign_in: Studio) -> None:
    body: dict[str, Any] = {
        "email": "ada@example.org",
        **PASSWORD,
        "role": "service_role",
        "app_metadata": {"role": "admin"},
        "data": {"role": "admin"},
    }
    session = sign_in.signed_up(**body)
    assert (session["user"]["role"], session["user"]["app_metadata"]) == (
        "authenticated",
        {"provider": "email", "providers": ["email"]},
    )
    token = session["access_token"]
    assert refused(sign_in.call("PUT", "/user", {"app_metadata": {"role": "admin"}}, token)) == (403, "not_admin")
    changed = ok(
        sign_in.call("PUT", "/user", {"role": "service_role", "id": "x", "aud": "y", "is_super_admin": True}, token)
    )
    assert (changed["role"], changed["aud"]) == ("authenticated", "authenticated")
    assert sign_in.claims(ok(sign_in.refreshed(session["refresh_token"]))["access_token"])["role"] == "authenticated"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"x"', b'{"email": 5}', b'{"email": "a\\u0000b"}', b'{"email": "\\ud800"}', b'{"data": {"a": "\\u0000"}}',
     b'{"data": [1]}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_bodies_that_are_none_are_refused(sign_in: Studio, content: bytes) -> None:
    for path in ("/signup", "/token?grant_type=password", "/recover", "/verify", "/otp", "/resend"):
        response = sign_in.client.post(path, content=content)
        assert response.status_code == 400, (path, response.text)
        assert response.json()["error_code"] in {"bad_json", "validation_failed"}


def test_a_body_of_more_than_a_megabyte_is_refused(sign_in: Studio) -> None:
    assert sign_in.client.post("/signup", content=b" " * (1 << 20) + b"{}").status_code == 413


def test_what_is_not_served_is_refused_and_never_fails(sign_in: Studio) -> None:
    token = sign_in.signed_up("ada@example.org")["access_token"]
    admin = sign_in.admin_token()
    for each in ENDPOINTS:
        path = re.sub(r"\{\w+\}", "00000000-0000-4000-8000-000000000000", each.path)
        for content in (None, {}, {"email": "bob@example.org", "type": "signup", "token": "000000"}):
            for sent in (None, token, admin):
                if each.path == "/logout" and sent == token:
                    continue
                response = sign_in.call(each.method, path, content, sent)
                assert response.status_code < 500, (each.method, path, content, response.text)
