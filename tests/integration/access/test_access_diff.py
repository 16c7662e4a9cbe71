"""`tenantry access`: differences between a live database and its manifest are reported and repaired exactly."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import psycopg
import pytest

from tenantry.access.diff import changes, differences
from tenantry.access.difference import AccessDifference
from tenantry.access.read_live import LiveAccess, read_live
from tenantry.catalog import read_catalog
from tenantry.errors import SourceLocked
from tenantry.mapping import Project
from tenantry.mapping.check_access import resolve_access
from tenantry.migrate.apply_access import apply_changes
from tests.conftest import Database
from tests.integration.access.test_access_matrix import world, world_each
from tests.isolation.build import CLINIC, OWNER, Built, build, make_roles, run
from tests.isolation.studio import MANIFEST, SOURCE, TARGET, World, build_studio, studio_manifest
from tests.migrate_support import PATIENCE, cli, copy_of_clinic

__all__ = ["world", "world_each"]  # fixtures

Found = tuple[str, str, str, str]


def _look(built: Built) -> tuple[Project, LiveAccess, tuple[AccessDifference, ...]]:
    with built.owner() as owner:
        project = resolve_access(built.project.manifest, read_catalog(owner, "studio"))
        live = read_live(owner, project)
        return project, live, differences(project, live)


def _differences(built: Built) -> tuple[AccessDifference, ...]:
    return _look(built)[2]


def listed_rights(found: tuple[AccessDifference, ...]) -> set[Found]:
    return {(each.kind, each.state, each.on, each.what) for each in found}


def _apply(built: Built, look: tuple[Project, LiveAccess, tuple[AccessDifference, ...]], patience: float = 5.0) -> None:
    project, live, found = look
    with built.owner() as connection:
        apply_changes(connection, live, changes(project, found), patience=patience)


TENANTS = "studio_id = any ((select tenantry.tenants('{}'))::uuid[])"

BROKEN: dict[str, tuple[list[str], set[Found]]] = {
    "a policy that is gone": (
        ["drop policy select_guest on studio.kilns"],
        {("policy", "missing", "kilns", "policy select_guest")},
    ),
    "a policy for a lesser role": (
        [f"alter policy delete_master on studio.kilns using ({TENANTS.format('guest')})"],
        {("policy", "different", "kilns", "policy delete_master")},
    ),
    "a policy for everybody": (
        ["alter policy select_guest on studio.kilns to public"],
        {("policy", "different", "kilns", "policy select_guest")},
    ),
    "a check that lets everything through": (
        ["alter policy insert_master on studio.kilns with check (true)"],
        {("policy", "different", "kilns", "policy insert_master")},
    ),
    "a restrictive policy in the place of a permissive one": (
        [
            "drop policy select_guest on studio.kilns",
            f"create policy select_guest on studio.kilns as restrictive for select to authenticated using ({TENANTS.format('guest')})",
        ],
        {("policy", "different", "kilns", "policy select_guest")},
    ),
    "a policy that nobody asked for": (
        ["create policy more on studio.pots for delete to authenticated using (title is not null)"],
        {("policy", "extra", "pots", "policy more")},
    ),
    "a comment that says another cell": (
        ["comment on policy select_guest on studio.kilns is 'open'"],
        {("policy", "different", "kilns", "comment of policy select_guest")},
    ),
    "row-level security that is off": (
        ["alter table studio.pots disable row level security"],
        {("row-level security", "different", "pots", "row-level security")},
    ),
    "row-level security that does not bind the owner": (
        ["alter table studio.pots no force row level security"],
        {("row-level security", "different", "pots", "row-level security")},
    ),
    "rights on columns, too many and too few": (
        [
            "grant update (cost) on studio.pots to authenticated",
            "revoke select (title) on studio.pots from anon",
            "grant select (token) on studio.licences to authenticated",
        ],
        {
            ("right", "different", "pots", "UPDATE for authenticated"),
            ("right", "different", "pots", "SELECT for anon"),
            ("right", "extra", "licences", "SELECT for authenticated"),
        },
    ),
    "rights in schema tenantry that are on no list": (
        [
            "grant execute on function tenantry.json_ids(jsonb, text[], jsonb[], boolean) to authenticated",
            "grant execute on function tenantry.direction() to public",
            "grant select on tenantry.quarantine to anon",
            "grant update (is_super) on tenantry.account to authenticated",
            "grant usage on all sequences in schema tenantry to authenticated",
        ],
        {
            ("right", "extra", "json_ids()", "EXECUTE for authenticated"),
            ("right", "extra", "direction()", "EXECUTE for PUBLIC"),
            ("right", "extra", "tenantry.quarantine", "SELECT for anon"),
            ("right", "extra", "tenantry.account", "UPDATE for authenticated"),
            *(
                ("right", "extra", f"tenantry.{name}_id_seq", "USAGE for authenticated")
                for name in ("quarantine", "run", "event")
            ),
        },
    ),
    "a right on the whole table, and on all that comes": (
        ["grant select, truncate on studio.notes to authenticated", "grant trigger on studio.notes to public"],
        {
            ("right", "different", "notes", "SELECT for authenticated"),
            ("right", "extra", "notes", "TRUNCATE for authenticated"),
            ("right", "extra", "notes", "TRIGGER for PUBLIC"),
        },
    ),
    "a right that may be passed on": (
        ["grant insert on studio.journal to service_role with grant option"],
        {("right", "different", "journal", "INSERT for service_role")},
    ),
    "a service that may change what only grows": (
        ["grant update, delete on studio.journal to service_role"],
        {
            ("right", "extra", "journal", "UPDATE for service_role"),
            ("right", "extra", "journal", "DELETE for service_role"),
        },
    ),
    "rights that are gone": (
        ["revoke all on studio.cones from authenticated, service_role, tenantry_backup"],
        {
            ("right", "missing", "cones", f"{right} for {role}")
            for role, rights in (
                ("authenticated", ("SELECT", "INSERT", "UPDATE", "DELETE")),
                ("service_role", ("SELECT", "INSERT", "UPDATE", "DELETE")),
                ("tenantry_backup", ("SELECT",)),
            )
            for right in rights
        },
    ),
    "a schema in which clients make things": (
        ["grant create on schema studio to authenticated", "revoke usage on schema studio from tenantry_definer"],
        {
            ("right", "extra", "schema studio", "CREATE for authenticated"),
            ("right", "missing", "schema studio", "USAGE for tenantry_definer"),
        },
    ),
    "default privileges that open what is made later": (
        [
            f"alter default privileges for role {OWNER} in schema studio grant select on tables to anon",
            f"alter default privileges for role {OWNER} grant execute on functions to public",
        ],
        {
            ("default privileges", "extra", "schema studio", f"tables made later by {OWNER}"),
            ("default privileges", "missing", "schema studio", f"functions made later by {OWNER}"),
        },
    ),
    "functions of the caller, replaced and opened": (
        [
            "grant execute on function tenantry.tenants(text) to anon",
            "grant execute on function tenantry.shared(text) to public",
            "alter function tenantry.profile_id() reset search_path",
            "create or replace function tenantry.has_tenant_access(tenant uuid, at_least text default 'guest') returns boolean"
            " language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as 'begin return true; end'",
            "drop function tenantry.is_tenant_admin(uuid)",
        ],
        {
            ("right", "extra", "tenants()", "EXECUTE for anon"),
            ("right", "extra", "shared()", "EXECUTE for PUBLIC"),
            ("function", "different", "profile_id()", "function tenantry.profile_id()"),
            ("function", "different", "has_tenant_access()", "function tenantry.has_tenant_access(uuid, text)"),
            ("function", "missing", "is_tenant_admin()", "function tenantry.is_tenant_admin(uuid)"),
        },
    ),
    "a function of the caller that is not the definer's": (
        ["alter function tenantry.is_super() owner to postgres"],
        {("owner", "different", "is_super()", "owner")},
    ),
    "accounts that clients read": (
        ["grant select on tenantry.account to authenticated", "grant select on tenantry.seal_key to anon"],
        {
            ("right", "extra", "tenantry.account", "SELECT for authenticated"),
            ("right", "extra", "tenantry.seal_key", "SELECT for anon"),
        },
    ),
    "helpers that are gone, open or other": (
        [
            "drop function studio.get_user_studios()",
            "grant execute on function studio.is_studio_admin(uuid) to public",
            "alter function studio.has_studio_access(uuid) security definer",
        ],
        {
            ("function", "missing", "get_user_studios()", "function studio.get_user_studios()"),
            ("right", "extra", "is_studio_admin()", "EXECUTE for PUBLIC"),
            ("function", "different", "has_studio_access()", "function studio.has_studio_access(uuid)"),
        },
    ),
    "a mirror of accounts that is gone": (
        ["drop trigger tenantry_mirror_account on auth.users"],
        {("trigger", "missing", "auth.users", "trigger tenantry_mirror_account")},
    ),
    "mirrors of accounts that are disabled or replaced": (
        [
            "alter table auth.users disable trigger tenantry_mirror_accounts",
            "create or replace trigger tenantry_mirror_account after insert on auth.users"
            " for each row execute function tenantry.mirror_account()",
        ],
        {
            ("trigger", "different", "auth.users", "trigger tenantry_mirror_account"),
            ("trigger", "different", "auth.users", "trigger tenantry_mirror_accounts"),
        },
    ),
    "a table of another owner": (
        ["alter table studio.cones owner to postgres"],
        {("owner", "different", "cones", "owner")},
    ),
    "a view with the rights of its owner": (
        [f"create view studio.seen as select * from studio.pots; alter view studio.seen owner to {OWNER}"],
        {
            ("view", "different", "seen", "security_invoker"),
            *(
                ("right", "missing", "seen", f"SELECT for {role}")
                for role in ("authenticated", "service_role", "tenantry_backup")
            ),
        },
    ),
}


def _break_and_fix(built: Built, *kinds: str) -> None:
    want = set().union(*(BROKEN[kind][1] for kind in kinds))
    with built.database.connect() as admin:
        for kind in kinds:
            run(admin, *BROKEN[kind][0])
        look = _look(built)
        assert listed_rights(look[2]) == want, kinds
        for each in look[2]:
            assert each.fixable == (each.kind != "owner"), kinds
            if each.kind == "owner":
                run(admin, each.advice.partition("run: ")[2])
    _apply(built, look)
    assert listed_rights(_differences(built)) == set(), kinds


def test_every_difference_is_named_and_repaired(world: World) -> None:
    assert _differences(world.built) == ()
    # What cannot be broken at the same time, since it is one and the same policy, table or trigger.
    rounds = [
        ["a restrictive policy in the place of a permissive one"],
        ["a comment that says another cell"],
        [
            "a policy for everybody",
            "row-level security that does not bind the owner",
            "a function of the caller that is not the definer's",
            "mirrors of accounts that are disabled or replaced",
            "a table of another owner",
            "a view with the rights of its owner",
        ],
    ]
    apart = {kind for kinds in rounds for kind in kinds}
    for kinds in (*rounds, [kind for kind in BROKEN if kind not in apart]):
        _break_and_fix(world.built, *kinds)


def test_rights_from_the_owners_default_privileges_are_revoked(database: Database, tmp_path: Path) -> None:
    manifest = studio_manifest(tmp_path)
    make_roles(database, manifest)
    with database.connect() as admin:
        for kind, rights in (("tables", "all"), ("functions", "execute"), ("sequences", "usage")):
            run(admin, f"alter default privileges for role {OWNER} grant {rights} on {kind} to authenticated, public")
        run(
            admin,
            f"alter default privileges for role {manifest.database_roles.definer} grant execute on functions to anon",
        )
    built = build(database, manifest, SOURCE, [TARGET])
    found = _differences(built)
    assert [each for each in found if each.kind != "default privileges"] == []
    assert len(found) >= 5
    _apply(built, _look(built))
    assert {each.advice.partition(",")[0] for each in _differences(built)} == {"Ask tenantry_definer"}


def test_several_differences_are_repaired_at_once_on_every_version(world_each: World) -> None:
    _break_and_fix(
        world_each.built,
        "a policy for a lesser role",
        "a policy that nobody asked for",
        "a comment that says another cell",
        "row-level security that is off",
        "rights on columns, too many and too few",
        "a right on the whole table, and on all that comes",
        "a service that may change what only grows",
        "a schema in which clients make things",
        "default privileges that open what is made later",
        "functions of the caller, replaced and opened",
        "accounts that clients read",
        "helpers that are gone, open or other",
    )


def test_the_repaired_access_equals_the_original(world: World) -> None:
    built = world.built
    with built.owner() as owner:
        before = read_catalog(owner, "studio")
    with built.database.connect() as admin:
        for kind in ("a policy for a lesser role", "rights on columns, too many and too few", "rights that are gone"):
            run(admin, *BROKEN[kind][0])
    _apply(built, _look(built))
    with built.owner() as owner:
        assert read_catalog(owner, "studio").digest() == before.digest()


def test_a_comparison_leaves_nothing_behind_and_blocks_nobody(world: World) -> None:
    built = world.built
    with built.database.connect() as admin, admin.transaction():
        run(
            admin,
            "lock table studio.pots in exclusive mode",
            "insert into studio.pots (studio_id, title) select id, 'x' from studio.studios",
        )
        assert _differences(built) == ()
    with built.database.connect() as admin:
        assert admin.execute("select count(*) from pg_class where relname = 'pots'").fetchone() == (1,)


def test_a_change_of_the_matrix_is_a_difference_until_it_is_applied(database: Database, tmp_path: Path) -> None:
    built = build_studio(database, tmp_path)
    text = MANIFEST.replace(
        'kilns.access = "managed"', 'kilns.access = { kind = "managed", insert = "potter", hidden = ["name"] }'
    )
    text = text.replace("what = 'shows'", "what = 'show'")
    changed = Built(
        database,
        type(built.project)(studio_manifest(tmp_path, text), "", built.project.source, built.project.target, ()),
    )
    look = _look(changed)
    project, _, found = look
    assert listed_rights(found) == {
        ("policy", "missing", "kilns", "policy insert_potter"),
        ("policy", "extra", "kilns", "policy insert_master"),
        ("right", "different", "kilns", "SELECT for authenticated"),
        ("function", "different", "shared()", "function tenantry.shared(text)"),
    }
    plan = changes(project, found)
    assert [change.removes for change in plan] == [True, True, False, False]
    _apply(changed, look)
    assert _differences(changed) == ()
    with built.owner() as owner, built.login() as login:
        here = World(built, owner, login)
        assert (
            here.person(potter=here.here).touched(
                "insert into studio.kilns (studio_id, name) values (%s, 'x') returning id", here.here
            )
            == 1
        )


def test_undecided_tables_are_named_and_not_changed(world: World) -> None:
    built = world.built
    with built.owner() as owner:
        run(
            owner,
            "create table studio.later (id int)",
            "grant select on studio.later to authenticated",
            "drop table studio.fairs",
        )
        before = read_catalog(owner, "studio").table("later")
    found = _differences(built)
    assert listed_rights(found) == {("table", "extra", "later", "table"), ("table", "missing", "fairs", "table")}
    assert not any(each.fixable for each in found)
    assert "row-level security off, rights: authenticated: SELECT" in next(
        each.found for each in found if each.on == "later"
    )
    assert changes(built.project, found) == ()
    with built.owner() as owner:
        assert read_catalog(owner, "studio").table("later") == before


def test_before_the_cut_over_no_rights_to_write_are_expected(world: World) -> None:
    with world.built.owner() as owner:
        project = resolve_access(world.built.project.manifest, read_catalog(owner, "studio"))
        found = differences(project, read_live(owner, project), writes=False)
    assert {each.what.partition(" ")[0] for each in found} == {"INSERT", "UPDATE", "DELETE"}
    assert {each.state for each in found} == {"extra"}


# -- locks ------------------------------------------------------------------------------------------------------------


def test_blocking_sessions_are_named_and_nothing_is_changed(world: World) -> None:
    built = world.built
    run(world.owner, *BROKEN["a policy for a lesser role"][0], *BROKEN["a policy that nobody asked for"][0])
    look = _look(built)
    with psycopg.connect(built.owner_dsn, application_name="a long report") as other:
        other.execute("select count(*) from studio.kilns")
        with pytest.raises(SourceLocked, match="a long report"):
            _apply(built, look, patience=0.1)
        assert listed_rights(_differences(built)) == listed_rights(look[2])
        waiting = threading.Timer(1.2, other.rollback)
        waiting.start()
        _apply(built, look, patience=PATIENCE)
        waiting.join()
    assert _differences(built) == ()


# -- the command line ---------------------------------------------------------------------------------------------------


def test_the_commands_print_and_repair_differences(world: World, tmp_path: Path) -> None:
    where = ("--manifest", str(tmp_path / "tenantry.toml"), "--dsn", world.built.owner_dsn)
    clean = cli("access", "diff", *where)
    assert (clean.code, clean.out) == (0, "✓ The database matches the manifest.\n")
    run(world.owner, *BROKEN["rights on columns, too many and too few"][0], *BROKEN["a policy that is gone"][0])
    said = cli("access", "diff", *where)
    assert said.code == 1
    assert "different UPDATE for authenticated" in said.out
    assert "expected  UPDATE (on_show, title)" in said.out
    assert "found     UPDATE (cost, on_show, title)" in said.out
    told = cli("access", "diff", *where, "--json")
    data = json.loads(told.out)
    assert told.code == 1
    assert {each["on"] for each in data["differences"]} == {"pots", "licences", "kilns"}
    assert data["writes"] is True
    dry = cli("access", "apply", *where, "--dry-run")
    assert dry.code == 1
    assert dry.out.index("-- Removes") < dry.out.index("revoke select on studio.licences from authenticated cascade;")
    assert dry.out.index("revoke select on studio.licences") < dry.out.index("-- Adds") < dry.out.index("create policy")
    assert cli("access", "diff", *where, "--json").out == told.out
    asked = cli("access", "apply", *where)
    assert asked.code == 2
    assert "--dry-run" in asked.err
    done = cli("access", "apply", *where, "--yes")
    assert done.code == 0, done.err
    assert "changes were made" in done.out
    again = cli("access", "apply", *where, "--yes")
    assert (again.code, again.out) == (0, "✓ The database matches the manifest; nothing to do.\n")
    assert cli("access", "diff", *where).code == 0


def test_differences_without_statements_are_reported_and_counted(world: World, tmp_path: Path) -> None:
    where = ("--manifest", str(tmp_path / "tenantry.toml"), "--dsn", world.built.owner_dsn)
    run(world.owner, "create table studio.later (id int)", "drop policy select_guest on studio.kilns")
    done = cli("access", "apply", *where, "--yes", "--json")
    data = json.loads(done.out)
    assert (done.code, data["applied"]) == (1, True)
    assert [each["on"] for each in data["left"]] == ["later"]
    assert "Add [tables.later]" in data["left"][0]["advice"]


def test_the_matrix_is_shown_as_markdown_and_as_json(world: World, tmp_path: Path) -> None:
    where = ("--manifest", str(tmp_path / "tenantry.toml"), "--dsn", world.built.owner_dsn)
    text = cli("access", "show", *where).out
    assert text.startswith("# Access matrix")
    assert "| `pots` | guest; others by the share shows; everyone where public | potter | potter | master |" in text
    data = json.loads(cli("access", "show", *where, "--json").out)
    assert data["order"] == ["guest", "potter", "master"]
    assert {table["name"] for table in data["tables"]} == set(world.built.project.manifest.tables)


def test_a_migrated_database_matches_its_manifest_after_cutover_and_rollback(
    finished: Database,
) -> None:
    where = ("--manifest", str(CLINIC), "--dsn", finished.dsn_as("clinic_owner"))
    after = cli("access", "diff", *where, "--json")
    data = json.loads(after.out)
    assert (after.code, data["differences"], data["writes"]) == (0, [], True)
    back = cli("rollback", *where, "--yes")
    assert back.code == 0, back.err
    before = cli("access", "diff", *where, "--json")
    data = json.loads(before.out)
    assert (before.code, data["differences"], data["writes"]) == (0, [], False)


def test_functions_that_follow_accounts_are_compared_with_those_of_the_manifest(finished: Database) -> None:
    """A changed function that accepts expired invitations is found, without any surplus right."""
    where = ("--manifest", str(CLINIC), "--dsn", finished.dsn_as("clinic_owner"))
    with finished.connect() as admin:
        for name in ("accept_open", "follow_account", "merged_into"):
            (text,) = admin.execute(
                "select pg_get_functiondef(p.oid) from pg_proc p where pronamespace = 'tenantry'::regnamespace and proname = %s",
                [name],
            ).fetchone() or ("",)
            admin.execute(str(text).replace("$function$", "$function$ ", 1).encode())
    found = json.loads(cli("access", "diff", *where, "--json").out)["differences"]
    assert {each["on"] for each in found} == {"accept_open()", "follow_account()", "merged_into()"}
    assert cli("access", "apply", *where, "--yes").code in (0, 1)


def test_a_changed_matrix_is_applied_during_a_run(finished: Database, tmp_path: Path) -> None:
    path = copy_of_clinic(tmp_path)
    text = path.read_text(encoding="utf-8")
    lines = '[tables.locations]\naccess = { kind = "managed", '
    assert lines in text
    path.write_text(text.replace(lines, f'{lines}update = "staff", '), encoding="utf-8")
    where = ("--manifest", str(path), "--dsn", finished.dsn_as("clinic_owner"))
    assert [each["what"] for each in json.loads(cli("access", "diff", *where, "--json").out)["differences"]] == [
        "policy update_staff",
        "policy update_clinic_admin",
    ]
    assert cli("access", "apply", *where, "--yes").code == 0
    # The run is the same one: who may do what is no part of what it carries over.
    back = cli("rollback", *where, "--yes")
    assert back.code == 0, back.err
    assert cli("access", "diff", *where).code == 0
