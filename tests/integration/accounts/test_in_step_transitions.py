"""Accounts and profiles stay synchronized after the cut-over: a rollback, a trigger that is switched off, and other schemas than Clinic.

Accounts are written as Supabase Auth writes them: by a login that is neither owner nor superuser, and has rights on schema auth
and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import errors

from tenantry.accounts.sync import functions_sql, triggers_sql
from tenantry.errors import ManifestError
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import resolve
from tenantry.migrate.apply_access import apply_changes, compare_access
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.switch.switchover import Bounds
from tenantry.prove import prove
from tenantry.prove.lint.checks import run_checks
from tenantry.testing import as_user
from tests.conftest import Database
from tests.integration.accounts.in_step_world import World, tenantry_triggers, world, world_of
from tests.isolation.build import build, run
from tests.migrate_support import OWNER, PATIENCE, clinic_manifest, one, project_of, rows

__all__ = ["world"]


def test_a_rollback_waits_for_no_reader_carries_new_people_back_and_leaves_no_trigger_that_fires(
    finished: Database,
) -> None:
    with world_of(finished) as world:
        world.invite("zoe@example.org", role="staff")
        member = world.sign_up("zoe@example.org", confirmed=True)
        alone = world.sign_up("alone@example.org", confirmed=True)
        moved = rows(finished, "select auth_user_id, legacy_id from clinic.profiles p where legacy_id <> id::text"
                     " and auth_user_id is not null order by id limit 1")[0]  # fmt: skip
        world.auth.execute(
            "update auth.users set email = 'moved@example.org', email_confirmed_at = now() where id = %s", [moved[0]]
        )
        profile, other = world.profile(member), world.profile(alone)
    with finished.connect() as admin:
        # Ended since: by its flag, which the source does not have, and by its deletion, which leaves the row of the person.
        active = (
            "select id from clinic.user_clinic_roles m where is_active and legacy_id <> id::text and {} (select from clinic.dashboards d"
            " where (d.clinic_id, d.profile_id) = (m.clinic_id, m.profile_id)) order by id limit {}"
        )
        admin.execute(
            f"update clinic.user_clinic_roles set is_active = false where id in ({active.format('exists', 2)})"
        )
        admin.execute(f"delete from clinic.user_clinic_roles where id in ({active.format('not exists', 1)})")
    assert len(tenantry_triggers(finished)) == 5
    with finished.connect(autocommit=False) as reader:
        # As any open context, whose tenants are asked for in these tables.
        reader.execute("select count(*) from clinic.profiles, clinic.user_clinic_roles")
        done = roll_back(finished.dsn_as(OWNER), clinic_manifest(), bounds=Bounds(max_stall=2.0, patience=PATIENCE))
    (again,) = done.again
    assert (again.table, again.source, again.ended, again.deleted) == ("user_clinic_roles", "users", 2, 1)
    assert rows(finished, "select data ->> 'ended' from tenantry.event where code = 'memberships_again'") == [("2",)]
    assert tenantry_triggers(finished) == []
    assert one(finished, "select email from users where id = %s", [moved[1]]) == "moved@example.org"
    # The source knows people with a clinic and a role; who has none is listed.
    assert rows(finished, "select email, role::text from users where id = %s", [str(profile)]) == [
        ("zoe@example.org", "front_desk")
    ]
    told = rows(
        finished,
        "select table_name from tenantry.kept where legacy_id = %(id)s and column_name = ''"
        " union all select table_name from tenantry.conflict where legacy_id = %(id)s and direction = 'reverse'",
        {"id": str(other)},
    )
    carried = one(finished, "select count(*) from users where id = %s", [str(other)])
    assert (told, carried) == ([("profiles",)], 0)
    with finished.connect() as service:
        service.execute("set role service_role")
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute("select tenantry.accept_invitations(%s, 'one')", [member])
    # From now on each account belongs to a single person.
    with finished.connect() as admin:
        admin.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'late@example.org')")
    assert one(finished, "select count(*) from clinic.profiles where email = 'late@example.org'") == 0
    # After another cut-over, everybody has their previous account.
    cut_over(finished.dsn_as(OWNER), clinic_manifest(), bounds=Bounds(max_stall=2.0, patience=PATIENCE))
    assert len(tenantry_triggers(finished)) == 5
    found = rows(
        finished,
        "select legacy_id, auth_user_id from clinic.profiles where legacy_id = any (%s)",
        [[str(profile), moved[1]]],
    )
    assert dict(found) == {str(profile): member, moved[1]: moved[0]}


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
