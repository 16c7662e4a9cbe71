"""What an attacker tries to get into the account of somebody else."""

from __future__ import annotations

import hashlib
from typing import Any

import pyotp

from tests.conftest import Database
from tests.integration.auth.conftest import LOGIN
from tests.integration.auth.sign_in import Studio, link_parts, ok, refused, studio

GONE = (403, "otp_expired")


def test_a_link_cannot_be_computed_from_an_address_and_a_guessed_code(sign_in: Studio) -> None:
    """Codes have six digits: guesses that no limit of the account counts would find one."""
    sign_in.signed_up("ada@example.com")
    ok(sign_in.post("/recover", {"email": "ada@example.com"}))
    code = sign_in.outbox.last("recovery").code
    guessed = hashlib.sha224(f"ada@example.com{code}".encode()).hexdigest()
    assert refused(sign_in.post("/verify", {"type": "recovery", "token_hash": guessed})) == GONE
    # Nor does another address stand for this one: its guesses are counted elsewhere.
    for cut in range(1, 4):
        body = {"type": "recovery", "email": "ada@example.com" + code[:cut], "token": code[cut:]}
        assert refused(sign_in.post("/verify", body)) == GONE
    body = {"type": "recovery", "email": "ada@example.co", "token": f"m{code}"}
    assert refused(sign_in.post("/verify", body)) == GONE
    ok(sign_in.post("/verify", {"type": "recovery", "email": "ada@example.com", "token": code}))


def test_a_code_that_supabase_auth_sent_counts_here(sign_in: Studio, accounts: Database) -> None:
    sign_in.signed_up("ada@example.com")
    ok(sign_in.post("/recover", {"email": "ada@example.com"}))
    theirs = hashlib.sha224(b"ada@example.com123456").hexdigest()
    with accounts.connect() as owner:
        owner.execute("update auth.one_time_tokens set token_hash = %s", [f"pkce_{theirs}"])
    ok(sign_in.post("/verify", {"type": "recovery", "email": "ada@example.com", "token": "123456"}))


def change_address(sign_in: Studio, session: dict[str, Any], old: str, new: str) -> None:
    ok(sign_in.call("PUT", "/user", {"email": new}, session["access_token"]))
    for address in (old, new):
        code = sign_in.outbox.last("email_change", address).code
        ok(sign_in.post("/verify", {"type": "email_change", "email": address, "token": code}))


def test_codes_that_went_to_an_earlier_address_count_no_more(sign_in: Studio) -> None:
    session = sign_in.signed_up("ada@example.com")
    ok(sign_in.post("/recover", {"email": "ada@example.com"}))
    mail = sign_in.outbox.last("recovery")
    change_address(sign_in, session, "ada@example.com", "ada@example.org")
    by_hash = {"type": "recovery", "token_hash": str(mail.values["token_hash"])}
    for email in ("ada@example.com", "ada@example.org"):
        assert refused(sign_in.post("/verify", {"type": "recovery", "email": email, "token": mail.code})) == GONE
    assert refused(sign_in.post("/verify", by_hash)) == GONE


def test_a_link_that_was_opened_before_a_password_change_opens_nothing_afterwards(sign_in: Studio) -> None:
    session = sign_in.signed_up("ada@example.com")
    verifier = "v" * 43
    asked = {"code_challenge": verifier, "code_challenge_method": "plain"}
    ok(sign_in.post("/recover", {"email": "ada@example.com", **asked}))
    opened = sign_in.call("GET", sign_in.outbox.last("recovery").link.removeprefix("http://auth.test"))
    code = link_parts(opened.headers["location"])[1]["code"]
    ok(sign_in.call("PUT", "/user", {"password": "another horse"}, session["access_token"]))
    exchanged = sign_in.post("/token?grant_type=pkce", {"auth_code": code, "code_verifier": verifier})
    assert refused(exchanged) == (404, "flow_state_not_found")


