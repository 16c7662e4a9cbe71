"""Codes of six digits cannot be guessed: an attacker has many addresses, so that guesses count for the account as well."""

from __future__ import annotations

import pytest

from tenantry.auth.server import limits
from tests.conftest import Database
from tests.integration.auth.conftest import LOGIN
from tests.integration.auth.sign_in import link_parts, ok, refused, studio

TOO_MANY = (429, "over_request_rate_limit")


def test_guesses_at_codes_are_counted_for_the_account(accounts: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.GUESSES <= 30
    monkeypatch.setattr(limits, "GUESSES", 5)
    # The limits for each client's address are high here, as for an attacker with many of them.
    with studio(accounts.dsn_as(LOGIN), GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION="true") as sign_in:
        session = sign_in.signed_up("ada@example.org")
        ok(sign_in.post("/recover", {"email": "ada@example.org"}))
        mail = sign_in.outbox.last("recovery")
        # One of them has used a guess to sign up, and the other has no account, which no answer tells.
        for email, left in (("Ada@example.org", 4), ("nobody@example.org", 5)):
            body = {"type": "recovery", "email": email}
            wrong = [f"{n:06d}" for n in range(6) if f"{n:06d}" != mail.code]
            seen = [refused(sign_in.post("/verify", {**body, "token": each})) for each in wrong[:left]]
            assert seen == [(403, "otp_expired")] * left
            assert refused(sign_in.post("/verify", {**body, "token": mail.code})) == TOO_MANY
        # The link is no guess: who has the mail is not kept out by those who guess.
        response = sign_in.call("GET", mail.link.removeprefix("http://auth.test"))
        assert "access_token" in link_parts(response.headers["location"])[2]

        with accounts.connect() as owner:
            owner.execute("update auth.sessions set created_at = now() - interval '25 hours'")
        ok(sign_in.call("GET", "/reauthenticate", token=session["access_token"]))
        code = sign_in.outbox.last("reauthentication").code
        change = {"password": "another horse"}
        wrong = [f"{n:06d}" for n in range(6) if f"{n:06d}" != code]
        tried = [{**change, "nonce": each} for each in wrong[:5]]
        seen = [refused(sign_in.call("PUT", "/user", each, session["access_token"])) for each in tried]
        assert seen == [(422, "reauthentication_not_valid")] * 5
        assert refused(sign_in.call("PUT", "/user", {**change, "nonce": code}, session["access_token"])) == TOO_MANY
