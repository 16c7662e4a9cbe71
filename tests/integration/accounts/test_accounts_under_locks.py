"""People who left or are forgotten stay out, and locks do not block others: sign-ups, confirmations, deletions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import errors

from tenantry.manifest.model import Membership
from tests.integration.accounts.in_step_world import World, person_with_traces, with_other_functions, world
from tests.migrate_support import OWNER, cli, clinic_manifest, one, rows

__all__ = ["world"]


@contextmanager
def held(world: World, lock: str, values: list[Any]) -> Iterator[None]:
    """A client's session that holds a lock to the end of the block: who waited for it without a limit would fail."""
    with world.database.connect(autocommit=False) as client:
        world.auth.execute("set statement_timeout = '60s'")
        client.execute(lock.encode(), values)
        yield
        client.rollback()


def retry(world: World) -> int:
    return cli("users", "retry", "--all", "--dsn", world.database.dsn_as(OWNER)).code


def active(world: World, profile: UUID | None) -> set[bool]:
    return {each for _, _, each in world.memberships(profile)}


OWN_ROW = "select from clinic.profiles where id = %s for update"


def test_a_person_who_locks_their_own_profile_is_out_all_the_same(world: World) -> None:
    deleted, first = person_with_traces(world, "ann@example.org")
    softly, second = person_with_traces(world, "ben@example.org")
    forgotten, third = person_with_traces(world, "cat@example.org")
    with held(world, OWN_ROW.replace("= %s", "= any (%s)"), [[first, second, third]]):
        world.auth.execute("delete from auth.users where id = %s", [deleted])
        world.auth.execute("update auth.users set deleted_at = now(), email = 'c2hh' where id = %s", [softly])
        with world.service() as service:
            answer = service.execute("select tenantry.forget_person(%s, true)", [third]).fetchone()
            with pytest.raises(errors.LockNotAvailable):
                service.execute("select tenantry.change_email(%s, 'x@example.org')", [second])
        assert answer is not None
        assert (answer[0]["account"], answer[0]["memberships_ended"]) == ("queued", 2)
        assert answer[0]["queued"] == ["deletion", "forget_hard", "gone"]
        assert active(world, first) | active(world, second) | active(world, third) == {False}
        assert rows(
            world.database,
            "select count(*) from tenantry.account where user_id = any (%s) and coalesce(deleted_at, forgotten_at) is not null",
            [[deleted, softly, forgotten]],
        ) == [(3,)]
        # Nothing that the account does brings them back.
        world.auth.execute("update auth.users set banned_until = now() where id = any (%s)", [[deleted, forgotten]])
        # Another one with the address waits until the first is out.
        again = world.sign_up("cat@example.org", confirmed=True, is_sso_user=True)
        assert world.profile(again) is None
    assert retry(world) == 0
    assert world.events() == []
    assert one(world.database, "select count(*) from auth.users where id = any (%s)", [[deleted, forgotten]]) == 0
    assert rows(
        world.database,
        "select auth_user_id, deleted_at is not null, email like 'deleted-%%' from clinic.profiles where id = any (%s)"
        " order by array_position(%s, id)",
        [[first, second, third], [first, second, third]],
    ) == [(None, True, False), (softly, True, False), (None, True, True)]
    assert world.profile(again) not in (None, third)


@pytest.mark.parametrize("end", [True, False])
def test_memberships_end_before_another_account_takes_the_profile(world: World, end: bool) -> None:
    manifest = clinic_manifest()
    if not end:
        without = Membership(**{**manifest.membership.model_dump(), "end": {}})
        with_other_functions(world, manifest.model_copy(update={"membership": without}))
    left, profile = person_with_traces(world, "dan@example.org")
    if end:
        with world.database.connect() as admin:
            admin.execute("alter table clinic.user_clinic_roles add constraint stays check (is_active) not valid")
    world.auth.execute("delete from auth.users where id = %s", [left])
    again = world.sign_up("dan@example.org", confirmed=True)
    assert world.profile(again) is None
    assert ("gone" if end else "membership") in [kind for kind, _ in world.events()]
    assert retry(world) == 1
    assert world.profile(again) is None
    with world.database.connect() as admin:
        if end:
            admin.execute("alter table clinic.user_clinic_roles drop constraint stays")
        admin.execute("delete from clinic.dashboards where profile_id = %s", [profile])
    retry(world)
    assert retry(world) == 0
    assert world.profile(again) == profile
    assert active(world, profile) <= {False}