def test_a_token_of_an_administrator_ends_with_their_session_role_and_ban(sign_in: Studio) -> None:
    account = sign_in.signed_up("root@example.com")["user"]["id"]
    program = sign_in.admin_token()
    path = f"/admin/users/{account}"

    def administrator() -> str:
        ok(sign_in.call("PUT", path, {"role": "supabase_admin", "ban_duration": "none"}, program))
        token: str = sign_in.signed_in("root@example.com")["access_token"]
        ok(sign_in.call("GET", "/admin/users", token=token))
        return token

    token = administrator()
    assert sign_in.post("/logout", token=token).status_code == 204
    assert refused(sign_in.call("GET", "/admin/users", token=token)) == (403, "session_not_found")
    token = administrator()
    ok(sign_in.call("PUT", path, {"ban_duration": "1h"}, program))
    assert refused(sign_in.call("GET", "/admin/sso/providers", token=token)) == (403, "user_banned")
    token = administrator()
    ok(sign_in.call("PUT", path, {"role": "authenticated"}, program))
    assert refused(sign_in.call("GET", path, token=token)) == (403, "not_admin")
    token = administrator()
    enrolled = ok(sign_in.post("/factors", {"factor_type": "totp"}, token))
    challenge = ok(sign_in.post(f"/factors/{enrolled['id']}/challenge", token=token))["id"]
    code = pyotp.TOTP(enrolled["totp"]["secret"]).now()
    raised = ok(sign_in.post(f"/factors/{enrolled['id']}/verify", {"challenge_id": challenge, "code": code}, token))
    ok(sign_in.call("GET", path, token=raised["access_token"]))
    by_password_alone = sign_in.signed_in("root@example.com")["access_token"]
    assert refused(sign_in.call("GET", path, token=by_password_alone)) == (401, "insufficient_aal")
    ok(sign_in.call("DELETE", path, token=program))
    assert refused(sign_in.call("GET", path, token=raised["access_token"])) == (403, "user_not_found")


def unconfirmed(sign_in: Studio, email: str) -> None:
    """The attacker signs up with the address of somebody else, and hopes that their password stays."""
    ok(sign_in.post("/signup", {"email": email, "password": "of the attacker"}))


def entered(sign_in: Studio, email: str, password: str) -> bool:
    response = sign_in.post("/token?grant_type=password", {"email": email, "password": password})
    assert response.status_code in {200, 400}, response.text
    return response.status_code == 200


def by_mail(sign_in: Studio, kind: str, email: str) -> dict[str, Any]:
    return ok(sign_in.post("/verify", {"type": kind, "email": email, "token": sign_in.outbox.last(kind, email).code}))


def test_who_signed_up_with_the_address_of_somebody_else_has_no_way_in(sign_in: Studio) -> None:
    program = sign_in.admin_token()
    email = "{}@example.com".format
    for way in ("otp", "signup", "recover", "invite", "link"):
        unconfirmed(sign_in, email(way))
    ok(sign_in.post("/otp", {"email": email("otp")}))
    by_mail(sign_in, "signup", email("otp"))
    ok(sign_in.post("/signup", {"email": email("signup"), "password": "of the victim"}))
    session = by_mail(sign_in, "signup", email("signup"))
    ok(sign_in.post("/recover", {"email": email("recover")}))
    by_mail(sign_in, "recovery", email("recover"))
    ok(sign_in.post("/invite", {"email": email("invite")}, program))
    by_mail(sign_in, "invite", email("invite"))
    link = {"type": "signup", "email": email("link"), "password": "of the victim"}
    code = ok(sign_in.post("/admin/generate_link", link, program))["hashed_token"]
    ok(sign_in.post("/verify", {"type": "signup", "token_hash": code}))
    for way in ("otp", "signup", "recover", "invite", "link"):
        assert not entered(sign_in, email(way), "of the attacker"), way
    assert entered(sign_in, email("link"), "of the victim")
    # Of two who have claimed an address nobody knows which one confirmed it: the mail alone counts, until a password is set.
    assert not entered(sign_in, email("signup"), "of the victim")
    ok(sign_in.call("PUT", "/user", {"password": "of the victim"}, session["access_token"]))
    assert entered(sign_in, email("signup"), "of the victim")
    # Who signs up twice with one password keeps it.
    for _ in range(2):
        unconfirmed(sign_in, email("twice"))
    by_mail(sign_in, "signup", email("twice"))
    assert entered(sign_in, email("twice"), "of the attacker")


def test_a_sign_up_without_confirmation_opens_no_account_that_waits_for_one(accounts: Database) -> None:
    with studio(accounts.dsn_as(LOGIN), GOTRUE_MAILER_AUTOCONFIRM="true") as sign_in:
        program = sign_in.admin_token()
        ok(sign_in.post("/invite", {"email": "invited@example.com"}, program))
        migrated = {"email": "migrated@example.com", "password": "of the victim"}
        ok(sign_in.post("/admin/users", migrated, program))
        for email in ("invited@example.com", "migrated@example.com"):
            tried = sign_in.post("/signup", {"email": email, "password": "of the attacker"})
            assert refused(tried) == (422, "user_already_exists")
        ok(sign_in.post("/otp", {"email": "invited@example.com"}))
        assert not entered(sign_in, "invited@example.com", "of the attacker")
        assert ok(sign_in.post("/signup", migrated))["user"]["email"] == "migrated@example.com"
        by_mail(sign_in, "magiclink", "invited@example.com")
