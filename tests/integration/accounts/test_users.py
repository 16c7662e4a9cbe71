"""What becomes of users: every situation that real systems have, with its end state in auth, profile, membership and report.

Each situation is one or two users of one organisation, with the accounts that are there before. All of a manifest's are migrated
together, forward, taken back to the byte, and forward again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import argon2
import bcrypt
import pytest

from tenantry.accounts.auth_schema import auth_script
from tenantry.accounts.link_file import LinkFileWrong, read_link_file
from tenantry.accounts.password_hashes import kind_of
from tenantry.accounts.situations import SITUATIONS, situation
from tenantry.derivation.ids import derive_id
from tenantry.errors import StepFailed, TenantryError
from tenantry.manifest import load_manifest
from tenantry.migrate.run.engine import Options
from tenantry.migrate.switch.rollback import roll_back
from tenantry.postgres import connect
from tests.conftest import Database
from tests.migrate_support import OWNER, carry_over, let_own, project_of, source_digest, verify_all

SOURCE = """
create schema old;
create table old.orgs (id text primary key, name text not null);
create table old.users (
    id text primary key, org_id text not null references old.orgs, email text, name text, role text not null,
    auth_id text, password_hash text, email_verified boolean not null default false, deleted_at timestamp, is_bot boolean,
    created_at timestamp(3) not null default '2024-01-01', updated_at timestamp(3) not null default '2024-02-01');
create table old.notes (id text primary key, org_id text not null references old.orgs, author_id text, body text not null);
insert into old.orgs values ('o1', 'North'), ('o2', 'South');
"""

TARGET = """
create type role as enum ('member', 'boss');
create table orgs (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, name text not null);
create table profiles (
    id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    auth_user_id uuid unique references auth.users (id), email text unique, name text not null default '',
    created_at timestamptz not null default now(), updated_at timestamptz not null default now());
create table members (
    org_id uuid not null references orgs (id), id uuid not null default gen_random_uuid(), legacy_id text not null,
    profile_id uuid not null references profiles (id), role role not null,
    primary key (org_id, id), unique (org_id, legacy_id), unique (org_id, profile_id));
create table notes (
    org_id uuid not null references orgs (id), id uuid not null default gen_random_uuid(), legacy_id text not null,
    author_id uuid references profiles (id), body text not null, primary key (org_id, id), unique (org_id, legacy_id));
