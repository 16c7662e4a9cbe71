"""Codes and links by mail: recovery, magic links, changes of address, reauthentication, and what a code is not good for."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.conftest import Database
from tests.integration.auth.conftest import LOGIN
from tests.integration.auth.sign_in import SITE, Studio, link_parts, ok, refused, studio

VERIFIER = "a-verifier-of-at-least-forty-three-characters-0"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "s256"}


def opened(sign_in: Studio, link: str, **headers: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Open a link as a browser does; return where it leads."""
    response = sign_in.call("GET", link.removeprefix("http://auth.test"), **headers)
    assert response.status_code == 303, response.text
    assert response.headers["cache-control"] == "no-store"
    return link_parts(response.headers["location"])


def test_a_recovery_link_signs_in_once_and_a_new_password_ends_other_sessions(sign_in: Studio) -> None:
    first = sign_in.signed_up("ada@example.org")
    assert ok(sign_in.post("/recover", {"email": "ada@example.org"})) == {}
    mail = sign_in.outbox.last("recovery")
    target, query, fragment = opened(sign_in, mail.link)
    assert (target, query) == (SITE, {})
    assert fragment["type"] == "recovery"
    changed = sign_in.call("PUT", "/user", {"password": "another horse"}, fragment["access_token"])
    assert ok(changed)["email"] == "ada@example.org"
    assert refused(sign_in.refreshed(first["refresh_token"])) == (400, "refresh_token_not_found")
    assert ok(sign_in.refreshed(fragment["refresh_token"]))
    _, _, again = opened(sign_in, mail.link)
    assert again["error_code"] == "otp_expired"
    assert refused(sign_in.call("PUT", "/user", {"password": "another horse"}, fragment["access_token"])) == (
        422,
        "same_password",
    )


def test_a_password_change_makes_codes_that_were_sent_worthless(sign_in: Studio) -> None:
    session = sign_in.signed_up("ada@example.org")
    sign_in.post("/recover", {"email": "ada@example.org"})
    ok(sign_in.call("PUT", "/user", {"password": "another horse"}, session["access_token"]))
    code = sign_in.outbox.last("recovery").code
    assert refused(sign_in.post("/verify", {"type": "recovery", "email": "ada@example.org", "token": code})) == (
        403,
        "otp_expired",
    )


def test_a_newer_code_replaces_the_older_one(sign_in: Studio) -> None:
    sign_in.signed_up("ada@example.org")
    codes = []
    for _ in range(2):
        sign_in.post("/otp", {"email": "ada@example.org"})
        codes.append(sign_in.outbox.last("magiclink").code)
    body = {"type": "magiclink", "email": "ada@example.org"}
    assert refused(sign_in.post("/verify", {**body, "token": codes[0]})) == (403, "otp_expired")
    assert ok(sign_in.post("/verify", {**body, "token": codes[1]}))["user"]["email"] == "ada@example.org"


def test_a_code_counts_only_for_its_kind_and_its_address(sign_in: Studio) -> None:
    sign_in.signed_up("ada@example.org")
    sign_in.signed_up("bob@example.org")
    sign_in.post("/recover", {"email": "ada@example.org"})
    code = sign_in.outbox.last("recovery").code
    for kind, email in (
        ("signup", "ada@example.org"),
        ("email_change", "ada@example.org"),
        ("recovery", "bob@example.org"),
    ):
        assert refused(sign_in.post("/verify", {"type": kind, "email": email, "token": code})) == (403, "otp_expired")
    assert ok(sign_in.post("/verify", {"type": "email", "email": "ada@example.org", "token": code}))


def test_with_pkce_the_link_gives_a_code_that_only_the_verifier_exchanges(sign_in: Studio) -> None:
    sign_in.signed_up("ada@example.org")
    ok(sign_in.post("/recover", {"email": "ada@example.org", **PKCE}))
    mail = sign_in.outbox.last("recovery")
    target, query, fragment = opened(sign_in, mail.link)
    assert (target, fragment) == (SITE, {})
    exchange = {"auth_code": query["code"], "code_verifier": VERIFIER}
    # Another browser has the link and no verifier.
    wrong = {**exchange, "code_verifier": VERIFIER + "x"}
    assert refused(sign_in.post("/token?grant_type=pkce", wrong)) == (400, "bad_code_verifier")
    session = ok(sign_in.post("/token?grant_type=pkce", exchange))
    assert session["user"]["email"] == "ada@example.org"
    assert refused(sign_in.post("/token?grant_type=pkce", exchange)) == (404, "flow_state_not_found")


