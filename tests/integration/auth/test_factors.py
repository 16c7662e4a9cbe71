"""Second factors: TOTP, and what a session may do before and after it."""

from __future__ import annotations

import pyotp

from tests.integration.auth.sign_in import Studio, ok, refused


def enrolled(sign_in: Studio, token: str, name: str = "phone") -> tuple[str, str]:
    factor = ok(sign_in.post("/factors", {"factor_type": "totp", "friendly_name": name}, token))
    assert factor["totp"]["uri"].startswith("otpauth://totp/")
    assert factor["totp"]["qr_code"].lstrip().startswith("<?xml")
    return factor["id"], factor["totp"]["secret"]


def verified(sign_in: Studio, token: str, factor: str, code: str) -> tuple[int, dict[str, object]]:
    challenge = ok(sign_in.post(f"/factors/{factor}/challenge", {}, token))
    response = sign_in.post(f"/factors/{factor}/verify", {"challenge_id": challenge["id"], "code": code}, token)
    return response.status_code, response.json()


def test_a_second_factor_raises_the_session_and_ends_the_others(sign_in: Studio) -> None:
    session, other = sign_in.signed_up("ada@example.org"), sign_in.signed_in("ada@example.org")
    factor, secret = enrolled(sign_in, session["access_token"])
    clock = pyotp.TOTP(secret)
    wrong = f"{(int(clock.now()) + 1) % 1_000_000:06d}"
    assert verified(sign_in, session["access_token"], factor, wrong)[1]["error_code"] == "mfa_verification_failed"
    code = clock.now()
    status, raised = verified(sign_in, session["access_token"], factor, code)
    assert status == 200, raised
    claims = sign_in.claims(str(raised["access_token"]))
    assert claims["aal"] == "aal2"
    assert {each["method"] for each in claims["amr"]} == {"otp", "totp"}
    assert refused(sign_in.call("GET", "/user", token=other["access_token"])) == (403, "session_not_found")
    # The same code does not count twice.
    again = sign_in.signed_in("ada@example.org")
    assert verified(sign_in, again["access_token"], factor, code)[1]["error_code"] == "mfa_verification_failed"
    # A session without the factor may not change what protects the account.
    token = again["access_token"]
    assert refused(sign_in.call("PUT", "/user", {"password": "another horse"}, token)) == (401, "insufficient_aal")
    assert refused(sign_in.post("/factors", {"factor_type": "totp", "friendly_name": "b"}, token)) == (
        403,
        "insufficient_aal",
    )
    assert refused(sign_in.call("DELETE", f"/factors/{factor}", token=token)) == (422, "insufficient_aal")
    renewed = ok(sign_in.refreshed(str(raised["refresh_token"])))
    assert sign_in.claims(renewed["access_token"])["aal"] == "aal2"
    assert ok(sign_in.call("DELETE", f"/factors/{factor}", token=renewed["access_token"])) == {"id": factor}
    assert sign_in.claims(ok(sign_in.refreshed(renewed["refresh_token"]))["access_token"])["aal"] == "aal1"


def test_factors_of_others_and_used_challenges_are_refused(sign_in: Studio) -> None:
    ada, bob = sign_in.signed_up("ada@example.org"), sign_in.signed_up("bob@example.org")
    factor, secret = enrolled(sign_in, ada["access_token"])
    assert refused(sign_in.post(f"/factors/{factor}/challenge", {}, bob["access_token"])) == (
        404,
        "mfa_factor_not_found",
    )
    challenge = ok(sign_in.post(f"/factors/{factor}/challenge", {}, ada["access_token"]))["id"]
    body = {"challenge_id": challenge, "code": pyotp.TOTP(secret).now()}
    raised = ok(sign_in.post(f"/factors/{factor}/verify", body, ada["access_token"]))
    assert refused(sign_in.post(f"/factors/{factor}/verify", body, raised["access_token"])) == (
        422,
        "mfa_ip_address_mismatch",
    )
    unknown = {**body, "challenge_id": "00000000-0000-4000-8000-000000000000"}
    assert refused(sign_in.post(f"/factors/{factor}/verify", unknown, raised["access_token"])) == (
        422,
        "mfa_factor_not_found",
    )
    conflict = {"factor_type": "totp", "friendly_name": "phone"}
    assert refused(sign_in.post("/factors", conflict, raised["access_token"])) == (422, "mfa_factor_name_conflict")
    for kind in ("phone", "webauthn"):
        code = refused(sign_in.post("/factors", {"factor_type": kind}, raised["access_token"]))[1]
        assert code == f"mfa_{kind}_enroll_not_enabled"


def test_codes_of_a_factor_cannot_be_guessed_for_long(sign_in: Studio) -> None:
    session = sign_in.signed_up("ada@example.org")
    factor, _ = enrolled(sign_in, session["access_token"])
    codes = [verified(sign_in, session["access_token"], factor, f"{n:06d}")[1].get("error_code") for n in range(22)]
    assert codes[:20] == ["mfa_verification_failed"] * 20
    assert codes[20:] == ["over_request_rate_limit"] * 2
