"""What an attacker tries to get into the account of somebody else."""

from __future__ import annotations

import hashlib

from tests.conftest import Database
from tests.integration.auth.sign_in import Studio, ok, refused

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