def test_an_administrators_lock_blocks_nobody_else(world: World) -> None:
    good, evil, third = world.clinics[:3]
    for email in ("eli@example.org", "flo@example.org"):
        world.invite(email, clinic=good)
        for clinic in (evil, third):
            world.invite(email, clinic=clinic, role="viewer")
    eli = world.sign_up("eli@example.org")
    with held(world, "delete from clinic.clinic_invitations where clinic_id = %s", [evil]):
        world.confirm(eli)
        flo = world.sign_up("flo@example.org", confirmed=True)
        for account in (eli, flo):
            assert {clinic for clinic, _, _ in world.memberships(world.profile(account))} == {good, third}
        assert world.events() == [("invitation", "55P03")] * 2
        held_back = one(
            world.database,
            "select id::text from clinic.clinic_invitations where clinic_id = %s and email = 'eli@example.org'",
            [evil],
        )
        with world.service() as service, pytest.raises(errors.LockNotAvailable):
            service.execute("select tenantry.accept_invitations(%s, %s)", [eli, held_back])
    # What came later is not accepted by a retry.
    with world.database.connect() as admin:
        admin.execute(
            "delete from clinic.clinic_invitations where clinic_id = %s and email = 'flo@example.org'", [evil]
        )
    world.invite("flo@example.org", clinic=evil, role="viewer")
    assert retry(world) == 0
    assert len(world.memberships(world.profile(eli))) == 3
    assert len(world.memberships(world.profile(flo))) == 2
    for lock in (
        "select from clinic.clinics for update",
        "lock table clinic.clinic_invitations in access exclusive mode",
    ):
        email = f"gil{len(lock)}@example.org"
        for clinic in (good, evil, third):
            world.invite(email, clinic=clinic)
        with held(world, lock, []):
            account = world.sign_up(email, confirmed=True)
            assert world.profile(account) is not None
        assert retry(world) == 0
        assert len(world.memberships(world.profile(account))) == 3


def test_a_forgotten_person_has_no_access_until_the_admin_api_deletes_the_account(world: World) -> None:
    account = world.sign_up("hans@example.org", confirmed=True, raw_app_meta_data='{"super_admin": true}')
    profile = world.profile(account)
    world.invite("hans@example.org", clinic=world.clinics[0], role="clinic_admin")
    with world.database.connect() as admin:
        admin.execute("comment on schema auth is 'not ours'")
    with world.service() as service:
        service.execute("select tenantry.forget_person(%s)", [profile])
    live = "select a.is_super and a.deleted_at is null and a.forgotten_at is null from tenantry.account a where user_id = %s"
    assert one(world.database, live, [account]) is False
    body = one(world.database, "select prosrc from pg_proc where oid = 'tenantry.is_super()'::regprocedure")
    assert "a.forgotten_at is null" in body
    world.auth.execute("update auth.users set email = 'h@example.org' where id = %s", [account])
    world.auth.execute("update auth.users set email = 'hans@example.org' where id = %s", [account])
    assert one(world.database, "select deleted_at is not null from clinic.profiles where id = %s", [profile]) is True
    assert world.memberships(profile) == []
    assert one(world.database, "select count(*) from clinic.clinic_invitations where email = 'hans@example.org'") == 0
    # Deleted by the admin API, and brought back on purpose.
    world.auth.execute("update auth.users set deleted_at = now() where id = %s", [account])
    assert retry(world) == 0
    world.auth.execute("update auth.users set deleted_at = null where id = %s", [account])
    assert one(world.database, live, [account]) is True
    assert one(world.database, "select deleted_at from clinic.profiles where id = %s", [profile]) is None


