"""People of a migration sign in: with the password that they had, or by their mail; and what others are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, running_server
from tests.integration.accounts.test_users import ARGON2, BCRYPT, FIREBASE, MERGE, Account, Case, User, people_world
from tests.integration.auth.mailed import Mailed, served_over
from tests.migrate_support import clone_finished, rows

OLD, OF_FIREBASE, NEW = "an old password", "mytestpassword", "correct horse"
DEAR = bcrypt.hashpw(OLD.encode(), bcrypt.gensalt(6)).decode().replace("$2b$", "$2y$")
USERS = (
    'link = [{ column = "auth_id" }, "email"]\npassword = "password_hash"\nverified = "s.email_verified"\n'
    'deleted = "s.deleted_at is not null"\nif_deleted = "ban"\notherwise = "create"\nunusable = "invite"\n'
)
LINKED, BANNED, GONE = (f"a0000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))


def person(name: str, hashed: str | None = None, *, verified: bool = True, **more: Any) -> User:
    return User(name, f"{name}@mail.example", password_hash=hashed, email_verified=verified, **more)


PEOPLE = (
    person("bcrypt", BCRYPT),
    person("dear", DEAR),
    person("argon2", ARGON2),
    person("firebase", FIREBASE),
    person("unconfirmed", BCRYPT, verified=False),
    person("other", "pbkdf2_sha256$600000$abc$def="),
    person("nothing", verified=False),
    person("deleted", BCRYPT, deleted_at="2024-03-01"),
    person("linked"),
    person("banned"),
    person("gone"),
)
ACCOUNTS = (
    Account(LINKED, "linked@mail.example", app='{"provider": "github", "providers": ["github"]}'),
    Account(BANNED, "banned@mail.example", banned_until="2999-01-01"),
    Account(GONE, "gone@mail.example", deleted=True),
)


class Visitor:
    """Requests of one person, without an official client."""

    def __init__(self, served: Mailed, http: httpx.Client) -> None:
        self.served, self.http = served, http

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.request(method, f"{self.served.url}{path}", json=body, headers=headers)

    def password(self, name: str, password: str = OLD) -> tuple[int, str]:
        """Return the answer to a sign-in: 200 and the account's id, or status and code."""
        email = name if "@" in name else f"{name}@mail.example"
        answer = self.call("POST", "/token?grant_type=password", {"email": email, "password": password})
        body = answer.json()
        return answer.status_code, body["user"]["id"] if answer.status_code == 200 else body["error_code"]

    def by_mail(self, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        """Ask for a mail, and sign in with the code in it."""
        answer = self.call("POST", path, body, token)
        assert answer.status_code == 200, answer.text
        code = self.served.mailbox.mail(body["email"]).codes[0]
        kind = {"/recover": "recovery", "/resend": "signup", "/invite": "invite"}[path]
        signed_in = self.call("POST", "/verify", {"type": kind, "email": body["email"], "token": code})
        assert signed_in.status_code == 200, signed_in.text
        found: dict[str, Any] = signed_in.json()
        return found

    def chooses(self, session: dict[str, Any], password: str) -> None:
        answer = self.call("PUT", "/user", {"password": password}, session["access_token"])
        assert answer.status_code == 200, answer.text


def hashes(database: Database) -> dict[str, str | None]:
    return dict(rows(database, "select split_part(email, '@', 1), encrypted_password from auth.users"))


def test_people_sign_in_with_the_password_that_they_had(database: Database, tmp_path: Path) -> None:
    with people_world(database, tmp_path, USERS, MERGE, (Case("", PEOPLE, {}, ACCOUNTS),)) as world:
        world.run()
        before = hashes(database)
        with served_over(database) as served, httpx.Client(timeout=30) as http:
            visitor = Visitor(served, http)
            _with_the_password_that_they_had(visitor, database, before)
            _by_their_mail(visitor)
            _not_at_all(visitor)


def _with_the_password_that_they_had(visitor: Visitor, database: Database, before: dict[str, str | None]) -> None:
    for name, password in (("bcrypt", OLD), ("dear", OLD), ("argon2", OLD), ("firebase", OF_FIREBASE)):
        assert visitor.password(name, "wrong") == (400, "invalid_credentials"), name
        assert hashes(database)[name] == before[name], name
        assert visitor.password(name, password)[0] == 200, name
    once = hashes(database)
    assert once["bcrypt"] == before["bcrypt"], "its cost is that of new hashes"
    for name, password in (("dear", OLD), ("argon2", OLD), ("firebase", OF_FIREBASE)):
        stored = once[name]
        assert stored is not None and stored.startswith("$2b$04$"), name
        assert bcrypt.checkpw(password.encode(), stored.encode())
        assert visitor.password(name, password)[0] == 200, name
    assert hashes(database) == once, "rehashed once"


def _by_their_mail(visitor: Visitor) -> None:
    assert visitor.password("unconfirmed") == (400, "email_not_confirmed")
    confirmed = visitor.by_mail("/resend", {"type": "signup", "email": "unconfirmed@mail.example"})
    assert confirmed["user"]["email_confirmed_at"]
    assert visitor.password("unconfirmed")[0] == 200
    # A hash of another kind is not kept: their mail leads to a new password.
    assert visitor.password("other") == (400, "invalid_credentials")
    visitor.chooses(visitor.by_mail("/recover", {"email": "other@mail.example"}), NEW)
    assert visitor.password("other", NEW)[0] == 200
    # Those who are to be invited.
    assert visitor.password("nothing") == (400, "invalid_credentials")
    invited = visitor.by_mail("/invite", {"email": "nothing@mail.example"}, visitor.served.service)
    assert invited["user"]["invited_at"] and invited["user"]["email_confirmed_at"]
    visitor.chooses(invited, NEW)
    assert visitor.password("nothing", NEW) == (200, invited["user"]["id"])
    # An account that was there before, without a password, and with nulls where others have empty texts.
    assert visitor.password("linked") == (400, "invalid_credentials")
    linked = visitor.by_mail("/recover", {"email": "linked@mail.example"})
    assert linked["user"]["id"] == LINKED
    visitor.chooses(linked, NEW)
    assert visitor.password("linked", NEW) == (200, LINKED)


def _not_at_all(visitor: Visitor) -> None:
    for name in ("deleted", "banned", "gone", "nobody"):
        assert visitor.password(name) == (400, "invalid_credentials"), name
    for name in ("deleted", "banned"):
        assert visitor.call("POST", "/recover", {"email": f"{name}@mail.example"}).status_code == 200
        code = visitor.served.mailbox.mail(f"{name}@mail.example").codes[0]
        answer = visitor.call("POST", "/verify", {"type": "recovery", "email": f"{name}@mail.example", "token": code})
        assert (answer.status_code, answer.json()["error_code"]) == (403, "user_banned"), name
    assert visitor.call("POST", "/recover", {"email": "gone@mail.example"}).status_code == 200
    with pytest.raises(AssertionError, match="no mail"):
        visitor.served.mailbox.mail("gone@mail.example", patience=0.2)


def test_people_of_clinic_sign_in_where_profiles_follow_accounts(servers: dict[int, EmbeddedServer]) -> None:
    with (
        clone_finished(running_server(servers, 18)) as database,
        served_over(database) as served,
        httpx.Client(timeout=30) as http,
    ):
        _people_of_clinic(Visitor(served, http), database)


def _people_of_clinic(visitor: Visitor, database: Database) -> None:
    (first, account), (second, _), (third, _) = rows(
        database, "select u.email, u.id::text from auth.users u join clinic.profiles p on p.auth_user_id = u.id order by 1 limit 3"
    )  # fmt: skip
    profiles = "select count(*) from clinic.profiles"
    before = rows(database, profiles)
    assert visitor.password(first) == (400, "invalid_credentials")
    session = visitor.by_mail("/recover", {"email": first})
    visitor.chooses(session, NEW)
    assert visitor.password(first, NEW) == (200, account)
    visitor.chooses(visitor.by_mail("/invite", {"email": second}, visitor.served.service), NEW)
    assert visitor.password(second, NEW)[0] == 200
    assert rows(database, profiles) == before
    # Somebody new was invited by a clinic: with the confirmed address they have a profile and a membership.
    guest = "new.colleague@mail.example"
    with database.connect() as owner:
        owner.execute(
            "insert into clinic.clinic_invitations (clinic_id, email, role, token_hash)"
            " select id, %s, 'staff', sha256('x') from clinic.clinics where status = 'active' order by id limit 1",
            [guest],
        )
    made = visitor.call("POST", "/signup", {"email": guest, "password": NEW, "data": {"full_name": "New Colleague"}})
    assert made.status_code == 200, made.text
    membership = (
        "select p.name, m.role::text from clinic.profiles p join clinic.user_clinic_roles m on m.profile_id = p.id"
        " where p.email = %s and m.is_active"
    )
    assert rows(database, membership, [guest]) == []
    code = visitor.served.mailbox.mail(guest).codes[0]
    joined = visitor.call("POST", "/verify", {"type": "signup", "email": guest, "token": code})
    assert joined.status_code == 200, joined.text
    assert rows(database, membership, [guest]) == [("New Colleague", "staff")]
    # Administrators ban, and delete: the profile is told.
    admin = visitor.served.service
    banned = visitor.call("PUT", f"/admin/users/{account}", {"ban_duration": "1h"}, admin)
    assert banned.status_code == 200, banned.text
    assert visitor.password(first, NEW) == (400, "user_banned")
    own = visitor.call("GET", "/user", token=session["access_token"])
    assert (own.status_code, own.json()["error_code"]) == (403, "user_banned")
    assert visitor.call("DELETE", f"/admin/users/{account}", token=admin).status_code == 200
    assert visitor.password(first, NEW) == (400, "invalid_credentials")
    gone = rows(database, "select auth_user_id, deleted_at is not null from clinic.profiles where email = %s", [first])
    assert gone == [(None, True)]
    assert rows(database, profiles) == [(before[0][0] + 1,)]
    assert visitor.password(third) == (400, "invalid_credentials")
