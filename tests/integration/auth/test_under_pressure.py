"""Many sign-ups at once, a database that restarts, a mail server that is dead, no free connection: clear answers, and nobody is lost."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tenantry.postgres import EmbeddedServer
from tests.conftest import SERVER_SETTINGS, Database
from tests.integration.auth.mailed import Mailed, served_over
from tests.integration.auth.sign_in import Studio, ok, refused
from tests.migrate_support import rows

PASSWORD = "correct horse"
MANY = 100


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[EmbeddedServer]:
    """A server that a test may stop."""
    folder = Path(os.environ["TENANTRY_TEST_SERVERS"]) / f"own-{os.getpid()}"
    folder.mkdir()
    folder.chmod(0o755)
    with EmbeddedServer(folder, version=18, settings=SERVER_SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def database(own_postgres: EmbeddedServer) -> Database:
    with psycopg.connect(own_postgres.dsn(), autocommit=True) as admin:
        admin.execute("create database pressure")
    return Database(own_postgres, "pressure")


@pytest.fixture(scope="module")
def served(database: Database) -> Iterator[Mailed]:
    with served_over(database) as made:
        yield made


@pytest.fixture
def http(served: Mailed) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


def sign_up_all(served: Mailed, emails: list[str]) -> list[httpx.Response]:
    """Send all sign-ups at once, each on a connection of its own."""

    async def send() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=limits) as client:
            bodies = [{"email": email, "password": PASSWORD} for email in emails]
            return await asyncio.gather(*(client.post("/signup", json=body) for body in bodies))

    return asyncio.run(send())


def confirm(served: Mailed, http: httpx.Client, email: str) -> None:
    """Confirm an address by its newest mail, and sign in with the password."""
    code = served.mailbox.mail(email).codes[0]
    answer = http.post("/verify", json={"type": "signup", "email": email, "token": code})
    assert answer.status_code == 200, answer.text
    signed_in = http.post("/token?grant_type=password", json={"email": email, "password": PASSWORD})
    assert signed_in.status_code == 200, signed_in.text


def said(answer: httpx.Response) -> tuple[int, str]:
    body: dict[str, Any] = answer.json()
    return answer.status_code, str(body.get("error_code", ""))


def test_a_hundred_sign_ups_at_once_make_a_hundred_accounts(
    served: Mailed, database: Database, http: httpx.Client
) -> None:
    emails = [f"many{n}@mail.example" for n in range(MANY)]
    answers = sign_up_all(served, emails)
    assert Counter(map(said, answers)) == {(200, ""): MANY}
    assert sorted(each.json()["email"] for each in answers) == sorted(emails)
    made = "select count(*), count(distinct u.id) from auth.users as u join auth.identities as i on i.user_id = u.id where u.email like 'many%%'"
    assert rows(database, made) == [(MANY, MANY)]
    for email in emails[::10]:
        confirm(served, http, email)
    for email in emails:
        if email not in emails[::10]:
            assert served.mailbox.mail(email).codes
    # One address, asked for at once: one account, and no answer tells which request made it.
    answers = sign_up_all(served, ["same@mail.example"] * 20)
    assert Counter(map(said, answers)) == {(200, ""): 20}
    assert rows(database, "select count(*) from auth.users where email = 'same@mail.example'") == [(1,)]


def test_a_restart_of_the_database_loses_nobody(database: Database, own_postgres: EmbeddedServer) -> None:
    with served_over(database, wait_seconds=2) as served, httpx.Client(base_url=served.url, timeout=30) as http:
        _restart(served, database, own_postgres, http)


def _restart(served: Mailed, database: Database, own_postgres: EmbeddedServer, http: httpx.Client) -> None:
    emails = [f"restart{n}@mail.example" for n in range(20)]

    async def storm() -> Counter[tuple[int, str]]:
        """Sign up until each was told that it worked, while the database server restarts."""
        seen: Counter[tuple[int, str]] = Counter()

        async def persist(client: httpx.AsyncClient, email: str) -> None:
            for _ in range(200):
                answer = await client.post("/signup", json={"email": email, "password": PASSWORD})
                seen[said(answer)] += 1
                if answer.status_code == 200:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(f"{email} cannot sign up")

        async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
            waiting = [asyncio.create_task(persist(client, email)) for email in emails]
            await asyncio.sleep(0.05)
            await asyncio.to_thread(own_postgres.stop)
            assert (await client.get("/health")).status_code == 200
            down = await client.get("/ready")
            assert said(down) == (503, "unexpected_failure")
            await asyncio.to_thread(own_postgres.start)
            await asyncio.gather(*waiting)
        return seen

    seen = asyncio.run(storm())
    assert set(seen) <= {(200, ""), (503, "unexpected_failure")}, seen
    assert seen[200, ""] == len(emails)
    for email in emails:
        _confirm_by_any(served, http, email)


def _confirm_by_any(served: Mailed, http: httpx.Client, email: str) -> None:
    """A sign-up whose answer was lost has sent a mail too: its code does not count any more where another came."""
    for _ in range(5):
        code = served.mailbox.mail(email).codes[0]
        if http.post("/verify", json={"type": "signup", "email": email, "token": code}).status_code == 200:
            break
    body = {"email": email, "password": PASSWORD}
    assert http.post("/token?grant_type=password", json=body).status_code == 200


def test_connections_that_ended_while_nobody_used_them_are_not_given_out(
    served: Mailed, database: Database, http: httpx.Client
) -> None:
    ended = "select pg_terminate_backend(pid, 30000) from pg_stat_activity where usename like 'tenantry_auth%%'"
    begun = time.monotonic()
    for _ in range(3):
        assert all(done for (done,) in rows(database, ended))
        assert [http.get("/ready").status_code for _ in range(4)] == [200] * 4
    assert time.monotonic() - begun < 20, "without pauses between attempts"


def test_connections_to_a_standby_are_replaced_after_a_failover(
    served: Mailed, database: Database, http: httpx.Client
) -> None:
    body = {"email": "failover@mail.example", "password": PASSWORD}
    reconnect = "select pg_terminate_backend(pid, 30000) from pg_stat_activity where usename like 'tenantry_auth%%'"
    with database.connect() as owner:
        owner.execute("alter database pressure set default_transaction_read_only = on")
        owner.execute(reconnect)
        assert said(http.post("/signup", json=body)) == (503, "unexpected_failure")
        owner.execute("alter database pressure reset default_transaction_read_only")
    answers = [said(http.post("/signup", json=body)) for _ in range(8)]
    assert answers[-1] == (200, "") and set(answers) <= {(200, ""), (503, "unexpected_failure")}


def test_a_dead_mail_server_delays_the_mail_and_nothing_else(served: Mailed, http: httpx.Client) -> None:
    with served.mailbox.dead():
        begun = time.monotonic()
        made = http.post("/signup", json={"email": "patient@mail.example", "password": PASSWORD})
        assert said(made) == (200, "")
        assert made.json()["confirmation_sent_at"]
        again = http.post("/resend", json={"type": "signup", "email": "patient@mail.example"})
        assert said(again) == (200, "")
        assert time.monotonic() - begun < 10, "nobody waits for the mail server"
    codes = [served.mailbox.mail("patient@mail.example").codes[0] for _ in range(2)]
    verify = {"type": "signup", "email": "patient@mail.example"}
    assert 200 in [http.post("/verify", json={**verify, "token": code}).status_code for code in codes]


def test_where_too_many_mails_wait_nothing_is_begun_that_needs_one(sign_in: Studio) -> None:
    token = sign_in.signed_up("there@mail.example")["access_token"]
    sign_in.outbox.room = len(sign_in.outbox.mails)
    late = {"email": "late@mail.example", "password": PASSWORD}
    asked = [
        sign_in.post("/signup", late),
        sign_in.post("/otp", {"email": "late@mail.example"}),
        sign_in.post("/recover", {"email": "there@mail.example"}),
        sign_in.post("/invite", {"email": "late@mail.example"}, sign_in.admin_token()),
        sign_in.call("PUT", "/user", {"email": "late@mail.example"}, token),
        sign_in.call("GET", "/reauthenticate", token=token),
    ]
    assert [refused(each) for each in asked] == [(429, "over_email_send_rate_limit")] * len(asked)
    listed = ok(sign_in.call("GET", "/admin/users", token=sign_in.admin_token()))["users"]
    assert [(each["email"], each.get("new_email"), each.get("recovery_sent_at")) for each in listed] == [
        ("there@mail.example", None, None)
    ]
    sign_in.outbox.room += 1
    assert ok(sign_in.post("/signup", late))["email"] == "late@mail.example"


def test_without_a_free_connection_requests_are_told_to_come_back(database: Database) -> None:
    with served_over(database, wait_seconds=2) as served, httpx.Client(base_url=served.url, timeout=30) as http:
        _crowded(served, database, http)


def _crowded(served: Mailed, database: Database, http: httpx.Client) -> None:
    http.post("/signup", json={"email": "held@mail.example", "password": PASSWORD})
    code = served.mailbox.mail("held@mail.example").codes[0]
    session = http.post("/verify", json={"type": "signup", "email": "held@mail.example", "token": code}).json()
    headers = {"Authorization": f"Bearer {session['access_token']}"}

    async def crowd() -> tuple[list[httpx.Response], httpx.Response, list[httpx.Response]]:
        async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
            with database.connect(autocommit=False) as holder:
                holder.execute("select from auth.users where email = 'held@mail.example' for update")
                busy = [
                    asyncio.create_task(client.put("/user", json={"data": {"n": n}}, headers=headers)) for n in range(5)
                ]
                await _blocked(database, 5)
                refused = await asyncio.gather(
                    client.post("/signup", json={"email": "crowd@mail.example", "password": PASSWORD}),
                    client.get("/user", headers=headers),
                )
                alive = await client.get("/health")
            return list(refused), alive, list(await asyncio.gather(*busy))

    refused, alive, busy = asyncio.run(crowd())
    assert alive.status_code == 200
    assert {said(each) for each in refused} == {(503, "unexpected_failure")}
    assert {said(each) for each in busy} <= {(200, ""), (409, "conflict")}
    assert rows(database, "select count(*) from auth.users where email = 'crowd@mail.example'") == [(0,)]
    assert said(http.post("/signup", json={"email": "crowd@mail.example", "password": PASSWORD})) == (200, "")
    confirm(served, http, "crowd@mail.example")


async def _blocked(database: Database, count: int) -> None:
    """Wait until so many requests wait for the lock."""
    with database.connect() as owner:
        for _ in range(2000):
            query = "select count(*) from pg_stat_activity where usename like 'tenantry_auth%%' and wait_event_type = 'Lock'"
            if (await asyncio.to_thread(owner.execute, query)).fetchone() == (count,):
                return
            await asyncio.sleep(0.005)
    raise AssertionError("no request waits for the lock")
