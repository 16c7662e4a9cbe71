"""Accounts and profiles stay synchronized after the cutover: sign-ups, confirmations, invitations, e-mail addresses, deletions.

Accounts are written as Supabase Auth writes them: by a login that is neither owner nor superuser, and has rights on schema auth
and nowhere else.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors, sql

from tenantry.accounts.sync import functions_sql, triggers_sql
from tenantry.errors import ManifestError
from tenantry.manifest import Manifest, load_manifest
from tenantry.manifest.model import Membership
from tenantry.mapping import resolve
from tenantry.migrate.apply_access import apply_changes, compare_access
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.switch.switchover import Bounds
from tenantry.prove import prove
from tenantry.prove.lint.checks import run_checks
from tenantry.testing import as_user
from tests.conftest import Database
from tests.isolation.build import build, run
from tests.migrate_support import OWNER, cli, clinic_manifest, engine, one, project_of, rows, wait_for

AUTH_TABLES = "auth.users, auth.identities, auth.sessions, auth.one_time_tokens"


class World:
    """A Clinic after its cut-over."""

    def __init__(self, database: Database, auth: str) -> None:
        self.database = database
        self.login = auth
        self.auth = database.connect(user=auth)
        self.clinics = [
            clinic for (clinic,) in rows(database, "select id from clinic.clinics order by status <> 'active', id")
        ]

    def sign_up(self, email: str | None, *, confirmed: bool = False, **columns: Any) -> UUID:
        """A row of auth.users as Supabase Auth inserts it."""
        given = {"id": uuid4(), "email": email, **columns}
        names = sql.SQL(", ").join(map(sql.Identifier, given))
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(given))
        when = sql.SQL("now()" if confirmed else "null")
        self.auth.execute(
            sql.SQL("insert into auth.users ({}, email_confirmed_at) values ({}, {})").format(names, marks, when),
            list(given.values()),
        )
        account = given["id"]
        assert isinstance(account, UUID)
        return account

    def confirm(self, account: UUID) -> None:
        self.auth.execute("update auth.users set email_confirmed_at = now() where id = %s", [account])

    def invite(self, email: str, *, clinic: UUID | None = None, role: str = "staff", **columns: Any) -> UUID:
        given = {
            "clinic_id": clinic or self.clinics[0],
            "email": email,
            "role": role,
            "token_hash": uuid4().bytes * 2,
            **columns,
        }
        names = sql.SQL(", ").join(map(sql.Identifier, given))
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(given))
        with self.database.connect() as admin:
            row = admin.execute(
                sql.SQL("insert into clinic.clinic_invitations ({}) values ({}) returning id").format(names, marks),
                list(given.values()),
            ).fetchone()
        assert row is not None
        assert isinstance(row[0], UUID)
        return row[0]

    def person(self, email: str, **columns: Any) -> UUID:
        """A profile without an account."""
        given = {"email": email, "name": "Somebody", **columns}
        names = sql.SQL(", ").join(map(sql.Identifier, given))
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(given))
        with self.database.connect() as admin:
            row = admin.execute(
                sql.SQL("insert into clinic.profiles ({}) values ({}) returning id").format(names, marks),
                list(given.values()),
            ).fetchone()
        assert row is not None
        assert isinstance(row[0], UUID)
        return row[0]

    def profile(self, account: UUID) -> UUID | None:
        found = rows(self.database, "select id from clinic.profiles where auth_user_id = %s", [account])
        assert len(found) < 2
        return found[0][0] if found else None

    def memberships(self, profile: UUID | None) -> list[tuple[UUID, str, bool]]:
        return [
            (clinic, role, active)
            for clinic, role, active in rows(
                self.database,
                "select clinic_id, role::text, is_active from clinic.user_clinic_roles where profile_id = %s order by 1",
                [profile],
            )
        ]

    def events(self) -> list[tuple[Any, ...]]:
        return rows(self.database, "select kind, code from tenantry.auth_event where done_at is null order by kind")

    @contextmanager
    def service(self) -> Iterator[psycopg.Connection[Any]]:
        """The application itself."""
        with self.database.connect() as connection:
            connection.execute("set role service_role")
            yield connection

    def email_of(self, account: UUID) -> tuple[str | None, bool]:
        ((email, confirmed),) = rows(
            self.database, "select email, email_confirmed_at is not null from auth.users where id = %s", [account]
        )
        return email, confirmed


@contextmanager
def world_of(database: Database) -> Iterator[World]:
    name = f"{database.name}_auth"
    role = sql.Identifier(name)
    with database.connect() as admin:
        admin.execute(sql.SQL("create role {} login").format(role))
        admin.execute(sql.SQL("grant usage on schema auth to {}").format(role))
        admin.execute(sql.SQL("grant select, insert, update, delete on {} to {}").format(sql.SQL(AUTH_TABLES), role))
        for table in AUTH_TABLES.split(", "):
            admin.execute(sql.SQL("create policy auth_service on {} to {} using (true)").format(sql.SQL(table), role))
    world = World(database, name)
    try:
        yield world
    finally:
        world.auth.close()
        with database.connect() as admin:
            for last in (False, False, False, True):
                try:
                    admin.execute(sql.SQL("drop owned by {0}; drop role {0}").format(role))
                    break
                except psycopg.errors.DeadlockDetected:
                    # Autovacuum analyses what a test has filled, and locks in another order.
                    if last:
                        raise


@pytest.fixture
def world(finished: Database) -> Iterator[World]:
    with world_of(finished) as made:
        yield made


@pytest.fixture
def world_each(finished_each: Database) -> Iterator[World]:
    with world_of(finished_each) as made:
        yield made


def test_a_sign_up_makes_one_profile_and_its_metadata_grant_nothing(world_each: World) -> None:
    world = world_each
    assert (
        one(world.database, "select rolsuper or rolbypassrls from pg_roles where rolname = %s", [world.login]) is False
    )
    assert one(world.database, "select bool_and(relforcerowsecurity) from pg_class where relname = 'profiles'") is True
    claims = {
        "full_name": "  Ada Lovelace ",
        "role": "clinic_admin",
        "clinic_id": str(world.clinics[0]),
        "super_admin": True,
    }
    account = world.sign_up(
        "Ada@Example.org", raw_user_meta_data=json.dumps(claims), raw_app_meta_data=json.dumps({"role": "clinic_admin"})
    )
    ((email, name, legacy, gone),) = rows(
        world.database,
        "select email, name, legacy_id = id::text, deleted_at from clinic.profiles where auth_user_id = %s",
        [account],
    )
    assert (email, name, legacy, gone) == ("ada@example.org", "Ada Lovelace", True, None)
    world.confirm(account)
    assert world.memberships(world.profile(account)) == []
    assert one(world.database, "select is_super from tenantry.account where user_id = %s", [account]) is False
    assert world.events() == []


def test_a_profile_without_an_account_waits_for_who_confirms_its_address(world: World) -> None:
    person = world.person("bea@example.org")
    account = world.sign_up("bea@example.org")
    assert world.profile(account) is None
    assert rows(world.database, "select auth_user_id from clinic.profiles where id = %s", [person]) == [(None,)]
    world.confirm(account)
    assert world.profile(account) == person
    assert one(world.database, "select count(*) from clinic.profiles where email = 'bea@example.org'") == 1
    assert rows(
        world.database,
        "select account_id, made from tenantry.account_link l join clinic.profiles p on p.legacy_id = l.source_key where p.id = %s",
        [person],
    ) == [(account, False)]
    assert world.events() == []


@pytest.mark.parametrize("barred", ["system", "deleted"])
def test_a_person_without_an_account_in_the_manifest_is_not_linked(world: World, barred: str) -> None:
    person = world.person("robot@example.org")
    with world.database.connect() as admin:
        admin.execute(
            "insert into tenantry.account_link (source_key, made, situation) select legacy_id, false, %s from clinic.profiles where id = %s",
            [barred, person],
        )
    assert world.profile(world.sign_up("robot@example.org", confirmed=True)) is None
    assert world.events() == [("conflict", "")]


def test_an_account_without_a_confirmed_address_gets_no_profile(world: World) -> None:
    before = one(world.database, "select count(*) from clinic.profiles")
    anonymous = world.sign_up(None, is_anonymous=True)
    by_phone = world.sign_up(None, phone="15550100")
    assert (world.profile(anonymous), world.profile(by_phone)) == (None, None)
    # As Supabase Auth does it: the address first, the confirmation and the flag later.
    world.auth.execute("update auth.users set email = 'cai@example.org' where id = %s", [anonymous])
    assert world.profile(anonymous) is None
    world.auth.execute(
        "update auth.users set email_confirmed_at = now(), is_anonymous = false where id = %s", [anonymous]
    )
    world.auth.execute(
        "update auth.users set email = 'dot@example.org', email_confirmed_at = now() where id = %s", [by_phone]
    )
    assert None not in (world.profile(anonymous), world.profile(by_phone))
    assert one(world.database, "select count(*) from clinic.profiles") == before + 2
    assert world.events() == []


def test_single_sign_on_takes_nobodys_profile_and_no_invitation(world: World) -> None:
    world.person("eve@example.org")
    world.invite("fay@example.org")
    assert world.profile(world.sign_up("eve@example.org", confirmed=True, is_sso_user=True)) is None
    assert world.events() == [("conflict", "")]
    stranger = world.sign_up("fay@example.org", confirmed=True, is_sso_user=True)
    assert world.memberships(world.profile(stranger)) == []
    with world.service() as service, pytest.raises(errors.InsufficientPrivilege, match="single sign-on"):
        service.execute("select tenantry.accept_invitations(%s, 'one')", [stranger])


def test_an_address_of_a_profile_with_another_account_is_a_conflict_that_ends_when_it_is_free(world: World) -> None:
    first = world.sign_up("gus@example.org", confirmed=True)
    # Two accounts can have one address where one of them signs in by single sign-on.
    second = world.sign_up("gus@example.org", confirmed=True, is_sso_user=True)
    assert world.profile(second) is None
    assert world.events() == [("conflict", "")]
    with world.service() as service:
        service.execute("select tenantry.change_email(%s, 'augustus@example.org')", [world.profile(first)])
        with world.database.connect() as client:
            # Every login may take advisory locks: with a predictable key, this one would stop the queue.
            client.execute(
                "select pg_advisory_lock(hashtextextended('tenantry.auth_event', 0) # id) from tenantry.auth_event"
            )
            service.execute("select * from tenantry.retry_auth_events(everything => true)")
    assert world.profile(second) is not None
    assert world.events() == []


def test_a_confirmed_address_accepts_its_open_invitations(world_each: World) -> None:
    world = world_each
    first, second, third, fourth = world.clinics
    by_first = world.invite("Hal@example.org".lower(), clinic=first, role="clinic_admin")
    world.invite("hal@example.org", clinic=second, role="viewer")
    expired = world.invite("hal@example.org", clinic=third, expires_at="2020-01-02", created_at="2020-01-01")
    revoked = world.invite("hal@example.org", clinic=fourth, revoked_at="2020-01-01")
    world.invite("someone.else@example.org", clinic=third)
    account = world.sign_up("hal@example.org", raw_user_meta_data=json.dumps({"role": "clinic_admin"}))
    profile = world.profile(account)
    assert world.memberships(profile) == []
    world.confirm(account)
    want = sorted([(first, "clinic_admin", True), (second, "viewer", True)])
    assert world.memberships(profile) == want
    ((accepted, by),) = rows(
        world.database,
        "select accepted_at is not null, accepted_profile_id from clinic.clinic_invitations where id = %s",
        [by_first],
    )
    assert (accepted, by) == (True, profile)
    assert rows(
        world.database, "select accepted_at from clinic.clinic_invitations where id = any (%s)", [[expired, revoked]]
    ) == [(None,), (None,)]
    # A person with an account is invited, and accepts through the service.
    with world.database.connect() as admin:
        admin.execute("update clinic.clinic_invitations set revoked_at = now() where id = %s", [expired])
    later = str(world.invite("hal@example.org", clinic=third, role="provider"))
    other = str(world.invite("hal@example.org", clinic=fourth, role="viewer"))
    # Nothing that happens to the account makes them a member of what they were not asked about.
    world.auth.execute("update auth.users set banned_until = now() - interval '1 second' where id = %s", [account])
    assert world.memberships(profile) == want
    with world.service() as service:
        with pytest.raises(errors.InvalidParameterValue, match="the id of the invitation is missing"):
            service.execute("select tenantry.accept_invitations(%s, null)", [account])
        assert service.execute("select tenantry.accept_invitations(%s, %s)", [account, later]).fetchone() == (1,)
        assert service.execute("select tenantry.accept_invitations(%s, %s)", [account, later]).fetchone() == (0,)
        # The fourth is closed: its invitations wait until it is open again.
        assert service.execute("select tenantry.accept_invitations(%s, %s)", [account, other]).fetchone() == (0,)
    assert world.memberships(profile) == sorted([*want, (third, "provider", True)])
    assert world.events() == []


def test_an_invitation_changes_no_role_and_brings_back_only_who_was_invited_since(world: World) -> None:
    here, there, _, _ = world.clinics
    account = world.sign_up("ida@example.org", confirmed=True)
    profile = world.profile(account)
    with world.database.connect() as admin:
        admin.execute(
            "insert into clinic.user_clinic_roles (clinic_id, profile_id, role, is_active, updated_at)"
            " values (%s, %s, 'viewer', true, now()), (%s, %s, 'clinic_admin', false, now())",
            [here, profile, there, profile],
        )
    old = world.invite("ida@example.org", clinic=there, created_at="2020-01-01", expires_at="2020-01-02")
    as_admin = world.invite("ida@example.org", clinic=here, role="clinic_admin")
    with world.database.connect() as admin:  # an invitation from before the membership was ended, still open
        admin.execute(
            "update clinic.clinic_invitations set created_at = now() - interval '1 day', expires_at = now() + interval '1 day'"
            " where id = %s",
            [old],
        )
    with world.service() as service:
        service.execute("select tenantry.accept_invitations(%s, %s)", [account, str(as_admin)])
        with pytest.raises(psycopg.Error, match="ended after this invitation was made"):
            service.execute("select tenantry.accept_invitations(%s, %s)", [account, str(old)])
    assert world.memberships(profile) == sorted([(here, "viewer", True), (there, "clinic_admin", False)])
    assert (
        one(
            world.database,
            "select count(*) from clinic.clinic_invitations where email = 'ida@example.org' and accepted_at is null",
        )
        == 1
    )
    with world.database.connect() as admin:
        admin.execute("update clinic.clinic_invitations set revoked_at = now() where id = %s", [old])
    since = str(world.invite("ida@example.org", clinic=there, role="staff"))
    with world.service() as service:
        service.execute("select tenantry.accept_invitations(%s, %s)", [account, since])
    assert world.memberships(profile) == sorted([(here, "viewer", True), (there, "staff", True)])
    assert world.events() == []


def test_who_has_not_confirmed_accepts_nothing(world: World) -> None:
    world.invite("jon@example.org")
    account = world.sign_up("jon@example.org")
    with world.service() as service:
        with pytest.raises(errors.InsufficientPrivilege, match="has not confirmed an e-mail address"):
            service.execute("select tenantry.accept_invitations(%s, 'one')", [account])
        with pytest.raises(errors.NoDataFound, match="there is no account"):
            service.execute("select tenantry.accept_invitations(%s, 'one')", [uuid4()])
    assert world.memberships(world.profile(account)) == []
    with world.database.connect() as client:
        client.execute("set role authenticated")
        for call in ("accept_invitations(gen_random_uuid(), null)", "forget_person(gen_random_uuid())", "retry_auth_events()",
                     "follow_account(gen_random_uuid())", "change_email(gen_random_uuid(), 'a@example.org', true)"):  # fmt: skip
            with pytest.raises(errors.InsufficientPrivilege):
                client.execute(f"select tenantry.{call}".encode())


def test_addresses_go_both_ways(world: World) -> None:
    account = world.sign_up("kim@example.org", confirmed=True)
    profile = world.profile(account)
    world.auth.execute(
        "insert into auth.identities (provider_id, user_id, identity_data, provider)"
        ' values (%s, %s, \'{"email": "kim@example.org", "email_verified": true}\', \'email\')',
        [str(account), account],
    )

    def address() -> Any:
        return one(world.database, "select email from clinic.profiles where id = %s", [profile])

    # A change of the account counts once it is confirmed.
    world.auth.execute("update auth.users set email_change = 'kimberly@example.org' where id = %s", [account])
    assert address() == "kim@example.org"
    world.auth.execute(
        "update auth.users set email = 'Kimberly@example.org', email_change = '' where id = %s", [account]
    )
    assert address() == "kimberly@example.org"

    # A change of the profile by the service is to be confirmed.
    with world.service() as service:
        service.execute("update clinic.profiles set email = 'kk@example.org' where id = %s", [profile])
    assert world.email_of(account) == ("kk@example.org", False)
    assert rows(
        world.database,
        "select email, identity_data -> 'email_verified' from auth.identities where user_id = %s",
        [account],
    ) == [("kk@example.org", False)]
    world.confirm(account)
    assert address() == "kk@example.org"

    # Unless the service has verified it.
    with world.service() as service:
        service.execute("select tenantry.change_email(%s, ' K@Example.org ', true)", [profile])
    assert world.email_of(account) == ("k@example.org", True)
    assert address() == "k@example.org"
    assert world.events() == []


def test_an_address_that_is_taken_is_refused_to_the_service_and_queued_for_auth(world: World) -> None:
    first = world.sign_up("lea@example.org", confirmed=True)
    world.person("max@example.org")
    second = world.sign_up("max2@example.org", confirmed=True)
    # The account's address is free among accounts, but a profile has it: Supabase Auth is not to fail for that.
    world.auth.execute("update auth.users set email = 'max@example.org' where id = %s", [second])
    assert world.email_of(second) == ("max@example.org", True)
    assert (
        one(world.database, "select email from clinic.profiles where auth_user_id = %s", [second]) == "max2@example.org"
    )
    assert world.events() == [("email", "23505")]
    profile = world.profile(first)
    with world.service() as service:
        for call in (
            "update clinic.profiles set email = 'max@example.org' where id = %s",
            "select tenantry.change_email(%s, 'max@example.org')",
        ):
            with pytest.raises(errors.UniqueViolation, match=r"e-mail address|profiles_email_key"):
                service.execute(call.encode(), [profile])
        world.sign_up("only.an.account@example.org", is_anonymous=True)
        with pytest.raises(errors.UniqueViolation, match="another account has this e-mail address"):
            service.execute("update clinic.profiles set email = 'only.an.account@example.org' where id = %s", [profile])
        with pytest.raises(errors.NoDataFound, match="there is no profile"):
            service.execute("select tenantry.change_email(%s, 'new@example.org')", [uuid4()])
    assert world.email_of(first) == ("lea@example.org", True)


def test_where_schema_auth_is_not_ours_the_admin_api_is_asked(world: World) -> None:
    account = world.sign_up("nia@example.org", confirmed=True)
    profile = world.profile(account)
    with world.database.connect() as admin:
        admin.execute("comment on schema auth is 'somebody else made it'")
    with world.service() as service:
        service.execute("select tenantry.change_email(%s, 'nia2@example.org', true)", [profile])
    assert world.email_of(account) == ("nia@example.org", True)
    said = cli("users", "events", "--json", "--dsn", world.database.dsn_as(OWNER)).json
    assert [(event["kind"], event["account"], "as confirmed" in event["what"]) for event in said["events"]] == [
        ("account_email", str(account), True)
    ]
    assert "example.org" not in json.dumps(said)
    assert cli("users", "retry", "--dsn", world.database.dsn_as(OWNER)).code == 1
    world.auth.execute(
        "update auth.users set email = 'nia2@example.org' where id = %s", [account]
    )  # the admin API did it
    tried = cli("users", "retry", "--all", "--json", "--dsn", world.database.dsn_as(OWNER))
    assert (tried.code, tried.json) == (0, {"tried": 1, "done": 1, "open": 0})

    with world.service() as service:
        gone = service.execute("select tenantry.forget_person(%s, true)", [profile]).fetchone()
    assert gone == (
        {"account": "queued", "memberships_removed": 0, "memberships_ended": 0, "queued": ["account_delete"]},
    )
    assert world.events() == [("account_delete", "")]
    # Nothing that the account does until it is deleted makes a person of it again.
    world.auth.execute("update auth.users set email = 'nia3@example.org' where id = %s", [account])
    assert world.profile(account) is None
    world.auth.execute("delete from auth.users where id = %s", [account])
    assert world.events() == []


def person_with_traces(world: World, email: str) -> tuple[UUID, UUID]:
    """An account with a membership on which a dashboard hangs, and another one on which nothing hangs."""
    for clinic in world.clinics[:2]:
        world.invite(email, clinic=clinic)
    account = world.sign_up(email, confirmed=True)
    profile = world.profile(account)
    assert profile is not None
    assert len(world.memberships(profile)) == 2
    with world.database.connect() as admin:
        admin.execute(
            "insert into clinic.dashboards (clinic_id, profile_id, name, layout_config, created_by) values (%s, %s, 'Mine', '{}', %s)",
            [world.clinics[0], profile, profile],
        )
    return account, profile


def test_a_deleted_account_leaves_a_profile_that_keeps_its_name(world_each: World) -> None:
    world = world_each
    account, profile = person_with_traces(world, "olga@example.org")
    world.auth.execute("delete from auth.users where id = %s", [account])
    ((linked, name, gone),) = rows(
        world.database,
        "select auth_user_id, name, deleted_at is not null from clinic.profiles where id = %s",
        [profile],
    )
    assert (linked, name, gone) == (None, "olga", True)
    assert world.memberships(profile) == sorted((clinic, "staff", False) for clinic in world.clinics[:2])
    assert one(world.database, "select count(*) from clinic.dashboards where profile_id = %s", [profile]) == 1
    assert one(world.database, "select count(*) from tenantry.account where user_id = %s", [account]) == 0
    # The same address, confirmed again, is the same person; what ended stays ended.
    again = world.sign_up("olga@example.org", confirmed=True)
    assert world.profile(again) == profile
    assert one(world.database, "select deleted_at from clinic.profiles where id = %s", [profile]) is None
    assert {active for _, _, active in world.memberships(profile)} == {False}
    assert world.events() == []


def test_a_soft_deletion_ends_memberships_and_coming_back_restores_only_the_link(world: World) -> None:
    account, profile = person_with_traces(world, "pia@example.org")
    # Supabase Auth makes the address unreadable when it deletes softly.
    world.auth.execute("update auth.users set deleted_at = now(), email = 'c2hhMjU2' where id = %s", [account])
    assert world.profile(account) == profile
    assert rows(
        world.database, "select email, deleted_at is not null from clinic.profiles where id = %s", [profile]
    ) == [("pia@example.org", True)]
    assert {active for _, _, active in world.memberships(profile)} == {False}
    world.auth.execute("update auth.users set deleted_at = null, email = 'pia@example.org' where id = %s", [account])
    assert rows(world.database, "select auth_user_id, deleted_at from clinic.profiles where id = %s", [profile]) == [
        (account, None)
    ]
    assert {active for _, _, active in world.memberships(profile)} == {False}
    assert world.events() == []


def test_a_person_is_forgotten(world: World) -> None:
    account, profile = person_with_traces(world, "quin@example.org")
    with world.service() as service:
        with pytest.raises(errors.NoDataFound, match="there is no profile"):
            service.execute("select tenantry.forget_person(%s)", [uuid4()])
        softly = service.execute("select tenantry.forget_person(%s)", [profile]).fetchone()
    assert softly == ({"account": "deleted softly", "memberships_removed": 0, "memberships_ended": 2, "queued": []},)
    assert rows(
        world.database, "select name, email, deleted_at is not null from clinic.profiles where id = %s", [profile]
    ) == [("quin", "quin@example.org", True)]
    assert one(world.database, "select deleted_at is not null from auth.users where id = %s", [account]) is True
    with world.service() as service:
        hard = service.execute("select tenantry.forget_person(%s, hard => true)", [profile]).fetchone()
    assert hard == ({"account": "deleted", "memberships_removed": 1, "memberships_ended": 0, "queued": []},)
    assert rows(world.database, "select name, email, auth_user_id from clinic.profiles where id = %s", [profile]) == [
        (f"deleted-{profile}", f"deleted-{profile}@deleted.invalid", None)
    ]
    assert rows(
        world.database, "select distinct email from clinic.clinic_invitations where accepted_profile_id = %s", [profile]
    ) == [(f"deleted-{profile}@deleted.invalid",)]
    assert world.memberships(profile) == [(world.clinics[0], "staff", False)]
    assert one(world.database, "select created_by from clinic.dashboards where profile_id = %s", [profile]) == profile
    assert one(world.database, "select count(*) from auth.users where id = %s", [account]) == 0
    # The address is free for a new person.
    assert world.profile(world.sign_up("quin@example.org", confirmed=True)) not in (None, profile)
    assert world.events() == []


def test_memberships_without_an_end_rule_are_deleted_unless_rows_depend_on_them(world: World) -> None:
    manifest = clinic_manifest()
    without = Membership(**{**manifest.membership.model_dump(), "end": {}})
    with_other_functions(world, manifest.model_copy(update={"membership": without}))
    account, profile = person_with_traces(world, "rob@example.org")
    world.auth.execute("delete from auth.users where id = %s", [account])
    assert world.memberships(profile) == [(world.clinics[0], "staff", True)]
    assert one(world.database, "select count(*) from clinic.dashboards where profile_id = %s", [profile]) == 1
    assert world.events() == [("membership", "")]
    with world.database.connect() as admin:
        admin.execute("delete from clinic.dashboards where profile_id = %s", [profile])
    assert cli("users", "retry", "--dsn", world.database.dsn_as(OWNER)).code == 0
    assert world.memberships(profile) == []


def with_other_functions(world: World, manifest: Manifest) -> None:
    project = project_of(world.database)
    changed = type(project)(
        manifest, project.digest, project.source, project.target, project.mappings, project.by_target
    )
    with engine(world.database) as owner, owner.transaction():
        for statement in (*functions_sql(changed), *triggers_sql(changed, OWNER, on=True)):
            owner.execute(statement.encode())


def test_what_fails_does_not_fail_the_sign_up_and_is_healed(world_each: World) -> None:
    world = world_each
    with world.database.connect() as admin:
        admin.execute("alter table clinic.profiles add column nickname text")
        admin.execute("update clinic.profiles set nickname = name")
        admin.execute("alter table clinic.profiles alter column nickname set not null")
        admin.execute("create function clinic.refuse() returns trigger language plpgsql as $$ begin"
                      " raise exception 'not %', new.email; end $$;"
                      " create trigger refuse before update on clinic.profiles for each row execute function clinic.refuse()")  # fmt: skip
    account = world.sign_up("sam@example.org")
    assert world.profile(account) is None
    assert world.events() == [("profile", "23502")]
    assert "nickname" in one(world.database, "select message from tenantry.auth_event")
    before = one(world.database, "select next_at from tenantry.auth_event")
    assert cli("users", "retry", "--dsn", world.database.dsn_as(OWNER)).code == 1
    assert rows(
        world.database, "select tries, next_at > %s + interval '20 seconds' from tenantry.auth_event", [before]
    ) == [(2, True)]
    listed = cli("users", "events", "--dsn", world.database.dsn_as(OWNER))
    assert str(account) in listed.everything
    assert "nickname" in listed.everything

    with world.database.connect() as admin:
        admin.execute("alter table clinic.profiles drop column nickname")
    # It is not due yet, unless one says so.
    assert cli("users", "retry", "--json", "--dsn", world.database.dsn_as(OWNER)).json["tried"] == 0
    healed = cli("users", "retry", "--all", "--json", "--dsn", world.database.dsn_as(OWNER))
    assert (healed.code, healed.json) == (0, {"tried": 1, "done": 1, "open": 0})
    assert world.profile(account) is not None

    # A message that may quote values is withheld, and a deletion goes through as well.
    world.confirm(account)
    world.auth.execute("update auth.users set email = 'samuel@example.org' where id = %s", [account])
    assert [kind for kind, _ in world.events()] == ["profile"]
    assert "example.org" not in one(world.database, "select message from tenantry.auth_event where done_at is null")
    with world.database.connect() as admin:
        admin.execute("alter table clinic.profiles disable trigger refuse")
    world.confirm(account)
    world.auth.execute("update auth.users set email = 'samuel2@example.org' where id = %s", [account])
    assert world.events() == []
    assert (
        one(world.database, "select email from clinic.profiles where auth_user_id = %s", [account])
        == "samuel2@example.org"
    )


def test_a_deletion_that_cannot_be_carried_through_waits(world: World) -> None:
    account, profile = person_with_traces(world, "tom@example.org")
    with world.database.connect() as admin:
        admin.execute("alter table clinic.user_clinic_roles add constraint stays check (is_active) not valid")
    world.auth.execute("delete from auth.users where id = %s", [account])
    assert one(world.database, "select count(*) from auth.users where id = %s", [account]) == 0
    assert world.events() == [("gone", "23514")]
    with world.database.connect() as admin:
        admin.execute("alter table clinic.user_clinic_roles drop constraint stays")
    assert cli("users", "retry", "--all", "--dsn", world.database.dsn_as(OWNER)).code == 0
    assert one(world.database, "select deleted_at is not null from clinic.profiles where id = %s", [profile]) is True
    assert {active for _, _, active in world.memberships(profile)} == {False}


def test_even_without_a_queue_the_sign_up_goes_through(world: World) -> None:
    with world.database.connect() as admin:
        admin.execute("alter table tenantry.auth_event rename to elsewhere")
    account = world.sign_up("uwe@example.org")
    assert world.email_of(account) == ("uwe@example.org", False)


def test_a_thousand_sign_ups_at_once_get_one_profile_each(world_each: World) -> None:
    world = world_each
    people, workers = 1000, 8
    before = one(world.database, "select count(*) from clinic.profiles")
    with world.database.connect() as admin:
        admin.execute(
            "insert into clinic.clinic_invitations (clinic_id, email, role, token_hash)"
            " select %s, 'p' || n || '@example.org', 'staff', decode(md5(n::text) || md5(n::text), 'hex')"
            " from generate_series(0, 999, 10) n",
            [world.clinics[0]],
        )
    start = threading.Barrier(workers)

    def sign_up(worker: int) -> None:
        with world.database.connect(user=world.login) as auth:
            start.wait()
            for number in range(worker, people, workers):
                auth.execute(
                    "insert into auth.users (id, email, email_confirmed_at) values (gen_random_uuid(), %s, now())",
                    [f"p{number}@example.org"],
                )

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(sign_up, range(workers)))
    assert one(world.database, "select count(*) from clinic.profiles") == before + people
    assert rows(
        world.database,
        "select count(*), count(distinct p.id) from auth.users u join clinic.profiles p on p.auth_user_id = u.id"
        " where u.email ~ '^p[0-9]+@example.org$' and p.email = u.email",
    ) == [(people, people)]
    assert one(world.database, "select count(*) from clinic.clinic_invitations where accepted_at is not null") == 100
    assert world.events() == []


def test_two_accounts_that_come_at_once_for_one_person_do_not_make_two(world: World) -> None:
    """Sign-up and single sign-on with one address: one gets the profile, the other is a conflict."""
    for number in range(10):
        address = f"v{number}@example.org"
        start = threading.Barrier(2)

        def come(sso: bool, address: str = address, start: threading.Barrier = start) -> None:
            with world.database.connect(user=world.login) as auth:
                start.wait()
                auth.execute(
                    "insert into auth.users (id, email, email_confirmed_at, is_sso_user) values (gen_random_uuid(), %s, now(), %s)",
                    [address, sso],
                )

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(come, (True, False)))
        assert one(world.database, "select count(*) from clinic.profiles where email = %s", [address]) == 1
    assert world.events() == [("conflict", "")] * 10


def test_a_confirmation_and_the_revocation_of_the_invitation_at_once(world: World) -> None:
    """The first to lock the invitation wins; never both. The confirmation waits for it, but not for long."""
    invitation = world.invite("wil@example.org")
    account = world.sign_up("wil@example.org")
    with world.database.connect(autocommit=False) as admin, ThreadPoolExecutor(1) as pool:
        admin.execute("update clinic.clinic_invitations set revoked_at = now() where id = %s", [invitation])
        confirming = pool.submit(world.confirm, account)
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        wait_for("the confirmation waits for the invitation", lambda: one(world.database, waiting))
        admin.commit()
        confirming.result(timeout=20)
    assert world.memberships(world.profile(account)) == []
    assert world.email_of(account) == ("wil@example.org", True)


def test_a_confirmation_and_an_invitation_at_once_make_one_membership(world: World) -> None:
    account = world.sign_up("xia@example.org")
    with world.database.connect(autocommit=False) as admin:
        row = admin.execute(
            "insert into clinic.clinic_invitations (clinic_id, email, role, token_hash)"
            " values (%s, 'xia@example.org', 'staff', %s) returning id::text",
            [world.clinics[0], b"x" * 32],
        ).fetchone()
        assert row is not None
        (invitation,) = row
        world.confirm(account)  # does not see it, and does not wait for it
        admin.commit()
    profile = world.profile(account)
    assert world.memberships(profile) == []
    calls = 4
    start = threading.Barrier(calls)

    def accept(_: int) -> Any:
        with world.service() as service:
            start.wait()
            return service.execute("select tenantry.accept_invitations(%s, %s)", [account, invitation]).fetchone()

    with ThreadPoolExecutor(calls) as pool:
        assert sum(row[0] for row in pool.map(accept, range(calls))) == 1
    assert world.memberships(profile) == [(world.clinics[0], "staff", True)]
    assert world.events() == []


def test_the_rows_of_a_proof_are_passed_over(world: World) -> None:
    account = uuid4()
    with world.database.connect() as admin:
        admin.execute(
            "insert into tenantry.proof_fixture (table_schema, table_name, key) values ('auth', 'users', jsonb_build_object('id', %s::text))",
            [account],
        )
    world.sign_up("yan@example.org", confirmed=True, id=account)
    assert world.profile(account) is None
    assert world.events() == []


def test_a_rollback_waits_for_no_reader_carries_new_people_back_and_leaves_no_trigger_that_fires(
    finished_each: Database,
) -> None:
    with world_of(finished_each) as world:
        world.invite("zoe@example.org", role="staff")
        member = world.sign_up("zoe@example.org", confirmed=True)
        alone = world.sign_up("alone@example.org", confirmed=True)
        moved = rows(finished_each, "select auth_user_id, legacy_id from clinic.profiles p where legacy_id <> id::text"
                     " and auth_user_id is not null order by id limit 1")[0]  # fmt: skip
        world.auth.execute(
            "update auth.users set email = 'moved@example.org', email_confirmed_at = now() where id = %s", [moved[0]]
        )
        profile, other = world.profile(member), world.profile(alone)
    with finished_each.connect() as admin:
        # Ended since: by its flag, which the source does not have, and by its deletion, which leaves the row of the person.
        active = (
            "select id from clinic.user_clinic_roles m where is_active and legacy_id <> id::text and {} (select from clinic.dashboards d"
            " where (d.clinic_id, d.profile_id) = (m.clinic_id, m.profile_id)) order by id limit {}"
        )
        admin.execute(
            f"update clinic.user_clinic_roles set is_active = false where id in ({active.format('exists', 2)})"
        )
        admin.execute(f"delete from clinic.user_clinic_roles where id in ({active.format('not exists', 1)})")
    assert len(tenantry_triggers(finished_each)) == 5
    with finished_each.connect(autocommit=False) as reader:
        # As any open context, whose tenants are asked for in these tables.
        reader.execute("select count(*) from clinic.profiles, clinic.user_clinic_roles")
        done = roll_back(finished_each.dsn_as(OWNER), clinic_manifest(), bounds=Bounds(max_stall=2.0, patience=20.0))
    (again,) = done.again
    assert (again.table, again.source, again.ended, again.deleted) == ("user_clinic_roles", "users", 2, 1)
    assert rows(finished_each, "select data ->> 'ended' from tenantry.event where code = 'memberships_again'") == [
        ("2",)
    ]
    assert tenantry_triggers(finished_each) == []
    assert one(finished_each, "select email from users where id = %s", [moved[1]]) == "moved@example.org"
    # The source knows people with a clinic and a role; who has none is listed.
    assert rows(finished_each, "select email, role::text from users where id = %s", [str(profile)]) == [
        ("zoe@example.org", "front_desk")
    ]
    told = rows(
        finished_each,
        "select table_name from tenantry.kept where legacy_id = %(id)s and column_name = ''"
        " union all select table_name from tenantry.conflict where legacy_id = %(id)s and direction = 'reverse'",
        {"id": str(other)},
    )
    carried = one(finished_each, "select count(*) from users where id = %s", [str(other)])
    assert (told, carried) == ([("profiles",)], 0)
    with finished_each.connect() as service:
        service.execute("set role service_role")
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute("select tenantry.accept_invitations(%s, 'one')", [member])
    # From now on each account belongs to a single person.
    with finished_each.connect() as admin:
        admin.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'late@example.org')")
    assert one(finished_each, "select count(*) from clinic.profiles where email = 'late@example.org'") == 0
    # After another cutover, everybody has their previous account.
    cut_over(finished_each.dsn_as(OWNER), clinic_manifest(), bounds=Bounds(max_stall=2.0, patience=20.0))
    assert len(tenantry_triggers(finished_each)) == 5
    found = rows(
        finished_each,
        "select legacy_id, auth_user_id from clinic.profiles where legacy_id = any (%s)",
        [[str(profile), moved[1]]],
    )
    assert dict(found) == {str(profile): member, moved[1]: moved[0]}


def tenantry_triggers(database: Database) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "select tgname from pg_trigger where tgname like 'tenantry_in_step%' and not tgisinternal and tgenabled <> 'D' order by 1",
    )


def test_a_trigger_that_is_switched_off_is_named_and_created_again(world: World) -> None:
    with world.database.connect() as admin:
        project = project_of(world.database)

        def named() -> dict[str, str]:
            (found,) = (
                each for each in run_checks(admin, project, "tenantry_login") if each.name == "account_triggers"
            )
            return {
                violation.partition(" ")[0]: violation.partition("trigger ")[2].partition(":")[0]
                for violation in found.violations
            }

        assert named() == {}
        with admin.transaction(force_rollback=True):
            admin.execute("alter table auth.users disable trigger tenantry_in_step_gone")
            admin.execute("alter table clinic.profiles disable trigger tenantry_in_step")
            assert named() == {
                "auth.users:": "tenantry_in_step_gone is disabled",
                "clinic.profiles:": "tenantry_in_step is disabled",
            }
            admin.execute("drop trigger tenantry_in_step on auth.users")
            found = compare_access(admin, clinic_manifest())
            assert {(each.on, each.what, each.state) for each in found.differences} == {
                ("auth.users", "trigger tenantry_in_step", "missing"),
                ("auth.users", "trigger tenantry_in_step_gone", "different"),
                ("clinic.profiles", "trigger tenantry_in_step", "different"),
            }
            apply_changes(admin, found.live, found.changes())
            assert named() == {}
            assert compare_access(admin, clinic_manifest()).differences == ()


def test_proofs_and_tests_of_applications_keep_working(world: World) -> None:
    project = project_of(world.database)
    for login in (None, world.database.dsn_as("tenantry_login")):
        proof = prove(project, owner_dsn=world.database.dsn_as(OWNER), login_dsn=login, tables=["profiles"])
        assert proof.passed
    with as_user(world.database.dsn_as(OWNER), clinic_manifest(), role="staff") as client:
        assert client.execute("select count(*) from profiles where auth_user_id = tenantry.uid()").fetchone() == (1,)
    assert world.events() == []
    assert one(world.database, "select count(*) from tenantry.proof_fixture") == 0


# -- other schemas -------------------------------------------------------------------------------------------------------

GUILD_SOURCE = 'create table "OldUsers" ("Id" text primary key, "eMail" text not null);'

GUILD_TARGET = """
    create table "Guild" (id uuid primary key default gen_random_uuid());
    create table "Person" (
        id uuid primary key,
        legacy_id text not null unique,
        "accountId" uuid unique references auth.users (id) on delete cascade,
        "E Mail" text not null,
        "Nick Name" text not null);
    create unique index on "Person" (lower("E Mail"));
    create table "Member" (
        "guildId" uuid not null references "Guild" (id),
        "personId" uuid not null references "Person" (id) on delete cascade,
        "Level" text not null check ("Level" in ('guest', 'boss')),
        primary key ("guildId", "personId"));
    create table "Note" (
        "guildId" uuid not null,
        id bigint generated always as identity primary key,
        "authorId" uuid not null,
        foreign key ("guildId", "authorId") references "Member" ("guildId", "personId") on delete cascade);
    create table "Invite" (
        "guildId" uuid not null references "Guild" (id),
        "No" bigint generated always as identity primary key,
        "Mail" text not null,
        "Level" text not null,
        "Used" timestamptz);