def test_a_change_of_address_is_confirmed_by_both_addresses(sign_in: Studio) -> None:
    session = sign_in.signed_up("ada@example.org")
    wished = ok(sign_in.call("PUT", "/user", {"email": "ada@new.example"}, session["access_token"]))
    assert (wished["email"], wished["new_email"]) == ("ada@example.org", "ada@new.example")
    to_new, to_old = (sign_in.outbox.last("email_change", to) for to in ("ada@new.example", "ada@example.org"))
    half = {"type": "email_change", "email": "ada@new.example", "token": to_new.code}
    assert ok(sign_in.post("/verify", half))["code"] == "200"
    assert refused(sign_in.post("/verify", half)) == (403, "otp_expired")
    done = ok(sign_in.post("/verify", {"type": "email_change", "email": "ada@example.org", "token": to_old.code}))
    assert done["user"]["email"] == "ada@new.example"
    assert done["user"]["identities"][0]["identity_data"]["email"] == "ada@new.example"
    assert sign_in.signed_in("ada@new.example")


def test_an_address_that_was_taken_meanwhile_is_refused_at_the_second_half(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN), GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED="false") as sign_in:
        session = sign_in.signed_up("ada@example.org")
        ok(sign_in.call("PUT", "/user", {"email": "new@example.org"}, session["access_token"]))
        mail = sign_in.outbox.last("email_change", "new@example.org")
        sign_in.signed_up("new@example.org")
        half = {"type": "email_change", "email": "new@example.org", "token": mail.code}
        assert refused(sign_in.post("/verify", half)) == (422, "email_exists")


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose", "X-Moz"])
def test_a_link_that_is_fetched_ahead_is_not_used_up(sign_in: Studio, header: str) -> None:
    sign_in.signed_up("ada@example.org")
    sign_in.post("/recover", {"email": "ada@example.org"})
    link = sign_in.outbox.last("recovery").link.removeprefix("http://auth.test")
    ahead = sign_in.client.get(link, headers={header: "prefetch"})
    assert ahead.status_code == 200
    assert "<button>" in ahead.text
    assert sign_in.client.head(link).status_code == 405
    assert "access_token" in opened(sign_in, link)[2]


def test_links_lead_only_where_the_settings_allow(accounts: Database) -> None:
    with studio(
        accounts.dsn_as(LOGIN), GOTRUE_URI_ALLOW_LIST="https://*.clinic.example/welcome,myapp://callback/**"
    ) as sign_in:
        for wanted, leads in {
            "https://north.clinic.example/welcome": "https://north.clinic.example/welcome",
            "myapp://callback/a/b": "myapp://callback/a/b",
            "http://app.test/inside?x=1": "http://app.test/inside?x=1",
            "https://a.b.clinic.example/welcome": SITE,
            "https://evil.example/?https://north.clinic.example/welcome": SITE,
            "https://north.clinic.example.evil.example/welcome": SITE,
            "http://app.test@evil.example/": SITE,
            "http://app.test\\\\@evil.example/": SITE,
            "javascript:alert(1)": SITE,
            "http://2130706433/": SITE,
            "//evil.example": SITE,
        }.items():
            sign_in.client.post("/recover", params={"redirect_to": wanted}, json={"email": "nobody@example.org"})
            sign_in.signed_up("ada@example.org") if not sign_in.outbox.mails else None
            sign_in.client.post("/recover", params={"redirect_to": wanted}, json={"email": "ada@example.org"})
            assert link_parts(sign_in.outbox.last("recovery").link)[1]["redirect_to"] == leads, wanted


def test_a_session_older_than_a_day_needs_a_code_for_a_new_password(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN), GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION="true") as sign_in:
        session = sign_in.signed_up("ada@example.org")
        with accounts.connect() as owner:
            owner.execute("update auth.sessions set created_at = now() - interval '25 hours'")
        change = {"password": "another horse"}
        token = session["access_token"]
        assert refused(sign_in.call("PUT", "/user", change, token)) == (400, "reauthentication_needed")
        ok(sign_in.call("GET", "/reauthenticate", token=token))
        assert refused(sign_in.call("PUT", "/user", {**change, "nonce": "000000"}, token)) == (
            422,
            "reauthentication_not_valid",
        )
        code = sign_in.outbox.last("reauthentication").code
        assert ok(sign_in.call("PUT", "/user", {**change, "nonce": code}, token))
