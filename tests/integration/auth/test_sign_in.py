"""Sign-up, password, refresh and sign-out over the server's HTTP interface."""

from __future__ import annotations

from tests.integration.auth.sign_in import Studio, ok, refused


def test_a_new_account_is_confirmed_by_its_mail_and_signs_in(sign_in: Studio) -> None:
    created = ok(
        sign_in.post("/signup", {"email": "Ada@Example.org", "password": "correct horse", "data": {"name": "Ada"}})
    )
    assert created["email"] == "ada@example.org"
    assert created["identities"][0]["provider"] == "email"
    assert refused(
        sign_in.post("/token?grant_type=password", {"email": "ada@example.org", "password": "correct horse"})
    ) == (
        400,
        "email_not_confirmed",
    )
    session = ok(
        sign_in.post(
            "/verify", {"type": "signup", "email": "ada@example.org", "token": sign_in.outbox.last("signup").code}
        )
    )
    assert session["user"]["email_confirmed_at"]
    assert session["user"]["user_metadata"]["name"] == "Ada"
    again = sign_in.signed_in("ada@example.org")
    assert again["user"]["id"] == created["id"]
    assert ok(sign_in.call("GET", "/user", token=again["access_token"]))["id"] == created["id"]
    renewed = ok(sign_in.refreshed(again["refresh_token"]))
    assert renewed["refresh_token"] != again["refresh_token"]
    assert sign_in.post("/logout", token=renewed["access_token"]).status_code == 204
    assert refused(sign_in.call("GET", "/user", token=renewed["access_token"])) == (403, "session_not_found")
    assert refused(sign_in.refreshed(renewed["refresh_token"])) == (400, "refresh_token_not_found")


def test_a_page_of_another_origin_may_call_it_as_supabase_js_does(sign_in: Studio) -> None:
    sent = "apikey,authorization,content-type,x-client-info,x-supabase-api-version"
    for path in ("/token?grant_type=password", "/auth/v1/user", "/auth/v1/admin/users", "/auth/v1/factors/1/verify"):
        asked = sign_in.call(
            "OPTIONS", path, Origin="https://app.test", Access_Control_Request_Method="POST", Access_Control_Request_Headers=sent
        )  # fmt: skip
        assert asked.status_code == 200, asked.text
        assert asked.headers["access-control-allow-origin"] == "*"
        allowed = {name.strip().lower() for name in asked.headers["access-control-allow-headers"].split(",")}
        assert set(sent.split(",")) <= allowed
        assert {"GET", "POST", "PUT", "DELETE"} <= set(asked.headers["access-control-allow-methods"].split(", "))
    for answer in (sign_in.call("GET", "/settings", Origin="https://app.test"), sign_in.call("GET", "/user", Origin="https://app.test")):  # fmt: skip
        assert answer.headers["access-control-allow-origin"] == "*", answer.status_code
        exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert {"x-total-count", "link", "x-supabase-api-version"} <= exposed
