"""The official Python clients, unchanged, over HTTP, with mails that were really sent. What they read must be what the contract says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pyotp
import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError, AuthImplicitGrantRedirectError, AuthWeakPasswordError

from tenantry.postgres import EmbeddedServer
from tests.conftest import running_server
from tests.integration.auth.browser import (
    PASSWORD,
    VERSION,
    WELCOME,
    Browser,
    address,
    look,
    project_client,
    query,
    refusal,
    session,
    sign_in_client,
)
from tests.integration.auth.mailed import Mailed, mailed


@pytest.fixture(scope="module")
def served(servers: dict[int, EmbeddedServer]) -> Iterator[Mailed]:
    with mailed(running_server(servers, 18)) as made:
        yield made


@pytest.fixture(params=[sign_in_client, project_client], ids=["supabase_auth", "supabase"])
def browser(served: Mailed, request: pytest.FixtureRequest) -> Iterator[Browser]:
    with httpx.Client(event_hooks={"response": [look]}, timeout=30) as http:
        yield Browser(served, request.param, http)


def test_sign_up_is_confirmed_by_the_link_and_the_password_signs_in(browser: Browser) -> None:
    email, client = address(), browser.client()
    with pytest.raises(AuthWeakPasswordError) as weak:
        client.sign_up({"email": email, "password": "short"})
    assert (weak.value.status, weak.value.reasons) == (422, ["length"])
    assert refusal(client.sign_up, {"email": "nobody", "password": PASSWORD}) == (400, "validation_failed")
    made = client.sign_up(
        {"email": email, "password": PASSWORD, "options": {"data": {"name": "Ada"}, "email_redirect_to": WELCOME}}
    )
    assert made.session is None and made.user is not None
    assert made.user.identities is not None and made.user.identities[0].provider == "email"
    secret = {"email": email, "password": PASSWORD}
    assert refusal(client.sign_in_with_password, secret) == (400, "email_not_confirmed")
    first = browser.served.mailbox.mail(email, "confirm")
    client.resend({"type": "signup", "email": email, "options": {"email_redirect_to": WELCOME}})
    assert "error_code=otp_expired" in urlsplit(browser.open(first.links[-1])).fragment
    landed = browser.follow(email)
    assert landed.startswith(f"{WELCOME}#access_token=")
    client.initialize_from_url(landed)
    user = session(client).user
    assert user.email_confirmed_at and user.user_metadata["name"] == "Ada" and user.user_metadata["email_verified"]
    assert refusal(client.sign_in_with_password, {**secret, "password": "wrong"}) == (400, "invalid_credentials")
    again = client.sign_in_with_password(cast(Any, secret))
    assert again.user is not None and again.user.id == made.user.id
    read = client.get_claims()
    assert read is not None and read["headers"]["alg"] == "ES256"
    claims = dict(read["claims"])
    assert claims["sub"] == made.user.id and claims["aud"] == "authenticated" and claims["iss"] == browser.served.url
    hidden = client.sign_up({"email": email, "password": PASSWORD})
    assert hidden.user is not None and hidden.user.identities == [] and hidden.user.id != made.user.id
    client.sign_out()
    assert client.get_session() is None


def test_two_tabs_refresh_at_once_and_a_stolen_token_ends_the_session(browser: Browser) -> None:
    email = address()
    first = browser.signed_up(email)
    begun = session(first)
    renewed = first.refresh_session().session
    assert renewed is not None and renewed.refresh_token != begun.refresh_token
    assert renewed.access_token != begun.access_token or renewed.expires_at == begun.expires_at
    # The second tab did not hear of it yet: the parent of the active token leads to the active token.
    second = browser.other().client().refresh_session(begun.refresh_token).session
    assert second is not None and second.refresh_token == renewed.refresh_token
    latest = first.refresh_session().session
    assert latest is not None
    # Within the interval an older one still works, beyond it somebody else has it.
    within = browser.other().client().refresh_session(begun.refresh_token).session
    assert within is not None
    browser.other().client().refresh_session(within.refresh_token)
    browser.served.mailbox.age(begun.refresh_token)
    thief = browser.other().client()
    assert refusal(thief.refresh_session, begun.refresh_token) == (400, "refresh_token_already_used")
    assert refusal(first.refresh_session) == (400, "refresh_token_already_used")
    assert refusal(thief.refresh_session, "abcdefghijkl") == (400, "refresh_token_not_found")
    assert browser.signed_in(email).get_user() is not None


def test_pkce_takes_the_code_only_in_the_browser_that_asked(browser: Browser) -> None:
    email, client = address(), browser.client("pkce")
    client.sign_up({"email": email, "password": PASSWORD, "options": {"email_redirect_to": WELCOME}})
    landed = browser.follow(email)
    assert landed.startswith(f"{WELCOME}?code=")
    code = {"auth_code": query(landed)["code"]}
    elsewhere = browser.other()
    elsewhere.storage.set_item("supabase.auth.token-code-verifier", "x" * 50)
    other = {**code, "code_verifier": "x" * 50}
    assert refusal(elsewhere.client("pkce").exchange_code_for_session, other) == (400, "bad_code_verifier")
    done = client.exchange_code_for_session(cast(Any, code))
    assert done.session is not None and done.session.user.email == email
    repeated = {**code, "code_verifier": "x" * 50}
    assert refusal(client.exchange_code_for_session, repeated) == (404, "flow_state_not_found")
    # Sign-in by mail and recovery in the same way.
    client.sign_in_with_otp({"email": email, "options": {"email_redirect_to": WELCOME}})
    signed = client.exchange_code_for_session(cast(Any, {"auth_code": query(browser.follow(email))["code"]}))
    assert signed.session is not None
    client.reset_password_for_email(email, {"redirect_to": WELCOME})
    signed = client.exchange_code_for_session(cast(Any, {"auth_code": query(browser.follow(email))["code"]}))
    assert signed.session is not None
    client.update_user({"password": "another horse"})
    assert browser.signed_in(email, "another horse").get_user() is not None


def test_a_recovery_link_works_once_and_the_new_password_ends_other_sessions(browser: Browser) -> None:
    email = address()
    before = browser.signed_up(email)
    browser.other().client().reset_password_for_email("nobody@mail.example")
    client = browser.other().client()
    client.reset_password_for_email(email, {"redirect_to": WELCOME})
    mail = browser.served.mailbox.mail(email, "password")
    client.initialize_from_url(browser.open(mail.links[-1]))
    with pytest.raises(AuthImplicitGrantRedirectError) as used:
        browser.other().client().initialize_from_url(browser.open(mail.links[-1]))
    assert used.value.details == {"code": "otp_expired", "error": "access_denied"}
    by_code = {"type": "recovery", "email": email, "token": mail.codes[0]}
    assert refusal(client.verify_otp, by_code) == (403, "otp_expired")
    assert refusal(client.update_user, {"password": PASSWORD}) == (422, "same_password")
    client.update_user({"password": "another horse", "data": {"name": "Ada"}})
    assert refusal(before.get_user) == (403, "session_not_found")
    assert session(client).user.user_metadata["name"] == "Ada"
    wrong = {"email": email, "password": PASSWORD}
    assert refusal(client.sign_in_with_password, wrong) == (400, "invalid_credentials")
    assert browser.signed_in(email, "another horse").get_user() is not None


def test_a_change_of_address_needs_the_codes_of_both(browser: Browser) -> None:
    old, new = address(), address()
    client = browser.signed_up(old)
    browser.other().signed_up("taken-" + new)
    assert refusal(client.update_user, {"email": "taken-" + new}) == (422, "email_exists")
    asked = client.update_user({"email": new}, {"email_redirect_to": WELCOME})
    assert asked.user.new_email == new and asked.user.email == old
    half = client.verify_otp({"type": "email_change", "email": new, "token": browser.served.mailbox.mail(new).codes[0]})
    assert half.session is None and half.user is None
    done = client.verify_otp({"type": "email_change", "email": old, "token": browser.served.mailbox.mail(old).codes[0]})
    assert done.session is not None and done.session.user.email == new and not done.session.user.new_email
    assert done.session.user.identities is not None
    assert done.session.user.identities[0].identity_data["email"] == new
    # The same by links, in PKCE.
    third, client = address(), browser.client("pkce")
    client.sign_in_with_password({"email": new, "password": PASSWORD})
    client.update_user({"email": third}, {"email_redirect_to": WELCOME})
    assert query(browser.follow(third))["message"].startswith("Confirmation link accepted")
    landed = browser.follow(new)
    moved = client.exchange_code_for_session(cast(Any, {"auth_code": query(landed)["code"]}))
    assert moved.session is not None and moved.session.user.email == third
    assert refusal(client.sign_in_with_password, {"email": old, "password": PASSWORD}) == (400, "invalid_credentials")


def test_a_second_factor_raises_the_session_and_guards_the_account(browser: Browser) -> None:
    email = address()
    client, beside = browser.signed_up(email), browser.signed_in(email)
    made = client.mfa.enroll({"factor_type": "totp", "friendly_name": "Phone", "issuer": "Clinic"})
    assert made.totp is not None and made.totp.qr_code.startswith("data:image/svg+xml;utf-8,<?xml")
    assert made.totp.uri.startswith("otpauth://totp/Clinic:") and made.totp.secret in made.totp.uri
    same = {"factor_type": "totp", "friendly_name": "Phone"}
    assert refusal(client.mfa.enroll, same) == (422, "mfa_factor_name_conflict")
    codes = pyotp.TOTP(made.totp.secret)
    asked = client.mfa.challenge({"factor_id": made.id})
    wrong = {"factor_id": made.id, "challenge_id": asked.id, "code": "000000"}
    assert refusal(client.mfa.verify, wrong) == (422, "mfa_verification_failed")
    unknown = {**wrong, "challenge_id": made.id}
    assert refusal(client.mfa.verify, unknown) == (422, "mfa_factor_not_found")
    level = client.mfa.get_authenticator_assurance_level()
    assert (level.current_level, level.next_level) == ("aal1", "aal1")
    code = codes.now()
    client.mfa.verify({"factor_id": made.id, "challenge_id": asked.id, "code": code})
    level = client.mfa.get_authenticator_assurance_level()
    assert (level.current_level, level.next_level) == ("aal2", "aal2")
    assert {each.method for each in level.current_authentication_methods} == {"otp", "totp"}
    assert [each.id for each in client.mfa.list_factors().totp] == [made.id]
    assert refusal(beside.get_user) == (403, "session_not_found")
    # A password alone does not get around it.
    weaker = browser.signed_in(email)
    level = weaker.mfa.get_authenticator_assurance_level()
    assert (level.current_level, level.next_level) == ("aal1", "aal2")
    assert refusal(weaker.update_user, {"password": "another horse"}) == (401, "insufficient_aal")
    assert refusal(weaker.mfa.enroll, {"factor_type": "totp", "friendly_name": "2"}) == (403, "insufficient_aal")
    assert refusal(weaker.mfa.unenroll, {"factor_id": made.id}) == (422, "insufficient_aal")
    used = {"factor_id": made.id, "code": code}
    assert refusal(weaker.mfa.challenge_and_verify, used) == (422, "mfa_verification_failed")
    weaker.mfa.challenge_and_verify({"factor_id": made.id, "code": codes.at(int(time.time()) + 30)})
    refreshed = weaker.refresh_session().session
    assert refreshed is not None
    assert weaker.mfa.get_authenticator_assurance_level().current_level == "aal2"
    assert weaker.mfa.unenroll({"factor_id": made.id}).id == made.id
    weaker.refresh_session()
    assert weaker.mfa.get_authenticator_assurance_level().current_level == "aal1"


def test_each_scope_of_signing_out_ends_what_it_says(browser: Browser) -> None:
    email = address()
    first = browser.signed_up(email)
    second, third = browser.signed_in(email), browser.signed_in(email)
    gone = session(second).refresh_token
    second.sign_out({"scope": "local"})
    assert second.get_session() is None
    assert refusal(second.refresh_session, gone) == (400, "refresh_token_not_found")
    assert first.get_user() is not None and third.get_user() is not None
    first.sign_out({"scope": "others"})
    assert first.get_user() is not None
    assert refusal(third.get_user) == (403, "session_not_found")
    fourth = browser.signed_in(email)
    token = session(first).access_token
    first.sign_out({"scope": "global"})
    assert refusal(fourth.get_user) == (403, "session_not_found")
    assert refusal(first.get_user, token) == (403, "session_not_found")


def test_administrators_list_create_invite_ban_and_delete(browser: Browser) -> None:
    admin, email = browser.admin(), address()
    mailbox = browser.served.mailbox
    assert refusal(browser.client().admin.list_users) == (403, "not_admin")
    made = admin.admin.create_user(
        {
            "email": email,
            "password": PASSWORD,
            "email_confirm": True,
            "user_metadata": {"name": "Ada"},
            "app_metadata": {"plan": "clinic"},
        }
    ).user
    assert made.app_metadata["plan"] == "clinic" and made.email_confirmed_at
    again = {"email": email, "password": PASSWORD}
    assert refusal(admin.admin.create_user, again) == (422, "email_exists")
    for _ in range(4):
        admin.admin.create_user({"email": address()})
    everyone = [each.id for each in admin.admin.list_users(page=1, per_page=1000)]
    pages = [[each.id for each in admin.admin.list_users(page=n, per_page=3)] for n in (1, 2)]
    assert pages == [everyone[:3], everyone[3:6]]
    assert admin.admin.list_users(page=1000, per_page=3) == []
    assert admin.admin.get_user_by_id(made.id).user.email == email
    nobody = "5f3a2b1c-0d9e-4f8a-8b7c-6d5e4f3a2b1c"
    assert refusal(admin.admin.get_user_by_id, nobody) == (404, "user_not_found")
    person = browser.signed_in(email)
    admin.admin.update_user_by_id(made.id, {"ban_duration": "1h"})
    assert refusal(person.get_user) == (403, "user_banned")
    assert refusal(person.refresh_session) == (400, "user_banned")
    assert refusal(browser.client().sign_in_with_password, again) == (400, "user_banned")
    admin.admin.update_user_by_id(made.id, {"ban_duration": "none", "password": "another horse"})
    assert refusal(person.get_user) == (403, "session_not_found")
    person = browser.signed_in(email, "another horse")
    # The mail of an invitation leads to a session, in which they choose a password.
    guest = address()
    invited = admin.admin.invite_user_by_email(guest, {"data": {"clinic": "Fernhill"}, "redirect_to": WELCOME}).user
    assert invited.invited_at and not invited.email_confirmed_at
    landing = browser.other().client()
    landing.initialize_from_url(browser.follow(guest))
    landing.update_user({"password": PASSWORD})
    assert browser.signed_in(guest).get_user() is not None
    assert refusal(admin.admin.invite_user_by_email, guest) == (422, "email_exists")
    by_code = address()
    admin.admin.invite_user_by_email(by_code)
    landing = browser.other().client()
    token = mailbox.mail(by_code, "invite").codes[0]
    assert landing.verify_otp({"type": "invite", "email": by_code, "token": token}).session is not None
    # Links without a mail.
    link = admin.admin.generate_link(
        {"type": "recovery", "email": email, "options": {"redirect_to": WELCOME}}
    ).properties
    assert link.verification_type == "recovery" and link.redirect_to == WELCOME
    hashed = browser.other().client().verify_otp({"type": "recovery", "token_hash": link.hashed_token})
    assert hashed.session is not None
    late = browser.other().client()
    assert refusal(late.verify_otp, {"type": "recovery", "email": email, "token": link.email_otp}) == (
        403,
        "otp_expired",
    )
    admin.admin.delete_user(made.id)
    assert refusal(person.get_user) == (403, "user_not_found")
    assert refusal(admin.admin.delete_user, made.id) == (404, "user_not_found")
    admin.admin.delete_user(invited.id, should_soft_delete=True)
    assert refusal(landing.sign_in_with_password, {"email": guest, "password": PASSWORD}) == (
        400,
        "invalid_credentials",
    )


def test_links_that_administrators_hand_over_do_what_they_are_for(browser: Browser) -> None:
    admin, mailbox = browser.admin().admin, browser.served.mailbox
    new, known, moved = address(), address(), address()
    browser.other().signed_up(known)
    to = {"redirect_to": WELCOME}
    made = admin.generate_link({"type": "signup", "email": new, "password": PASSWORD, "options": cast(Any, to)})
    assert made.user.email == new and made.properties.verification_type == "signup"
    opened = {"signup": made.properties.action_link}
    guest = admin.generate_link({"type": "invite", "email": address(), "options": cast(Any, to)})
    opened["invite"] = guest.properties.action_link
    for kind in ("magiclink", "recovery"):
        link = admin.generate_link(cast(Any, {"type": kind, "email": known, "options": to}))
        landing = browser.other().client()
        landing.initialize_from_url(browser.open(link.properties.action_link))
        assert session(landing).user.email == known, kind
    for kind, link_address in opened.items():
        landing = browser.other().client()
        landing.initialize_from_url(browser.open(link_address))
        assert session(landing).user.email_confirmed_at, kind
    assert browser.signed_in(new).get_user() is not None
    halves = [
        admin.generate_link(cast(Any, {"type": kind, "email": known, "new_email": moved, "options": to}))
        for kind in ("email_change_current", "email_change_new")
    ]
    assert "#message=Confirmation" in browser.open(halves[0].properties.action_link)
    landing = browser.other().client()
    landing.initialize_from_url(browser.open(halves[1].properties.action_link))
    assert session(landing).user.email == moved
    nobody = {"type": "recovery", "email": address()}
    assert refusal(admin.generate_link, nobody) == (404, "user_not_found")
    again = {"type": "invite", "email": moved}
    assert refusal(admin.generate_link, again) == (422, "email_exists")
    with pytest.raises(AssertionError, match="no mail"):
        mailbox.mail(new, patience=0.05)
    # A second factor that somebody lost is removed by an administrator.
    person = browser.signed_in(new)
    factor = person.mfa.enroll({"factor_type": "totp"})
    assert factor.totp is not None
    person.mfa.challenge_and_verify({"factor_id": factor.id, "code": pyotp.TOTP(factor.totp.secret).now()})
    owner = made.user.id
    assert [each.id for each in admin.mfa.list_factors({"user_id": owner})] == [factor.id]
    assert admin.mfa.delete_factor({"user_id": owner, "id": factor.id}).id == factor.id
    person.refresh_session()
    assert person.mfa.get_authenticator_assurance_level().current_level == "aal1"


def test_what_is_not_served_is_refused_as_where_it_is_switched_off(browser: Browser) -> None:
    client = browser.client()
    assert refusal(client.sign_in_anonymously) == (422, "anonymous_provider_disabled")
    assert refusal(client.sign_in_with_otp, {"phone": "4915112345678"}) == (400, "phone_provider_disabled")
    assert refusal(client.sign_in_with_sso, {"domain": "mail.example"}) == (404, "saml_provider_disabled")
    by_token = {"provider": "google", "token": "x"}
    assert refusal(client.sign_in_with_id_token, by_token) == (400, "provider_disabled")
    sent = client.sign_in_with_oauth({"provider": "github"})
    answer = browser.http.get(sent.url, headers={VERSION: "2024-01-01"}, follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert refusal(client.get_user, "no.token.atall") == (403, "bad_jwt")
    person = browser.signed_up()
    person.reauthenticate()
    email = session(person).user.email
    assert email is not None and browser.served.mailbox.mail(email).codes
    phone = {"factor_type": "phone", "phone": "4915112345678"}
    assert refusal(person.mfa.enroll, phone) == (422, "mfa_phone_enroll_not_enabled")


def test_asynchronous_tabs_that_refresh_together_stay_signed_in(served: Mailed) -> None:
    async def work() -> None:
        email = address()
        async with httpx.AsyncClient(timeout=30) as http:
            tabs = [AsyncGoTrueClient(url=served.url, auto_refresh_token=False, http_client=http) for _ in range(6)]
            await tabs[0].sign_up({"email": email, "password": PASSWORD})
            mail = await asyncio.to_thread(served.mailbox.mail, email)
            done = await tabs[0].verify_otp({"type": "signup", "email": email, "token": mail.codes[0]})
            assert done.session is not None
            for _ in range(3):
                given = (await tabs[0].get_session()).refresh_token  # type: ignore[union-attr]
                renewed = await asyncio.gather(*(tab.refresh_session(given) for tab in tabs))
                assert len({each.session.refresh_token for each in renewed if each.session}) == 1
            answers = await asyncio.gather(*(tab.get_user() for tab in tabs))
            assert [each.user.email for each in answers if each] == [email] * 6
            await tabs[0].sign_out()
            with pytest.raises(AuthApiError) as gone:
                await tabs[5].get_user()
            assert (gone.value.status, gone.value.code) == (403, "session_not_found")

    asyncio.run(work())