"""

GUILD_MANIFEST = """
name = "guild"
[source]
schema = "Old One"
[target]
schema = "App"
files = ["*.sql"]
[ids]
namespace = "guild"
[tenant]
table = "Guild"
column = "guildId"
constant = {}
[membership]
table = "Member"
profile = "personId"
role = "Level"
[roles]
order = ["guest", "boss"]
[users]
from = "OldUsers"
email = "eMail"
profile = "Person"
account = "accountId"
in_step = true
[users.new]
"Nick Name" = "coalesce(u.raw_user_meta_data ->> 'nick', 'nobody')"
[invitations]
table = "Invite"
email = "Mail"
role = "Level"
open = 'i."Used" is null'
accepted = "Used"
[tables.Guild]
access = { select = "guest", insert = "super", update = "boss", delete = "super" }
[tables.Person]
from = "OldUsers"
columns = { "E Mail" = { from = "eMail" }, "Nick Name" = { up = "'old'" } }
access = { select = "service", insert = "service", update = "service", delete = "service" }
[tables.Member]
access = { select = "guest", insert = "service", update = "service", delete = "service" }
[tables.Note]
access = { select = "guest", insert = "boss", update = "boss", delete = "boss" }
[tables.Invite]
access = { select = "boss", insert = "boss", update = "service", delete = "boss" }
"""


def guild(folder: Path, *changes: tuple[str, str]) -> Manifest:
    text = GUILD_MANIFEST
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    folder.joinpath("guild.sql").write_text(GUILD_TARGET, encoding="utf-8")
    path = folder / "tenantry.toml"
    path.write_text(text, encoding="utf-8")
    return load_manifest(path)


def test_a_schema_with_other_names_than_clinic(database: Database, tmp_path: Path) -> None:
    """Names that need quotes, addresses kept as they were typed, a key that would take the profile along, no id, no end."""
    built = build(database, guild(tmp_path), GUILD_SOURCE, [GUILD_TARGET])
    with built.owner() as owner, owner.transaction():
        run(owner, *functions_sql(built.project), *triggers_sql(built.project, "a login of nobody", on=True))
    with database.connect() as admin:
        run(admin, 'insert into "App"."Guild" (id) values (gen_random_uuid())')
        run(
            admin,
            'insert into "App"."Invite" ("guildId", "Mail", "Level") select id, \' Abe@Example.org\', \'boss\' from "App"."Guild"',
        )
        run(
            admin,
            'insert into "App"."Invite" ("guildId", "Mail", "Level") select id, \'abe@example.org\', \'king\' from "App"."Guild"',
        )
        run(
            admin,
            "insert into auth.users (id, email, email_confirmed_at) values (gen_random_uuid(), 'Abe@Example.org', now())",
        )
        people = 'select "E Mail", "Nick Name", "accountId" is not null, legacy_id = id::text from "App"."Person"'
        assert admin.execute(people).fetchall() == [("Abe@Example.org", "nobody", True, True)]
        assert admin.execute('select "Level" from "App"."Member"').fetchall() == [("boss",)]
        assert admin.execute('select "Level" from "App"."Invite" where "Used" is not null').fetchall() == [("boss",)]
        assert admin.execute("select kind, code from tenantry.auth_event").fetchall() == [("invitation", "TN601")]
        run(admin, 'insert into "App"."Note" ("guildId", "authorId") select "guildId", "personId" from "App"."Member"')
        run(admin, "delete from auth.users")
        assert admin.execute(people).fetchall() == [("Abe@Example.org", "nobody", False, True)]
        assert admin.execute('select count(*) from "App"."Note"').fetchone() == (1,)
        assert admin.execute("select kind from tenantry.auth_event where done_at is null").fetchall() == [
            ("membership",)
        ]
        run(admin, 'select tenantry.forget_person(id, true) from "App"."Person"')
        ((address, name, *_),) = admin.execute(people).fetchall()
        assert str(address).endswith("@deleted.invalid")
        assert str(name).startswith("deleted-")


def test_unsupported_synchronization_is_reported_with_its_place(database: Database, tmp_path: Path) -> None:
    built = build(database, guild(tmp_path), GUILD_SOURCE, [GUILD_TARGET])
    source, target = built.project.source, built.project.target
    person = 'update = "service", delete = "service" }\n[tables.Member]'
    boss, later = 'Invite]\naccess = { select = "boss", insert = "boss"', 'update = "service", delete = "boss"'
    members = 'Member]\naccess = { select = "guest", insert = "service"'
    changed = 'update = "service", delete = "service" }\n[tables.Note]'
    cases: list[tuple[tuple[str, str], str, str]] = [
        (("coalesce(u.raw_user_meta_data ->>", "coalesce(u.raw_user_metadata ->>"), 'users.new."Nick Name"', "did you mean 'raw_user_meta_data'?"),
        (('"Nick Name" = "coalesce', 'Nickname = "coalesce'), "users.new.Nickname", "did you mean 'Nick Name'?"),
        (("coalesce(u.raw_user_meta_data ->> 'nick', 'nobody')", "u.recovery_token"), 'users.new."Nick Name"', "is a secret of Supabase Auth"),
        (("coalesce(u.raw_user_meta_data ->> 'nick', 'nobody')", "s.nick"), 'users.new."Nick Name"', "only u can be named here"),
        (('"Nick Name" =', "legacy_id ="), "users.new", "allows no null and has no default"),
        (("in_step = true", 'in_step = true\ngone = "legacy_id"'), "users.gone", "must be timestamptz"),
        (("in_step = true", 'in_step = true\ngone = "deleted"'), "users.gone", "has no column 'deleted'"),
        (("in_step = true", "in_step = false"), "users.new", "no effect without in_step = true"),
        (('role = "Level"\n[roles]', 'role = "Level"\nend = { "Lvel" = "null" }\n[roles]'), "membership.end.Lvel", "did you mean 'Level'?"),
        (('role = "Level"\n[roles]', 'role = "Level"\nend = { personId = "null" }\n[roles]'), "membership.end.personId", "never changes"),
        (('table = "Invite"', 'table = "Invites"'), "invitations.table", "did you mean 'Invite'?"),
        (('accepted = "Used"', 'accepted = "Mail"'), "invitations.accepted", "timestamptz"),
        (("'i.\"Used\" is null'", "'i.\"Level\" is not null'"), "invitations.open", "would be open still"),
        (("'i.\"Used\" is null'", "'\"Used\" is null'"), "invitations.open", "write i.Used"),
        ((boss, boss.replace('"boss"', '"guest"')), "tables.Invite.access.insert", "invite themselves with a higher role"),
        ((later, later.replace('"service"', '"guest"')), "tables.Invite.access.update", "invitations.clients_write"),
        ((members, members.replace('"service"', '{ own = "personId", role = "guest" }')), "tables.Member.access.insert", "membership.clients_write"),
        ((changed, changed.replace('"service"', '"guest"')), "tables.Member.access.update", "make themselves, or others, members"),
        ((person, person.replace('"service"', '{ own = "id" }', 1)), "tables.Person.access", "clients may change Person.E Mail"),
    ]  # fmt: skip
    for change, key, words in cases:
        with pytest.raises(ManifestError) as caught:
            resolve(guild(tmp_path, change), source, target)
        said = [str(problem) for problem in caught.value.problems]
        assert any(f": {key}: " in each and words in each for each in said), (change, said)
