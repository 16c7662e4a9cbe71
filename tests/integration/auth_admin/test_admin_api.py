"""The admin API's client, and plans of account actions over it, against a server that speaks that API and is made to fail."""

from __future__ import annotations

import itertools
import logging
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import supabase_auth

from tenantry.accounts.auth_schema import complete_auth_schema
from tenantry.auth_admin.actions import AccountAction, Ran, counts, refused, run_actions, undo_actions
from tenantry.auth_admin.client import AdminClient
from tenantry.auth_admin.failures import AuthKeyRefused, AuthRefused, AuthUnreachable, EmailTaken
from tenantry.auth_admin.rate_limit import TokenBucket, backoff, retry_after
from tenantry.auth_admin.values import AccountFields, RequestPace
from tenantry.errors import JournalMismatch, RunInProgress, RunInterrupted, SettingsError
from tests.conftest import Database
from tests.migrate_support import PATIENCE
from tests.support_admin_api import KEY, Fault, Hosted, hosted

Connection = psycopg.Connection[tuple[Any, ...]]

QUICK = RequestPace(rate=5000, burst=50, in_flight=6, timeout=PATIENCE, tries=12, wait=0.002, longest_wait=0.02)
IMPATIENT = replace(QUICK, timeout=0.4)
"""For slow answers; on a loaded machine others are slow as well."""
FAULTS: tuple[Fault, ...] = (
    "limit", "limit with date", "limit bare", "error before", "error after", "drop before", "drop after", "slow",
)  # fmt: skip
HASH = "$2a$10$" + "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"


@pytest.fixture
def api(database: Database) -> Iterator[Hosted]:
    with database.connect() as connection:
        complete_auth_schema(connection)
    with hosted(database.dsn) as server:
        yield server


@pytest.fixture
def db(database: Database) -> Iterator[Connection]:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        yield connection


@contextmanager
def client_of(api: Hosted, pace: RequestPace = QUICK, key: str = KEY) -> Iterator[AdminClient]:
    with AdminClient(api.url, key, pace=pace) as client:
        yield client


def person(number: int, **more: Any) -> AccountFields:
    return AccountFields(id=UUID(int=(0xABC << 100) + number), email=f"Person{number}@example.org", **more)


def actions(numbers: Iterator[int] | range) -> Iterator[AccountAction]:
    for number in numbers:
        yield AccountAction("create", f"u{number}", person(number, password_hash=HASH, email_confirm=True))


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def one_after_another(*faults: Fault) -> Callable[[int, str, str], Fault]:
    """These faults for the next requests, then none."""
    left: Iterator[Fault] = itertools.chain(faults, itertools.repeat("ok"))
    return lambda _number, _method, _path: next(left)


# -- single calls --------------------------------------------------------------------------------------------------------


def test_the_official_client_understands_the_server_of_these_tests(api: Hosted) -> None:
    with httpx.Client() as http:
        official = supabase_auth.SyncGoTrueAdminAPI(
            url=f"{api.url}/auth/v1", headers={"apikey": KEY, "Authorization": f"Bearer {KEY}"}, http_client=http
        )
        made = official.create_user(
            {"email": "ada@example.org", "email_confirm": True, "user_metadata": {"name": "Ada"}}
        ).user
        assert [user.id for user in official.list_users()] == [made.id]
        found = official.get_user_by_id(made.id).user
        assert (found.email, found.user_metadata, len(found.identities or [])) == (
            "ada@example.org",
            {"name": "Ada"},
            1,
        )
        with pytest.raises(supabase_auth.errors.AuthApiError) as error:
            official.create_user({"email": "Ada@example.org"})
        assert (error.value.status, error.value.code) == (422, "email_exists")
        official.delete_user(made.id)
        assert official.list_users() == []