def test_a_changed_address_ends_sent_tokens_and_sessions(world: World) -> None:
    account = world.sign_up("ina@example.org", confirmed=True)
    profile = world.profile(account)
    for call in ("change_email(%s, 'ina2@example.org', true)", "forget_person(%s)"):
        world.auth.execute(
            "update auth.users set recovery_token = 'r', reauthentication_token = 'x' where id = %s", [account]
        )
        world.auth.execute(
            "insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to)"
            " values (gen_random_uuid(), %s, 'recovery_token', 'h', 'ina@example.org')",
            [account],
        )
        world.auth.execute("insert into auth.sessions (id, user_id) values (gen_random_uuid(), %s)", [account])
        with world.service() as service:
            service.execute(f"select tenantry.{call}".encode(), [profile])
        assert rows(
            world.database,
            "select recovery_token || reauthentication_token, (select count(*) from auth.one_time_tokens where user_id = u.id),"
            " (select count(*) from auth.sessions where user_id = u.id) from auth.users u where id = %s",
            [account],
        ) == [("", 0, 0)]


def test_an_invitation_falls_with_its_inviter_and_is_older_than_an_end(world: World) -> None:
    here, there, *_ = world.clinics
    world.invite("jo@example.org", clinic=here, role="clinic_admin")
    world.invite("jo@example.org", clinic=there, role="staff")
    account = world.sign_up("jo@example.org", confirmed=True)
    inviter = world.profile(account)
    world.invite("kit@example.org", clinic=here, role="clinic_admin", created_by=inviter)
    world.invite("lou@example.org", clinic=here, role="clinic_admin", created_by=inviter)
    world.invite("lou@example.org", clinic=there, role="clinic_admin", created_by=inviter)  # more than the inviter is
    lou = world.sign_up("lou@example.org", confirmed=True)
    assert world.memberships(world.profile(lou)) == [(here, "clinic_admin", True)]
    # Ended by the tables' owner, for whom no trigger of the application records the time.
    again = world.invite("lou@example.org", clinic=here)
    with world.database.connect() as admin:
        admin.execute("alter table clinic.user_clinic_roles disable trigger user")
        admin.execute("alter table clinic.user_clinic_roles enable trigger tenantry_in_step")
        admin.execute(
            "update clinic.user_clinic_roles set is_active = false where profile_id = %s", [world.profile(lou)]
        )
        admin.execute("alter table clinic.user_clinic_roles enable trigger user")
    with world.service() as service, pytest.raises(psycopg.Error, match="ended after this invitation was made"):
        service.execute("select tenantry.accept_invitations(%s, %s)", [lou, str(again)])
    with world.service() as service:
        service.execute("select tenantry.forget_person(%s, true)", [inviter])
    kit = world.sign_up("kit@example.org", confirmed=True)
    assert world.memberships(world.profile(kit)) == []


def test_forgetting_succeeds_while_a_colleague_writes_a_row_of_the_person(world: World) -> None:
    world.invite("max@example.org", clinic=world.clinics[0])
    account = world.sign_up("max@example.org", confirmed=True)
    profile = world.profile(account)
    row = (
        "insert into clinic.call_metrics (clinic_id, date, call_type, staff_profile_id)"
        " values (%s, '2026-01-01', 'new_patient', %s)"
    )
    with held(world, row, [world.clinics[0], profile]), world.service() as service:
        answer = service.execute("select tenantry.forget_person(%s, true)", [profile]).fetchone()
        assert answer is not None
        assert answer[0]["memberships_ended"] == 1
        assert "forget_hard" in answer[0]["queued"]
        assert active(world, profile) == {False}
    assert retry(world) == 0
    assert one(world.database, "select email like 'deleted-%%' from clinic.profiles where id = %s", [profile]) is True