"""

MANIFEST = """
name = "people"
[source]
schema = "old"
[target]
schema = "app"
files = ["*.sql"]
[ids]
namespace = "people"
[tenant]
table = "orgs"
column = "org_id"
[membership]
table = "members"
profile = "profile_id"
role = "role"
[roles]
order = ["member", "boss"]
[users]
from = "users"
profile = "profiles"
account = "auth_user_id"
email = "email"
super = "s.role = 'root'"
{users}
[tables.orgs]
from = "orgs"
access = {{ select = "member", insert = "super", update = "boss", delete = "super" }}
[tables.profiles]
from = "users"
{merge}
access = {{ select = {{ colleagues = "member", own = "id" }}, insert = "service", update = {{ own = "id" }}, delete = "service" }}
[tables.profiles.columns]
email = {{ as = "email", empty = "carry", invalid = "quarantine" }}
name = {{ from = "name", null = {{ default = "" }} }}
[tables.members]
from = "users"
part = "membership"
tenant = ["org_id"]
merge = {{ by = ["org_id", "profile_id"], keep = "role desc", reason = "two users of one person" }}
access = {{ select = "member", insert = "service", update = "service", delete = "service" }}
[tables.members.columns]
profile_id = {{ from = "id", ref = "profiles" }}
role = {{ map = {{ boss = "boss", hand = "member", root = "member" }} }}
[tables.notes]
from = "notes"
tenant = ["org_id"]
access = "tenant"
[tables.notes.columns]
author_id = {{ from = "author_id", ref = "profiles" }}
"""

MERGE = 'merge = { by = ["email"], keep = "created_at, legacy_id", reason = "same address" }'
FIRST = 'link = [{ column = "auth_id" }, "email"]\npassword = "password_hash"\nverified = "s.email_verified"\n'

BCRYPT = bcrypt.hashpw(b"an old password", bcrypt.gensalt(4)).decode()
ARGON2 = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("an old password")
FIREBASE = (
    "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw=="
    "$C0sHCg9ek77hsg==$zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw=="
)
A1 = "a0000000-0000-4000-8000-00000000000"


@dataclass(frozen=True)
class User:
    id: str
    email: str | None
    auth_id: str | None = None
    password_hash: str | None = None
    email_verified: bool = False
    deleted_at: str | None = None
    is_bot: bool | None = None
    role: str = "hand"
    created_at: str = "2024-01-01"

    @property
    def row(self) -> tuple[Any, ...]:
        return (self.id, "o1", self.email, f"name of {self.id}", self.role, self.auth_id, self.password_hash,
                self.email_verified, self.deleted_at, self.is_bot, self.created_at)  # fmt: skip


@dataclass(frozen=True)
class Account:
    id: str
    email: str | None
    confirmed: bool = True
    banned_until: str | None = None
    deleted: bool = False
    sso: bool = False
    anonymous: bool = False
    app: str | None = '{"provider": "email"}'


@dataclass(frozen=True)
class Case:
    """A situation: the existing people, and for each user the decision and the account that their profile names at the end.

    Attributes:
        ends: by user: (situation, account). An account is an id, 'made', None, 'quarantined' (no profile), or 'merged'.
        check: by account that was made: columns of auth.users and their values.
    """

    name: str
    users: tuple[User, ...]
    ends: dict[str, tuple[str, str | None]]
    accounts: tuple[Account, ...] = ()
    check: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, str | None] = field(default_factory=dict)


def _a(number: int) -> str:
    return f"a0000000-0000-4000-8000-{number:012d}"


NOW_MERGED = (
    Case("no account", (User("u1", "u1@x.example"),), {"u1": ("created", "made")},
         check={"u1": {"email": "u1@x.example", "encrypted_password": "", "email_confirmed_at": None}}, roles={"u1": "member"}),
    Case("no account, address verified before", (User("u2", "u2@x.example", email_verified=True),), {"u2": ("created", "made")},
         check={"u2": {"email_confirmed_at is not null": True, "raw_user_meta_data ->> 'email_verified'": "true"}}),
    Case("address in capitals and with blanks", (User("u3", "  U3@X.Example "),), {"u3": ("created", "made")},
         check={"u3": {"email": "u3@x.example"}}),
    Case("bcrypt", (User("u4", "u4@x.example", password_hash=BCRYPT, email_verified=True),),
         {"u4": ("created_with_password", "made")}, check={"u4": {"encrypted_password": BCRYPT}}),
    Case("argon2", (User("u5", "u5@x.example", password_hash=ARGON2, email_verified=True),),
         {"u5": ("created_with_password", "made")}, check={"u5": {"encrypted_password": ARGON2}}),
    Case("firebase scrypt", (User("u6", "u6@x.example", password_hash=FIREBASE),),
         {"u6": ("created_with_password", "made")}, check={"u6": {"encrypted_password": FIREBASE}}),
    Case("hash of another kind", (User("u7", "u7@x.example", password_hash="pbkdf2_sha256$600000$abc$def="),),
         {"u7": ("created", "made")}, check={"u7": {"encrypted_password": ""}}),
    Case("password in plain text is never kept", (User("u8", "u8@x.example", password_hash="hunter2"),),
         {"u8": ("created", "made")}, check={"u8": {"encrypted_password": ""}}),
    Case("bcrypt cut off", (User("u9", "u9@x.example", password_hash=BCRYPT[:-1]),), {"u9": ("created", "made")}),
    Case("confirmed account", (User("u10", "u10@x.example"),), {"u10": ("linked_by_email", _a(10))},
         (Account(_a(10), "u10@x.example"),)),
    Case("confirmed account, address in capitals", (User("u11", " U11@X.EXAMPLE"),), {"u11": ("linked_by_email", _a(11))},
         (Account(_a(11), "u11@x.example"),)),
    Case("unconfirmed account", (User("u12", "u12@x.example"),), {"u12": ("account_unconfirmed", None)},
         (Account(_a(12), "u12@x.example", confirmed=False),)),
    Case("banned account", (User("u13", "u13@x.example"),), {"u13": ("linked_banned", _a(13))},
         (Account(_a(13), "u13@x.example", banned_until="2999-01-01"),)),
    Case("ban that is over", (User("u14", "u14@x.example"),), {"u14": ("linked_by_email", _a(14))},
         (Account(_a(14), "u14@x.example", banned_until="2020-01-01"),)),
    Case("deleted account that holds the address", (User("u15", "u15@x.example"),), {"u15": ("account_deleted", None)},
         (Account(_a(15), "u15@x.example", deleted=True),)),
    Case("account of single sign-on with the address", (User("u16", "u16@x.example"),), {"u16": ("created", "made")},
         (Account(_a(16), "u16@x.example", sso=True),)),
    Case("anonymous account with the address", (User("u17", "u17@x.example"),), {"u17": ("account_unconfirmed", None)},
         (Account(_a(17), "u17@x.example", anonymous=True),)),
    Case("column names the account", (User("u18", "u18@x.example", auth_id=_a(18)),), {"u18": ("linked_by_column", _a(18))},
         (Account(_a(18), "other18@x.example"),)),
    Case("column in capitals and with blanks", (User("u19", "u19@x.example", auth_id=f" {_a(19).upper()} "),),
         {"u19": ("linked_by_column", _a(19))}, (Account(_a(19), "u19@x.example", confirmed=False),)),
    Case("column names the account of single sign-on", (User("u20", "u20@x.example", auth_id=_a(20)),),
         {"u20": ("linked_by_column", _a(20))}, (Account(_a(20), "u20@x.example", sso=True),)),
    Case("column names no account", (User("u21", "u21@x.example", auth_id=_a(21)),), {"u21": ("created", "made")}),
    Case("column holds no uuid", (User("u22", "u22@x.example", auth_id="auth0|22"),), {"u22": ("created", "made")}),
    Case("column names none, the address does", (User("u23", "u23@x.example", auth_id="auth0|23"),),
         {"u23": ("linked_by_email", _a(23))}, (Account(_a(23), "u23@x.example"),)),
    Case("column before address", (User("u24", "u24@x.example", auth_id=_a(24)),), {"u24": ("linked_by_column", _a(24))},
         (Account(_a(24), "other24@x.example"), Account(_a(124), "u24@x.example"))),
    Case("column names a deleted account", (User("u25", "u25@x.example", auth_id=_a(25)),), {"u25": ("created", "made")},
         (Account(_a(25), "other25@x.example", deleted=True),)),
    Case("two users name one account", (User("u26", "u26@x.example", auth_id=_a(26)), User("u26b", "u26b@x.example", auth_id=_a(26))),
         {"u26": ("linked_by_column", _a(26)), "u26b": ("account_taken", None)}, (Account(_a(26), "u26@x.example"),)),
    Case("one by column, another by address", (User("u27", "u27@x.example", auth_id=_a(27)), User("u27b", "u27b@x.example")),
         {"u27": ("account_taken", None), "u27b": ("linked_by_email", _a(27))}, (Account(_a(27), "u27b@x.example"),)),
    Case("one person twice, by case", (User("u28", "u28@x.example"), User("u28b", "U28@x.example", created_at="2024-01-02")),
         {"u28": ("created", "made"), "u28b": ("created", "merged")}),
    Case("one person twice, with an account", (User("u29", "u29@x.example"), User("u29b", "U29@x.example", created_at="2024-01-02")),
         {"u29": ("linked_by_email", _a(29)), "u29b": ("linked_by_email", "merged")}, (Account(_a(29), "u29@x.example"),)),
    Case("one person twice, with two roles", (User("u30", "u30@x.example"), User("u30b", "U30@x.example", role="boss")),
         {"u30": ("created", "made"), "u30b": ("created", "merged")}, roles={"u30": "boss"}),
    Case("no address", (User("u31", None),), {"u31": ("email_missing", None)}),
    Case("empty address", (User("u32", "   "),), {"u32": ("email_missing", None)}),
    Case("address that is none", (User("u33", "u33 at x"),), {"u33": ("email_invalid", "quarantined")}),
    Case("no address, but a column", (User("u34", None, auth_id=_a(34)),), {"u34": ("linked_by_column", _a(34))},
         (Account(_a(34), "u34@x.example"),)),
    Case("plus sign and dots are no case of spelling", (User("u35", "u.35+a@x.example"),), {"u35": ("created", "made")},
         (Account(_a(35), "u35@x.example"),)),
    Case("super admin", (User("u36", "u36@x.example", role="root"),), {"u36": ("created", "made")},
         check={"u36": {"raw_app_meta_data ->> 'super_admin'": "true"}}),
    Case("super admin with an account", (User("u37", "u37@x.example", role="root"),), {"u37": ("linked_by_email", _a(37))},
         (Account(_a(37), "u37@x.example"),), check={"u37": {"raw_app_meta_data ->> 'super_admin'": "true"}}),
    Case("super admin with an account without app_metadata", (User("u38", "u38@x.example", role="root"),),
         {"u38": ("linked_by_email", _a(38))}, (Account(_a(38), "u38@x.example", app=None),)),
    Case("super admin whose account says that he is none", (User("u39", "u39@x.example", role="root"),),
         {"u39": ("linked_by_email", _a(39))}, (Account(_a(39), "u39@x.example", app='{"super_admin": false}'),)),
    Case("old id is an account's, with the same address", (User(_a(40), "u40@x.example"),), {_a(40): ("linked_by_email", _a(40))},
         (Account(_a(40), "u40@x.example"),)),
    Case("old id is an account's, unconfirmed, with the same address", (User(_a(41), "u41@x.example"),),
         {_a(41): ("linked_by_id", _a(41))}, (Account(_a(41), "u41@x.example", confirmed=False),)),
    Case("old id is the account of somebody else", (User(_a(42), "u42@x.example"),), {_a(42): ("id_taken", None)},
         (Account(_a(42), "somebody@x.example"),)),
    Case("address of 255 characters", (User("u43", "a" * 245 + "@x.example"),), {"u43": ("email_invalid", "quarantined")}),
)  # fmt: skip
"""With the default decisions, and users of one address merged."""

DECIDED = (
    Case("system user", (User("v1", "v1@x.example", is_bot=True),), {"v1": ("system", None)}),
    Case("system user with an account", (User("v2", "v2@x.example", is_bot=True),), {"v2": ("system", None)},
         (Account(_a(202), "v2@x.example"),)),
    Case("deleted user", (User("v3", "v3@x.example", deleted_at="2024-03-01"),), {"v3": ("created_banned", "made")},
         check={"v3": {"banned_until > now()": True}}),
    Case("deleted user with an account", (User("v4", "v4@x.example", deleted_at="2024-03-01"),),
         {"v4": ("linked_by_email", _a(204))}, (Account(_a(204), "v4@x.example"),)),
    Case("banned account", (User("v5", "v5@x.example"),), {"v5": ("account_banned", None)},
         (Account(_a(205), "v5@x.example", banned_until="2999-01-01"),)),
    Case("nobody's account", (User("v7", "v7@x.example", password_hash=BCRYPT),), {"v7": ("to_invite", "made")},
         check={"v7": {"encrypted_password": ""}}),
    Case("file names the account", (User("v8", "v8@x.example"),), {"v8": ("linked_by_file", _a(208))},
         (Account(_a(208), "other208@x.example"),)),
    Case("file names an account that is not there", (User("v9", "v9@x.example"),), {"v9": ("to_invite", "made")}),
)  # fmt: skip
DECISIONS = """
link = [{ file = "accounts.csv" }, "email"]
otherwise = "invite"
system = "s.is_bot"
deleted = "s.deleted_at is not null"
if_deleted = "ban"
if_banned = "leave"
metadata = "jsonb_build_object('name', s.name)"
"""
ACCOUNTS = f"old,account\nv8,{_a(208)}\n\nv9,{_a(209)}\nnobody,{_a(210)}\n"

LEFT = (
    Case("left until sign-up", (User("w1", "w1@x.example"),), {"w1": ("left", None)}),
    Case("left, with an account", (User("w2", "w2@x.example"),), {"w2": ("linked_by_email", _a(302))},
         (Account(_a(302), "w2@x.example"),)),
    Case("deleted user", (User("w3", "w3@x.example", deleted_at="2024-03-01"),), {"w3": ("deleted", None)},
         (Account(_a(303), "w3@x.example"),)),
    Case("left, without an address", (User("w4", None),), {"w4": ("email_missing", None)}),
)  # fmt: skip

SHARED = (
    Case("two users of one address", (User("t6", "t6@x.example"), User("t6b", "T6@x.example")),
         {"t6": ("created", "made"), "t6b": ("email_shared", None)}),
)  # fmt: skip

KEPT = (
    Case("hash that can be kept", (User("x1", "x1@x.example", password_hash=BCRYPT),), {"x1": ("created_with_password", "made")}),
    Case("hash that cannot", (User("x2", "x2@x.example", password_hash="md5abc"),), {"x2": ("left_without_password", None)}),
    Case("no hash", (User("x3", "x3@x.example"),), {"x3": ("left_without_password", None)}),
)  # fmt: skip

TABLES = {
    "merged": (NOW_MERGED, FIRST, MERGE, ""),
    "decided": (DECIDED, DECISIONS, "", ACCOUNTS),
    "left": (LEFT, 'otherwise = "leave"\ndeleted = "s.deleted_at is not null"', MERGE, ""),
    "shared": (SHARED, "", "", ""),
    "kept": (KEPT, 'password = "password_hash"\nunusable = "leave"', MERGE, ""),
}


# -- the world ----------------------------------------------------------------------------------------------------------


@dataclass
class World:
    database: Database
    folder: Path

    @property
    def manifest_path(self) -> Path:
        return self.folder / "tenantry.toml"

    def run(self) -> None:
        carry_over(self.database, load_manifest(self.manifest_path), options=Options(workers=2))

    def take_back(self) -> None:
        roll_back(self.database.dsn_as(OWNER), load_manifest(self.manifest_path), everything=True)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as admin:
            return admin.execute(query.encode(), values or None).fetchall()


@contextmanager
def people_world(
    database: Database, folder: Path, users: str, merge: str, cases: tuple[Case, ...], accounts: str = ""
) -> Iterator[World]:
    # Where users of one address are not merged, the target must bear two of them.
    target = TARGET if merge else TARGET.replace("email text unique", "email text")
    folder.joinpath("app.sql").write_text(target, encoding="utf-8")
    if accounts:
        folder.joinpath("accounts.csv").write_text(accounts, encoding="utf-8")
    path = folder / "tenantry.toml"
    path.write_text(MANIFEST.format(users=users, merge=merge), encoding="utf-8")
    manifest = load_manifest(path)
    with database.connect() as admin:
        admin.execute(SOURCE.encode())
        with admin.cursor() as cursor:
            cursor.executemany(
                "insert into old.users (id, org_id, email, name, role, auth_id, password_hash, email_verified, deleted_at, is_bot,"
                " created_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [user.row for case in cases for user in case.users],
            )
            cursor.execute(
                "insert into old.notes select 'n-' || id, org_id, id, 'by ' || id from old.users where email is not null"
            )
    let_own(database, manifest, schema="old")
    with database.connect() as admin:
        admin.execute(f"grant usage on schema old to {OWNER}; grant create on schema old to {OWNER}".encode())
    with database.connect(user=OWNER) as owner:
        owner.execute(auth_script().encode())
        with owner.cursor() as cursor:
            cursor.executemany(
                "insert into auth.users (id, email, email_confirmed_at, banned_until, deleted_at, is_sso_user, is_anonymous,"
                " raw_app_meta_data) values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (each.id, each.email, "2024-01-01" if each.confirmed else None, each.banned_until,
                     "2024-01-02" if each.deleted else None, each.sso, each.anonymous, each.app)
                    for case in cases for each in case.accounts
                ],
            )  # fmt: skip
    yield World(database, folder)


def _before(world: World) -> tuple[object, object]:
    auth = world.ask(
        "select to_jsonb(u)::text from auth.users u union all select to_jsonb(i)::text from auth.identities i order by 1"
    )
    return source_digest(world.database, "old"), auth


def _made(user: str) -> str:
    return str(derive_id("people", "users/account", user))


def _check(world: World, cases: tuple[Case, ...]) -> None:
    decided = {
        row[0]: row[1:]
        for row in world.ask("select source_key, situation, account_id::text, made from tenantry.account_link")
    }
    profiles = dict(world.ask("select legacy_id, auth_user_id::text from app.profiles"))
    merged = dict(world.ask("select source_key, into_key from tenantry.merged where mapping = 'profiles'"))
    held = {
        row[0]
        for row in world.ask("select source_key from tenantry.quarantine where mapping = 'profiles' and state = 'open'")
    }
    roles = dict(
        world.ask("select p.legacy_id, m.role::text from app.members m join app.profiles p on p.id = m.profile_id")
    )
    wrong = []
    for case in cases:
        for user, (expected, account) in case.ends.items():
            found: str | None = profiles.get(user)
            if user in merged:
                found = "merged"
            elif user in held:
                found = "quarantined"
            wanted = _made(user) if account == "made" else account
            if (decided[user][0], found) != (expected, wanted):
                wrong.append(f"{case.name}: {user}: {decided[user]}, {found}; expected {expected}, {wanted}")
            there = world.ask("select count(*) from auth.users where id::text = %s", _made(user))[0][0]
            before = {each.id for each in case.accounts}
            if _made(user) not in before and (there == 1) != (account == "made"):
                wrong.append(f"{case.name}: {user}: {there} accounts were made")
        for user, columns in case.check.items():
            for column, value in columns.items():
                got = world.ask(f"select {column} from auth.users where id::text = %s", profiles[user])[0][0]
                if got != value:
                    wrong.append(f"{case.name}: {user}: {column} is {got!r}, not {value!r}")
        for user, role in case.roles.items():
            if roles.get(user) != role:
                wrong.append(f"{case.name}: {user} is {roles.get(user)}, not {role}")
    assert wrong == []
    # Every account that was made signs in by e-mail, as official clients see it, and none has a null where they want a text.
    assert (
        world.ask(
            "select u.email from auth.users u join tenantry.account_made a on a.account_id = u.id"
            " left join auth.identities i on i.user_id = u.id and i.provider = 'email' and i.email = u.email"
            " where i.id is null or u.confirmation_token is null or u.recovery_token is null or u.email_change is null"
            " or u.aud is distinct from 'authenticated' or u.instance_id is distinct from '00000000-0000-0000-0000-000000000000'"
        )
        == []
    )


@pytest.mark.parametrize("name", TABLES)
def test_every_situation_ends_as_it_should_there_back_and_there_again(
    name: str, database: Database, tmp_path: Path
) -> None:
    cases, users, merge, accounts = TABLES[name]
    with people_world(database, tmp_path, users, merge, cases, accounts) as world:
        before = _before(world)
        world.run()
        _check(world, cases)
        world.take_back()
        assert _before(world) == before
        assert world.ask("select count(*) from pg_namespace where nspname in ('app', 'tenantry')") == [(0,)]
        world.run()
        _check(world, cases)


def test_there_are_forty_situations_and_each_word_is_used() -> None:
    cases = [case for table in TABLES.values() for case in table[0]]
    assert len(cases) >= 40
    assert {end for case in cases for end, _ in case.ends.values()} == {each.name for each in SITUATIONS}
    assert all(situation(each.name) is each for each in SITUATIONS)


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("if_unconfirmed", Account(_a(1), "z1@x.example", confirmed=False)),
        ("if_banned", Account(_a(1), "z1@x.example", banned_until="2999-01-01")),
    ],
)
def test_where_the_manifest_wants_no_decision_the_run_refuses_and_names_the_users(
    key: str, account: Account, database: Database, tmp_path: Path
) -> None:
    cases = (Case("", (User("z1", "z1@x.example"),), {}, (account,)),)
    with people_world(database, tmp_path, f'{key} = "refuse"', MERGE, cases) as world:
        before = _before(world)
        with pytest.raises((StepFailed, TenantryError)) as caught:
            world.run()
        assert "1 users (z1)" in str(caught.value)
        assert f'{key} = "refuse"' in str(caught.value)
        world.take_back()
        assert _before(world) == before


# -- passwords ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hashed", "kind"),
    [
        (BCRYPT, "bcrypt"),
        (BCRYPT.replace("$2b$", "$2y$"), "bcrypt"),
        (ARGON2, "argon2"),
        (ARGON2.replace("argon2id", "argon2i"), "argon2"),
        (ARGON2.replace("argon2id", "argon2d"), None),
        (FIREBASE, "firebase scrypt"),
        (BCRYPT + " ", None),
        (BCRYPT.replace("$04$", "$99$"), None),
        ("", None),
        (None, None),
        ("$argon2id$v=19$m=65536,t=3,p=4$" + "A" * 300, None),
        ("5f4dcc3b5aa765d61d8327deb882cf99", None),
    ],
    ids=range(12),
)
def test_kinds_of_hashes_are_recognised_equally_in_sql(
    hashed: str | None, kind: str | None, database: Database
) -> None:
    from tenantry.accounts.password_hashes import usable_sql  # noqa: PLC0415

    assert kind_of(hashed) == kind
    with database.connect() as admin:
        query = f"select {usable_sql('h')} from (select %s::text) as v (h)"
        assert admin.execute(query.encode(), [hashed]).fetchone() == (kind is not None,)


# -- while the application writes ----------------------------------------------------------------------------------------


def test_users_that_change_during_the_run_are_decided_again(database: Database, tmp_path: Path) -> None:
    users = (User("y1", "y1@x.example"), User("y2", "y2@x.example"), User("y3", "y3@x.example"))
    accounts = (Account(_a(401), "new1@x.example"), Account(_a(404), "y4@x.example"))
    cases = (Case("", users, {}, accounts),)
    with people_world(database, tmp_path, FIRST, MERGE, cases) as world:
        world.run()
        with database.connect() as admin:
            admin.execute("update old.users set email = 'new1@x.example' where id = 'y1'")  # has an account
            admin.execute("update old.users set email = null where id = 'y2'")
            admin.execute("delete from old.notes where author_id = 'y3'")
            admin.execute("delete from old.users where id = 'y3'")
            admin.execute(
                "insert into old.users (id, org_id, email, role) values ('y4', 'o1', 'y4@x.example', 'boss'),"
                " ('y5', 'o2', 'y2@x.example', 'hand')"
            )
        world.run()
        with connect(database.dsn_as(OWNER)) as owner:
            project = project_of(database, load_manifest(world.manifest_path))
            assert [each for each in verify_all(owner, project, 1) if not each.passed] == []
        profiles = dict(world.ask("select legacy_id, auth_user_id::text from app.profiles"))
        assert profiles == {"y1": _a(401), "y2": None, "y4": _a(404), "y5": _made("y5")}
        mails = dict(world.ask("select id::text, email from auth.users"))
        assert mails == {_a(401): "new1@x.example", _a(404): "y4@x.example", _made("y5"): "y2@x.example"}


# -- the file -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header"),
        ("old\n", "no header"),
        ("old,account\nu1\n", "line 2"),
        ("old,account\nu1,not-a-uuid\n", "line 2: 'not-a-uuid' is not a uuid"),
        (f"old,account\nu1,{_a(1)}\nu1,{_a(2)}\n", "line 3: u1 is already assigned"),
    ],
)
def test_a_wrong_file_of_accounts_names_the_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LinkFileWrong, match=said):
        read_link_file(path)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkFileWrong, match="cannot be read"):
        read_link_file(tmp_path / "nowhere.csv")


def test_metadata_of_an_account_grants_nothing(database: Database, tmp_path: Path) -> None:
    cases = (Case("", (User("q1", "q1@x.example"),), {}, (Account(_a(501), "q1@x.example"),)),)
    with people_world(database, tmp_path, FIRST, MERGE, cases) as world:
        with database.connect() as admin:
            admin.execute(
                'update auth.users set raw_user_meta_data = \'{"super_admin": true, "role": "boss", "org_id": "o2"}\''
            )
        world.run()
        assert world.ask("select is_super from tenantry.account") == [(False,)]
        assert world.ask("select role::text from app.members") == [("member",)]


# -- rows whose user is unknown ------------------------------------------------------------------------------------------

ADMIN = (
    "(select u.id from old.users u where u.org_id = s.org_id and u.role = 'boss' order by u.created_at, u.id limit 1)"
)


@pytest.mark.parametrize(
    ("orphan", "author", "change"),
    [
        ('"quarantine"', "quarantined", None),
        ('"null"', None, ("ghost", None, "orphaned")),
        (f'{{ correct = "{ADMIN}" }}', "r1", ("ghost", "r1", "assigned")),
    ],
    ids=["quarantine", "null", "assign"],
)
def test_rows_of_an_unknown_user_go_where_the_manifest_says(
    orphan: str, author: str | None, change: tuple[str, str | None, str] | None, database: Database, tmp_path: Path
) -> None:
    users = (User("r1", "r1@x.example", role="boss"), User("r2", "r2@x.example"), User("r3", "no address"))
    with people_world(database, tmp_path, FIRST, MERGE, (Case("", users, {}),)) as world:
        text = world.manifest_path.read_text(encoding="utf-8")
        world.manifest_path.write_text(
            text.replace(
                'from = "author_id", ref = "profiles"', f'from = "author_id", ref = "profiles", orphan = {orphan}'
            ),
            encoding="utf-8",
        )
        with database.connect() as admin:
            admin.execute(
                "insert into old.notes values ('g1', 'o1', 'ghost', 'nobody knows'), ('g2', 'o1', null, 'nobody')"
            )
            before = admin.execute("select * from old.notes order by id").fetchall()
        world.run()
        authors = dict(
            world.ask("select n.legacy_id, p.legacy_id from app.notes n left join app.profiles p on p.id = n.author_id")
        )
        held = dict(
            world.ask("select source_key, reason from tenantry.quarantine where mapping = 'notes' and state = 'open'")
        )
        # A row whose user is in quarantine waits for that user, whatever the rule for orphans.
        assert held.pop("n-r3") == "parent_quarantined"
        assert authors["n-r1"] == "r1"
        assert authors["g2"] is None
        if author == "quarantined":
            assert held == {"g1": "reference_missing"}
        else:
            assert held == {}
            assert authors["g1"] == author
        noted = world.ask(
            "select original #>> '{}', rule from tenantry.change where mapping = 'notes' and column_name = 'author_id'"
        )
        assert noted == ([] if change is None else [(change[0], change[2])])
        with connect(database.dsn_as(OWNER)) as owner:
            project = project_of(database, load_manifest(world.manifest_path))
            assert [each for each in verify_all(owner, project, 1) if not each.passed] == []
        # Written meanwhile: the same rule.
        with database.connect() as admin:
            admin.execute("insert into old.notes values ('g3', 'o1', 'phantom', 'late')")
        world.run()
        found = world.ask(
            "select p.legacy_id from app.notes n left join app.profiles p on p.id = n.author_id where n.legacy_id = 'g3'"
        )
        assert found == ([] if author == "quarantined" else [(author,)])
        world.take_back()
        with database.connect() as admin:
            admin.execute("delete from old.notes where id = 'g3'")
            assert admin.execute("select * from old.notes order by id").fetchall() == before


def test_orphan_belongs_to_a_reference_that_may_be_empty(database: Database, tmp_path: Path) -> None:
    with people_world(database, tmp_path, FIRST, MERGE, ()) as world:
        text = world.manifest_path.read_text(encoding="utf-8")
        world.manifest_path.write_text(
            text.replace(
                'profile_id = { from = "id", ref = "profiles" }',
                'profile_id = { from = "id", ref = "profiles", orphan = "null" }',
            ),
            encoding="utf-8",
        )
        with pytest.raises(TenantryError, match="profile_id may not be null"):
            project_of(database, load_manifest(world.manifest_path))
        world.manifest_path.write_text(
            text.replace('name = { from = "name"', 'name = { from = "name", orphan = "null"'), encoding="utf-8"
        )
        with pytest.raises(TenantryError, match="orphan needs ref"):
            load_manifest(world.manifest_path)


def test_official_clients_read_the_accounts_that_a_run_made(database: Database, tmp_path: Path) -> None:
    from uuid import UUID  # noqa: PLC0415

    from supabase_auth.types import User as Official  # noqa: PLC0415

    from tenantry.accounts.user_json import read_user  # noqa: PLC0415

    with people_world(
        database, tmp_path, FIRST, MERGE, (Case("", (User("s1", "s1@x.example", email_verified=True),), {}),)
    ) as world:
        world.run()
        with database.connect() as admin:
            said = read_user(admin, UUID(_made("s1")))
    user = Official.model_validate(said)
    assert (user.email, user.role, user.aud) == ("s1@x.example", "authenticated", "authenticated")
    assert user.email_confirmed_at is not None
    assert user.app_metadata["providers"] == ["email"]
    assert user.user_metadata["email_verified"] is True
    assert user.identities is not None
    assert [(each.provider, each.id) for each in user.identities] == [("email", _made("s1"))]
    assert user.identities[0].identity_data["email"] == "s1@x.example"


@pytest.mark.parametrize(
    ("users", "said"),
    [
        ('link = [{ column = "authid" }]', "auth_id"),
        ('link = [{ file = "nowhere.csv" }]', "there is no file nowhere.csv"),
        ('link = ["phone"]', "email"),
        ('password = "pasword_hash"', "password_hash"),
        ('verified = "s.email_verifed"', "email_verified"),
        ('system = "s.is_bot and"', "system"),
        ('otherwise = "ignore"', "create"),
    ],
)
def test_a_typo_in_the_users_section_is_reported_with_the_nearest_name(
    users: str, said: str, database: Database, tmp_path: Path
) -> None:
    with (
        people_world(database, tmp_path, "", MERGE, ()) as world,
        pytest.raises(TenantryError) as caught,
    ):
        world.manifest_path.write_text(MANIFEST.format(users=users, merge=MERGE), encoding="utf-8")
        project_of(database, load_manifest(world.manifest_path))
    assert said in f"{caught.value} {caught.value.hint}"
    assert "users" in str(caught.value)
