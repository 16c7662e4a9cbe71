"""Refresh tokens: rotation, reuse, and requests at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.conftest import Database
from tests.integration.auth.conftest import LOGIN
from tests.integration.auth.sign_in import Studio, ok, refused, studio


def later(database: Database, seconds: int = 11) -> None:
    """Let the uses of refresh tokens lie further back than the reuse interval."""
    with database.connect() as owner:
        owner.execute(
            "update auth.refresh_tokens set updated_at = updated_at - make_interval(secs => %s), created_at = created_at - make_interval(secs => %s)",
            [seconds, seconds],
        )


def test_a_client_that_lost_the_answer_gets_the_same_token_again(sign_in: Studio, accounts: Database) -> None:
    session = sign_in.signed_up("ada@example.org")
    first = ok(sign_in.refreshed(session["refresh_token"]))
    later(accounts)
    assert ok(sign_in.refreshed(session["refresh_token"]))["refresh_token"] == first["refresh_token"]


def test_a_stolen_token_that_is_used_later_ends_the_whole_session(sign_in: Studio, accounts: Database) -> None:
    session = sign_in.signed_up("ada@example.org")
    second = ok(sign_in.refreshed(session["refresh_token"]))
    third = ok(sign_in.refreshed(second["refresh_token"]))
    later(accounts)
    assert refused(sign_in.refreshed(session["refresh_token"])) == (400, "refresh_token_already_used")
    for each in (third, second, session):
        assert refused(sign_in.refreshed(each["refresh_token"]))[1] == "refresh_token_already_used"
    other = sign_in.signed_in("ada@example.org")
    assert ok(sign_in.refreshed(other["refresh_token"]))


def test_tabs_that_refresh_at_once_all_go_on(sign_in: Studio, accounts: Database) -> None:
    session = sign_in.signed_up("ada@example.org")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sign_in.refreshed(session["refresh_token"]), range(8)))
    assert [each.status_code for each in answers] == [200] * 8
    assert len({each.json()["refresh_token"] for each in answers}) == 1
    with accounts.connect() as owner:
        alive = owner.execute("select count(*) from auth.refresh_tokens where not revoked").fetchone()
    assert alive == (1,)


def test_sessions_end_by_age_and_by_rest(accounts: Database) -> None:
    with studio(
        accounts.dsn_as(LOGIN), GOTRUE_SESSIONS_TIMEBOX="1h", GOTRUE_SESSIONS_INACTIVITY_TIMEOUT="30m"
    ) as sign_in:
        session = sign_in.signed_up("ada@example.org")
        with accounts.connect() as owner:
            owner.execute("update auth.sessions set created_at = now() - interval '40 minutes'")
            owner.execute("update auth.refresh_tokens set updated_at = now() - interval '40 minutes'")
        assert refused(sign_in.refreshed(session["refresh_token"])) == (400, "session_expired")
        again = sign_in.signed_in("ada@example.org")
        with accounts.connect() as owner:
            owner.execute("update auth.sessions set created_at = now() - interval '61 minutes', refreshed_at = now()")
        assert refused(sign_in.refreshed(again["refresh_token"])) == (400, "session_expired")
        assert refused(sign_in.call("GET", "/user", token=again["access_token"])) == (403, "session_not_found")


def test_bans_deletions_and_sign_outs_count_at_the_next_request(sign_in: Studio) -> None:
    admin = sign_in.admin_token()
    banned, deleted, hidden = (sign_in.signed_up(f"{name}@example.org") for name in ("ada", "bob", "cleo"))
    ok(sign_in.call("PUT", f"/admin/users/{banned['user']['id']}", {"ban_duration": "24h"}, admin))
    ok(sign_in.call("DELETE", f"/admin/users/{deleted['user']['id']}", token=admin))
    ok(sign_in.call("DELETE", f"/admin/users/{hidden['user']['id']}", {"should_soft_delete": True}, admin))
    assert refused(sign_in.call("GET", "/user", token=banned["access_token"])) == (403, "user_banned")
    assert refused(sign_in.refreshed(banned["refresh_token"])) == (400, "user_banned")
    for gone in (deleted, hidden):
        assert refused(sign_in.call("GET", "/user", token=gone["access_token"]))[0] == 403
        assert refused(sign_in.refreshed(gone["refresh_token"])) == (400, "refresh_token_not_found")
    assert sign_in.signed_up("cleo@example.org")["user"]["id"] != hidden["user"]["id"]