def test_an_account_is_created_with_the_requested_values(api: Hosted, db: Connection) -> None:
    fields = person(
        1, password_hash=HASH, email_confirm=True, user_metadata={"name": "Ada"}, app_metadata={"super_admin": True},
        ban_duration="24h",
    )  # fmt: skip
    with client_of(api) as client:
        made = client.create(fields)
        assert made.created is True
        assert client.user(UUID(made.user["id"])) == made.user
    [row] = rows(
        db,
        "select id, email, encrypted_password, email_confirmed_at is not null, raw_user_meta_data, raw_app_meta_data,"
        " banned_until between now() + '23 hours' and now() + '25 hours' from auth.users",
    )
    metadata = {"provider": "email", "providers": ["email"], "super_admin": True}
    assert row == (fields.id, "person1@example.org", HASH, True, {"name": "Ada"}, metadata, True)


def test_an_account_is_changed_found_invited_and_deleted(api: Hosted, db: Connection) -> None:
    with client_of(api) as client:
        for number in range(3):
            client.create(person(number))
        account = person(1).id
        assert account is not None
        changed = client.update(
            account, AccountFields(email="new_one@example.org", ban_duration="none", role="authenticated")
        )
        assert changed["email"] == "new_one@example.org"
        found = client.find_by_email(" New_One@Example.org")
        assert found is not None
        assert found["id"] == str(account)
        assert client.find_by_email("newxone@example.org") is None
        assert client.invite("new_one@example.org")["invited_at"]
        assert client.count() == 3
        assert client.delete(account) is True
        assert client.delete(account) is False
        assert client.user(account) is None
    assert api.mails == {"new_one@example.org": 1}
    assert rows(db, "select count(*) from auth.users") == [(2,)]


def test_an_existing_account_counts_as_made_only_with_the_same_id_and_email(api: Hosted) -> None:
    with client_of(api) as client:
        client.create(person(1))
        assert client.create(person(1)).created is False
        with pytest.raises(EmailTaken) as taken:
            client.create(AccountFields(id=uuid4(), email="PERSON1@example.org"))
        assert taken.value.error_code == "email_taken"
        client.create(person(2))
        with pytest.raises(AuthRefused) as other:
            client.create(AccountFields(id=person(1).id, email="person2@example.org"))
        assert other.value.error_code == "id_taken"
        with pytest.raises(AuthRefused) as invalid:
            client.create(AccountFields(id=uuid4(), email="no address"))
        assert (invalid.value.status, invalid.value.error_code) == (400, "validation_failed")
    assert api.asked["POST /auth/v1/admin/users"] == 6, "what was refused for good is not asked again"


def test_a_call_survives_each_fault_and_reports_its_result(api: Hosted, db: Connection) -> None:
    for number, fault in enumerate(FAULTS):
        with client_of(api, IMPATIENT if fault == "slow" else QUICK) as client:
            api.fault = one_after_another(fault, fault)
            made = client.create(person(number))
            lost = fault in ("error after", "drop after", "slow")
            assert (fault, made.created) == (fault, None if lost else True)
            assert made.user["email"] == f"person{number}@example.org"
            assert api.faults[fault] == 2
    assert rows(db, "select count(*) from auth.users") == [(len(FAULTS),)]


def test_an_invitation_whose_answer_was_lost_is_not_sent_twice(api: Hosted) -> None:
    with client_of(api) as client:
        made = client.create(person(1))
        api.fault = lambda _number, _method, path: "drop after" if path.endswith("/invite") else "ok"
        client.invite("person1@example.org", user=UUID(made.user["id"]))
    assert api.mails == {"person1@example.org": 1}


def test_users_are_read_page_by_page_while_others_are_added(api: Hosted, db: Connection) -> None:
    db.execute(
        "insert into auth.users (id, email, created_at) select gen_random_uuid(), 'p' || n || '@example.org',"
        " timestamptz '2026-01-01' + n * interval '1 second' from generate_series(1, 1050) as n"
    )
    before = {str(user) for (user,) in rows(db, "select id from auth.users")}
    with client_of(api) as client:
        got = []
        for place, user in enumerate(client.users(per_page=100)):
            got.append(user["id"])
            if place % 100 == 50:
                db.execute(
                    "insert into auth.users (id, email) select gen_random_uuid(), gen_random_uuid() || '@example.org'"
                    " from generate_series(1, 30)"
                )
    assert len(got) == len(set(got))
    assert before <= set(got)


