"""Accounts and profiles stay synchronized after the cut-over: who leaves, what fails and is healed, and what comes at once.

Accounts are written as Supabase Auth writes them: by a login that is neither owner nor superuser, and has rights on schema auth
and nowhere else.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from psycopg import errors

from tenantry.manifest.model import Membership
from tests.integration.accounts.in_step_world import World, person_with_traces, with_other_functions, world, world_each
from tests.migrate_support import OWNER, PATIENCE, cli, clinic_manifest, one, rows, wait_for

__all__ = ["world", "world_each"]


def test_a_deleted_account_leaves_a_profile_that_keeps_its_name(world: World) -> None:
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


def test_what_fails_does_not_fail_the_sign_up_and_is_healed(world: World) -> None:
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


def test_a_thousand_sign_ups_at_once_get_one_profile_each(world: World) -> None:
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
        confirming.result(timeout=PATIENCE)
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
