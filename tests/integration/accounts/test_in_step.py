"""Accounts and profiles stay synchronized after the cut-over: sign-ups, confirmations, invitations, e-mail addresses.

Accounts are written as Supabase Auth writes them: by a login that is neither owner nor superuser, and has rights on schema auth
and nowhere else.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from tests.integration.accounts.in_step_world import World, world, world_each
from tests.migrate_support import OWNER, cli, one, rows

__all__ = ["world", "world_each"]


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