def test_users_are_read_from_a_server_without_links() -> None:
    pages = {"1": ["a", "b"], "2": ["b", "c"], "3": []}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"users": [{"id": name} for name in pages[request.url.params["page"]]]})

    with AdminClient("https://project.example", KEY, pace=QUICK, transport=httpx.MockTransport(answer)) as client:
        assert [user["id"] for user in client.users()] == ["a", "b", "c"]


# -- the key -------------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_a_clear_error_that_shows_no_key(api: Hosted, caplog: pytest.LogCaptureFixture) -> None:
    wrong = "sb_secret_" + "of another project"[3:].replace(" ", "")
    caplog.set_level(logging.DEBUG)
    with client_of(api, key=wrong) as client:
        with pytest.raises(AuthKeyRefused) as refusal:
            client.create(person(1))
        shown = [
            repr(client),
            repr(client.__dict__),
            str(vars(client.pace) if hasattr(client.pace, "__dict__") else client.pace),
        ]
        with pytest.raises(TypeError):
            pickle.dumps(client._secret)
    error = refusal.value
    shown += [
        str(error),
        repr(error),
        error.hint,
        str(error.to_json()),
        "".join(traceback.format_exception(error)),
        caplog.text,
    ]
    assert caplog.text, "the log is looked at"
    assert "bad_jwt" in error.message
    assert "service key" in error.hint
    assert not [text for text in shown if wrong in text]
    assert sum(api.asked.values()) == 1, "nothing is asked twice with a key that was refused"


def test_no_error_log_or_repr_has_the_key_or_a_password(
    api: Hosted, db: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.fault = lambda number, _method, _path: FAULTS[number // 2 % len(FAULTS)] if number % 2 else "ok"
    action = AccountAction("create", "u1", person(1, password_hash=HASH))
    with client_of(api, IMPATIENT) as client:
        run_actions(db, client, [action])
        for _ in FAULTS:
            client.count()
    assert all(api.faults[fault] > 0 for fault in FAULTS)
    with client_of(api, RequestPace(rate=1000, tries=2, wait=0.001)) as client:
        api.fault = lambda _number, _method, _path: "drop before"
        with pytest.raises(AuthUnreachable) as error:
            client.create(person(2, password_hash=HASH))
    noted = str(rows(db, "select to_jsonb(r) from tenantry.account_request as r"))
    shown = [
        caplog.text,
        repr(action),
        str(error.value.to_json()),
        "".join(traceback.format_exception(error.value)),
        noted,
    ]
    for secret in (KEY, HASH):
        assert not [text for text in shown if secret in text]


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://project.example", KEY),
        ("https://user:word@project.example", KEY),
        ("https://project.example?apikey=1", KEY),
        ("ftp://project.example", KEY),
        ("https://", KEY),
        ("https://[::1", KEY),
        ("https://project.example", ""),
        ("https://project.example", "two words"),
        ("https://project.example", "line\n"),
    ],
)
def test_a_url_or_key_that_cannot_be_is_refused_unseen(url: str, key: str) -> None:
    with pytest.raises(SettingsError) as error:
        AdminClient(url, key)
    assert not [secret for secret in ("word", "apikey=1") if secret in str(error.value.to_json())]
    assert not key or key not in error.value.message


