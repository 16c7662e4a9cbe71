"""What strangers send to the sign-in server: addresses, headers and bodies that are meant to mislead or to block it."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from tenantry.auth.server.limits import network
from tenantry.auth.server.reading import redirect_allowed
from tenantry.auth.settings import sign_in_settings
from tests.conftest import Database
from tests.integration.auth.conftest import LOGIN
from tests.integration.auth.sign_in import Studio, ok, refused, studio


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        ("https://one.app.example/welcome?x=1", True),
        ("https://one.app.example/", True),
        # Browsers read 0x08080808 as an IPv4 address.
        ("https://0x08080808?.app.example/", False),
        ("https://evil?.app.example/", False),
        ("https://evil#.app.example/", False),
        ("https://evil.example/one.app.example/", False),
        ("https://one.app.example.evil.example/", False),
        ("https://one.app.example@evil.example/", False),
        ("https://one.app.example\\@evil.example/", False),
        ("https:evil.app.example/", False),
        ("//one.app.example/", False),
        ("myapp://anything/at/all", True),
        ("myapp://anything?at=all", True),
    ],
)
def test_answers_lead_to_no_foreign_host(wanted: str, allowed: bool) -> None:
    values = {
        "DATABASE_URL": "postgresql://x",
        "GOTRUE_URI_ALLOW_LIST": "https://*.app.example/**,https://**.app.example/**,myapp://**",
    }
    assert redirect_allowed(wanted, sign_in_settings(values)) is allowed


def test_all_addresses_of_a_network_count_as_one() -> None:
    assert {network(each) for each in ("2001:db8::1", "2001:db8::1:2:3:4", "2001:DB8:0:0:9::", "2001:db8::7%eth0")} == {
        "2001:db8::/64"
    }
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network("::ffff:192.0.2.7") == network("192.0.2.7") == "192.0.2.7"
    assert network("192.0.2.7") != network("192.0.2.8")


def test_how_many_mails_are_left_does_not_tell_whether_an_address_has_an_account(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN), GOTRUE_RATE_LIMIT_EMAIL_SENT="3") as sign_in:
        sign_in.signed_up("ada@example.com")
        for path, more in (("/recover", {}), ("/resend", {"type": "signup"})):
            for email in ("ada@example.com", "nobody@example.com"):
                with accounts.connect() as owner:
                    owner.execute("delete from tenantry_auth.rate_limits")
                tried = [sign_in.post(path, {"email": email, **more}).status_code for _ in range(4)]
                assert tried == [200, 200, 200, 429], (path, email)


def test_a_body_that_comes_slowly_holds_no_connection_to_the_database(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN), GOTRUE_DB_MAX_POOL_SIZE="1") as sign_in:
        token = sign_in.signed_up("ada@example.com")["access_token"]
        address = urlsplit(str(sign_in.client.base_url))
        with socket.create_connection((address.hostname or "", address.port or 0)) as slow:
            head = f"POST /factors HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 99\r\n\r\n{{"
            slow.sendall(head.encode())
            assert ok(sign_in.call("GET", "/ready")) == {"database": "ok", "keys": "ok"}
            assert ok(sign_in.call("GET", "/user", token=token))["email"] == "ada@example.com"


def test_values_that_cannot_be_stored_are_refused(sign_in: Studio) -> None:
    token = sign_in.signed_up("ada@example.com")["access_token"]
    program = sign_in.admin_token()
    invalid = (400, "validation_failed")
    assert refused(sign_in.post("/factors", {"factor_type": "totp", "friendly_name": "ab" * 400_000}, token)) == invalid
    assert refused(sign_in.post("/admin/users", {"email": "x@y.example", "role": "r" * 300}, program)) == invalid
    assert refused(sign_in.post("/admin/users", {"email": "x@y.example", "aud": "r" * 300}, program)) == invalid
    assert refused(sign_in.call("GET", "/admin/audit?query=author:%00", token=program)) == invalid
    assert sign_in.call("GET", "/verify?type=signup&token=%00").status_code in {303, 400}
    for depth in (200, 900, 1500, 3000, 20_000, 200_000):
        deep = json.loads("[" * 100 + "]" * 100)  # the outer part; the rest is written as text
        content = '{"data": {"a": ' + json.dumps(deep) + ', "b": ' + "[" * depth + "]" * depth + "}}"
        response = sign_in.client.request("PUT", "/user", content=content, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code in {200, 400}, (depth, response.text[:200])
        assert ok(sign_in.call("GET", "/user", token=token))["email"] == "ada@example.com", depth


def test_nobody_chooses_the_audience_of_their_tokens(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN), GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED="true") as sign_in:
        made = ok(sign_in.post("/signup", {"email": "x@y.example", "password": "a password"}, X_JWT_AUD="payments"))
        assert made["aud"] == "authenticated"
        anonymous = ok(sign_in.post("/signup", {}, X_JWT_AUD="payments"))
        assert sign_in.claims(anonymous["access_token"])["aud"] == "authenticated"


def test_metadata_make_no_token_that_is_too_long(sign_in: Studio) -> None:
    invalid, large = (400, "validation_failed"), {"x": "y" * 40_000}
    for path in ("/signup", "/otp"):
        body = {"email": "ada@example.com", "password": "a password", "data": large}
        assert refused(sign_in.post(path, body)) == invalid
    token = sign_in.signed_up("ada@example.com")["access_token"]
    for number in range(3):
        response = sign_in.call("PUT", "/user", {"data": {f"x{number}": "y" * 15_000}}, token)
        assert response.status_code == (200 if number < 2 else 400), response.text[:200]
    # Texts that only look like what cannot be stored are stored.
    name = {"film": "Infinity NaN \\u0000"}
    assert ok(sign_in.call("PUT", "/user", {"data": name}, token))["user_metadata"]["film"] == name["film"]
    for content in (b'{"data": {"n": 1e999}}', b'{"data": {"n": NaN}}', b'{"data": {"n": "\\\\\\u0000"}}'):
        sent = sign_in.client.request("PUT", "/user", content=content, headers={"Authorization": f"Bearer {token}"})
        assert refused(sent) == (400, "bad_json"), content