def test_a_redirect_is_not_followed() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/"})

    with AdminClient("https://project.example/", KEY, pace=QUICK, transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(AuthRefused) as error:
            client.user(uuid4())
        assert "URL" in error.value.hint
    assert asked == ["project.example"]


# -- the pace ------------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that advances only by sleep."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("rate", "burst"), [(10.0, 1.0), (10.0, 5.0), (3.0, 1.0)])
def test_no_second_has_more_calls_than_the_bucket_lets_through(rate: float, burst: float) -> None:
    clock, chance = Clock(), random.Random(7)  # noqa: S311 - repeatable
    bucket = TokenBucket(rate, burst=burst, clock=lambda: clock.now, sleep=clock.sleep)
    times = []
    for call in range(300):
        bucket.take()
        times.append(clock.now)
        clock.now += chance.random() * 0.2 if call % 50 else 5.0
        if call == 100:
            bucket.hold(30)
    assert times[101] - times[100] >= 30
    for start in times:
        assert sum(start <= at < start + 1 - 1e-9 for at in times) <= rate + burst


def test_requests_keep_to_the_rate_over_all_threads(api: Hosted, db: Connection) -> None:
    """The server's count, against the time that really passed: a slow machine makes it only easier."""
    begun = time.monotonic()
    with client_of(api, RequestPace(rate=40, in_flight=3)) as client:
        run_actions(db, client, actions(range(30)))
    assert len(api.arrivals) == 30
    assert api.arrivals[-1] - begun >= (30 - 1) / 40
    assert api.most_at_once <= 3


def test_waits_grow_to_a_limit_and_follow_the_servers_retry_after() -> None:
    assert [backoff(n, base=1, limit=10, chance=lambda: 1.0) for n in (1, 2, 3, 4, 5, 99)] == [1, 2, 4, 8, 10, 10]
    assert backoff(3, base=1, limit=10, chance=lambda: 0.0) == 2
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("7") == 7
    assert retry_after("Thu, 01 Jan 2026 00:00:09 GMT", now=now) == 9
    assert retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now=now) == 0
    assert [retry_after(text) for text in (None, "", "soon", "-3")] == [None] * 4


# -- plans of actions ----------------------------------------------------------------------------------------------------


def test_five_hundred_users_come_each_exactly_once_through_every_fault(api: Hosted, db: Connection) -> None:
    chance = random.Random(5)  # noqa: S311 - repeatable
    api.slow = 0.5
    plan: dict[int, Fault] = {n: chance.choice(FAULTS[:-1]) for n in range(1, 1500) if chance.random() < 0.12}
    plan |= dict.fromkeys(range(100, 1500, 100), "slow")
    api.fault = lambda number, _method, _path: plan.get(number, "ok")
    told: list[Ran] = []
    with client_of(api, IMPATIENT) as client:
        ran = run_actions(db, client, actions(range(500)), batch=75, progress=told.append)
        assert ran == Ran(500, 0, 0)
        assert [each.done for each in told] == [75, 150, 225, 300, 375, 450, 500]
        asked = sum(api.asked.values())
        assert run_actions(db, client, actions(range(500))) == Ran(0, 0, 500)
        assert sum(api.asked.values()) == asked, "what is settled is not asked for again"
    assert all(api.faults[fault] > 0 for fault in FAULTS)
    assert rows(db, "select count(*), count(distinct id), count(distinct email) from auth.users") == [(500, 500, 500)]
    assert rows(db, "select count(*), count(distinct user_id) from auth.identities") == [(500, 500)]
    assert rows(db, "select state, made, count(*) from tenantry.account_request group by 1, 2") == [("done", True, 500)]


def test_each_refusal_is_listed_and_the_other_accounts_continue(api: Hosted, db: Connection) -> None:
    taken = uuid4()
    db.execute("insert into auth.users (id, email) values (%s, 'person2@example.org')", [taken])
    plan = [
        *actions(range(4)),
        AccountAction("create", "bad", AccountFields(id=uuid4(), email="no address")),
        AccountAction("update", "gone", AccountFields(id=uuid4(), email="x@example.org")),
        AccountAction("update", "u1", AccountFields(id=person(1).id, app_metadata={"super_admin": True})),
    ]
    with client_of(api) as client:
        assert run_actions(db, client, plan, batch=4) == Ran(4, 3, 0)
        assert [(one.source_key, one.kind, one.error_code) for one in refused(db)] == [
            ("bad", "create", "validation_failed"),
            ("gone", "update", "user_not_found"),
            ("u2", "create", "email_taken"),
        ]
        assert counts(db) == {"done": 4, "refused": 3}
        # The administrator frees the address; only what was refused is asked for again.
        db.execute("delete from auth.users where id = %s", [taken])
        assert run_actions(db, client, plan, again=True) == Ran(1, 2, 4)
    assert rows(db, "select count(*) from auth.users where raw_app_meta_data ? 'super_admin'") == [(1,)]


def test_people_are_invited_once_with_the_id_that_was_fixed(api: Hosted, db: Connection) -> None:
    api.fault = lambda number, _method, _path: FAULTS[number % 7] if number % 3 else "ok"
    plan = [AccountAction("invite", f"u{n}", person(n)) for n in range(12)]
    # One request at a time: with several, one of them could meet a fault at each of its tries.
    with client_of(api, replace(QUICK, in_flight=1)) as client:
        assert run_actions(db, client, plan) == Ran(12, 0, 0)
    assert set(api.mails.values()) == {1}
    assert len(api.mails) == 12
    got = {user for (user,) in rows(db, "select id from auth.users where invited_at is not null")}
    assert got == {person(n).id for n in range(12)}


def test_going_back_deletes_the_accounts_that_were_made_and_no_other(api: Hosted, db: Connection) -> None:
    # Existing accounts: one made by hand under the same id, and one whose answer is lost as well.
    for number in (3, 4):
        db.execute(
            "insert into auth.users (id, email, created_at) values (%s, %s, now() - interval '1 day')",
            [person(number).id, f"person{number}@example.org"],
        )
    stranger = uuid4()
    db.execute("insert into auth.users (id, email) values (%s, 'stranger@example.org')", [stranger])
    api.fault = lambda number, method, _path: "drop after" if method == "POST" and number % 2 else "ok"
    with client_of(api, RequestPace(rate=5000, in_flight=1, wait=0.001)) as client:
        run_actions(db, client, actions(range(10)))
        run_actions(db, client, [AccountAction("update", "u3", AccountFields(id=person(3).id, role="authenticated"))])
        assert rows(db, "select count(*) from auth.users") == [(11,)]
        assert undo_actions(db, client, batch=3) == 8
        left = {user for (user,) in rows(db, "select id from auth.users")}
        assert left == {person(3).id, person(4).id, stranger}
        assert undo_actions(db, client) == 0
        # And forward again.
        assert run_actions(db, client, actions(range(10))) == Ran(8, 0, 2)
        assert undo_actions(db, client) == 8


def test_an_account_with_a_lost_answer_is_deleted_by_rollback(api: Hosted, db: Connection) -> None:
    with client_of(api) as client:
        run_actions(db, client, actions(range(3)))
        db.execute("update tenantry.account_request set state = 'sent', made = false where source_key in ('u0', 'u1')")
        db.execute("update auth.users set created_at = now() - interval '2 days' where id = %s", [person(1).id])
        assert undo_actions(db, client) == 2
    assert rows(db, "select id from auth.users") == [(person(1).id,)], "it was there long before it was asked for"


def test_a_server_that_is_down_stops_the_run_where_it_is(api: Hosted, db: Connection) -> None:
    api.fault = lambda number, _method, _path: "ok" if number <= 50 else "error before"
    with client_of(api, RequestPace(rate=5000, tries=3, wait=0.001, longest_wait=0.01)) as client:
        with pytest.raises(AuthUnreachable) as error:
            run_actions(db, client, actions(range(200)), batch=40)
        assert "HTTP 500 unexpected_failure" in error.value.message
        assert rows(db, "select count(*) from auth.users") == [(50,)]
        asked = sum(api.asked.values())
        assert asked < 50 + 40, "the rest of the batch is not tried"
        api.fault = lambda _number, _method, _path: "ok"
        assert run_actions(db, client, actions(range(200))) == Ran(150, 0, 50)


def test_only_one_process_works_on_the_list(api: Hosted, db: Connection, database: Database) -> None:
    def second() -> Iterator[AccountAction]:
        with database.connect() as other, client_of(api) as client, pytest.raises(RunInProgress):
            run_actions(other, client, actions(range(1)))
        yield from actions(range(1))

    with client_of(api) as client:
        assert run_actions(db, client, second()) == Ran(1, 0, 0)
        with pytest.raises(JournalMismatch):
            run_actions(db, client, [AccountAction("create", "u0", person(99))])
    with pytest.raises(SettingsError):
        AccountAction("create", "u0", AccountFields(email="x@example.org"))


# -- killed --------------------------------------------------------------------------------------------------------------

_CHILD = """
import sys, psycopg
from tenantry.errors import TenantryError
from tenantry.auth_admin.actions import run_actions
from tenantry.auth_admin.client import AdminClient
from tenantry.auth_admin.values import RequestPace
from tests.integration.auth_admin.test_admin_api import actions
dsn, url, key = sys.stdin.read().split("\\n")[:3]
print("ready", flush=True)
try:
    with psycopg.connect(dsn, autocommit=True) as connection, AdminClient(url, key, pace=RequestPace(rate=400, in_flight=4)) as client:
        run_actions(connection, client, actions(range(300)), batch=100)
except TenantryError as error:
    print(error.code, error.message)
    sys.exit(error.exit_code)
"""


def child(database: Database, api: Hosted) -> subprocess.Popen[str]:
    """A process that makes 300 accounts. The key comes on stdin, since command lines are visible to everyone."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{database.dsn}\n{api.url}\n{KEY}\n")
    process.stdin.close()
    process.stdin = None
    assert process.stdout.readline() == "ready\n"
    return process


def at_request(api: Hosted, number: int, process: subprocess.Popen[str], what: signal.Signals) -> None:
    """Signal the process when its n-th request was carried out and not yet answered."""
    once = threading.Lock()

    def watch(_: int) -> None:
        if sum(api.asked.values()) >= number and once.acquire(blocking=False):
            os.kill(process.pid, what)

    api.watch = watch


def test_a_killed_run_is_resumed(api: Hosted, db: Connection, database: Database) -> None:
    killed_at = itertools.count(70, 90)
    for _ in range(2):
        process = child(database, api)
        at_request(api, next(killed_at), process, signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
        assert process.stdout is not None
        process.stdout.close()
    sent = counts(db)["sent"]
    assert sent >= 1, "something was on its way"
    api.watch = lambda _: None
    with client_of(api) as client:
        # The lock goes with the killed process's connection.
        ran = run_actions(db, client, actions(range(300)))
    assert ran.done + ran.before == 300
    assert ran.before > 0
    assert rows(db, "select count(*), count(distinct id) from auth.users") == [(300, 300)]
    assert rows(db, "select count(*) from tenantry.account_request where state = 'done' and made") == [(300,)]
    with client_of(api) as client:
        assert undo_actions(db, client) == 300
    assert rows(db, "select count(*) from auth.users") == [(0,)]


def test_ctrl_c_leaves_a_resumable_list(api: Hosted, db: Connection, database: Database) -> None:
    process = child(database, api)
    at_request(api, 50, process, signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said[:6]) == (RunInterrupted.exit_code, "TN-406"), said
    assert "Traceback" not in said
    after = rows(db, "select count(*) from auth.users")[0][0]
    assert after < 300
    assert counts(db)["done"] == after, "what was on its way was waited for and noted"
    api.watch = lambda _: None
    with client_of(api) as client:
        assert run_actions(db, client, actions(range(300))) == Ran(300 - after, 0, after)
    assert rows(db, "select count(*) from auth.users") == [(300,)]


def test_a_stopped_client_ends_its_waits(api: Hosted) -> None:
    api.fault = lambda _number, _method, _path: "error before"
    with client_of(api, RequestPace(rate=1000, wait=3600, longest_wait=3600)) as client:
        threading.Timer(0.2, client.stop).start()
        with pytest.raises(RunInterrupted):
            client.create(person(1))
    assert timedelta(seconds=client.pace.wait) > timedelta(minutes=1)
