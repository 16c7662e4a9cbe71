"""The proof passes on a target that obeys its matrix, and names the very cell or check wherever one does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tenantry.access import context_sql, cutover_revokes
from tenantry.errors import RightsMissing, RolesMissing, RunInProgress
from tenantry.manifest import COMMANDS
from tenantry.manifest.model import DatabaseRoles
from tenantry.postgres import EmbeddedServer, connect
from tenantry.prove import Proof, UnfitLogin, proof_markdown, prove
from tenantry.prove.expected.callers import (
    INACTIVE_LENDER,
    INACTIVE_MEMBERSHIP,
    INACTIVE_TENANT,
    REMOVED,
    STATES,
    people,
)
from tenantry.prove.fixtures.build import make_fixtures, remove_leftovers
from tenantry.prove.lint.run import run_lint
from tests.conftest import Database, fresh_database, running_server, versions
from tests.isolation.build import OWNER, Built, Connection, build_clinic, build_org, run, secure
from tests.isolation.studio import build_studio

Cell = tuple[str, str, str, str]


def _prove(built: Built, *tables: str) -> Proof:
    return prove(built.project, owner_dsn=built.owner_dsn, login_dsn=built.login_dsn, tables=tables if tables else None)


def _failures(proof: Proof) -> set[Cell]:
    return {(cell.role, cell.command, cell.table, cell.relation) for cell in proof.failures}


def _failed_checks(proof: Proof) -> dict[str, tuple[str, ...]]:
    return {check.name: check.violations for check in proof.checks if not check.passed}


def _rows(built: Built) -> int:
    with built.database.connect() as owner:
        names = [table.name for table in built.project.target.tables]
        schema = built.project.target.schema
        queries = " union all ".join(f'select count(*) from "{schema}"."{name}"' for name in names)
        query = f"select sum(count) from ({queries} union all select count(*) from auth.users) as c"
        found = owner.execute(query.encode()).fetchone()
    assert found is not None
    return int(str(found[0]))


def test_clinic_obeys_its_matrix_in_every_cell(database: Database) -> None:
    """Over a login on the newest version; in place on the oldest, below. A smaller schema is proved both ways on each."""
    built = build_clinic(database)
    proof = _prove(built)
    assert not proof.failures
    assert not _failed_checks(proof)
    assert proof.passed
    # What could not be tried is said, and is only what no row can be left behind for.
    assert {(cell.table, cell.command) for cell in proof.untried} == {("audit_log", "select")}
    manifest = built.project.manifest
    callers = {*manifest.roles.order, "super admin", "signed in", "no context", "anon"}
    tried = {(cell.role, cell.table, cell.command) for cell in proof.cells}
    assert tried >= {(who, table, command) for who in callers for table in manifest.tables for command in COMMANDS}
    for table in manifest.tables:
        if built.project.scoped(table) and table != "audit_log":
            relations = {cell.relation for cell in proof.cells if (cell.role, cell.table) == ("clinic_admin", table)}
            assert "other tenant" in relations
            assert any("own" in relation for relation in relations)
    for state in STATES:
        of_state = {(cell.role, cell.table, cell.command) for cell in proof.cells if cell.relation.startswith(state)}
        lent = [table for table, rule in manifest.tables.items() if rule.access.shared is not None]
        tables = lent if state == INACTIVE_LENDER else manifest.tables
        members = [*manifest.roles.order, "viewer here, clinic_admin elsewhere"]
        commands = ("select", "update", "delete") if state == INACTIVE_LENDER else COMMANDS
        assert of_state >= {(who, table, command) for who in members for table in tables for command in commands}
    assert ("super admin", "locations", "delete") in {
        (cell.role, cell.table, cell.command) for cell in proof.cells if cell.relation.startswith(INACTIVE_TENANT)
    }
    # Every rule of the matrix allowed some caller: a target that refuses everything would fail.
    assert sum(cell.expected == "allow" for cell in proof.cells) > 300
    assert _rows(built) == 0
    assert len(proof.matrix_rows()) == len(manifest.tables) * len(COMMANDS)
    assert json.loads(json.dumps(proof.to_json()))["counts"]["failed"] == 0
    assert "passed" in proof_markdown(proof)


def test_a_schema_of_other_names_is_proved_by_its_manifest_alone(database_each: Database, tmp_path: Path) -> None:
    built = build_org(database_each, tmp_path)
    for proof in (_prove(built), _in_place(built)):
        assert not proof.failures
        assert not _failed_checks(proof)
        assert not proof.untried
        allowed = {(cell.role, cell.command, cell.table, cell.relation) for cell in proof.cells if cell.got == "allow"}
        assert ("guest", "insert", "Comment", "own row") in allowed
        assert ("guest", "delete", "Comment", "own tenant") not in allowed
        assert ("boss", "delete", "Note", "own row") in allowed
        assert ("signed in", "insert", "Tag", "shared") in allowed
        _states_without_a_key(proof)
    assert _rows(built) == 0


def test_before_the_cut_over_every_write_is_refused_and_must_be(database: Database, tmp_path: Path) -> None:
    built = build_org(database, tmp_path)
    with built.owner() as owner:
        run(owner, *cutover_revokes(built.project))
    proof = prove(built.project, owner_dsn=built.owner_dsn, login_dsn=built.login_dsn, writes=False)
    assert proof.passed
    assert not any(cell.got == "allow" for cell in proof.cells if cell.command != "select")
    assert ("boss", "delete", "Note", "another's row, own tenant") in _failures(_prove(built, "Note"))


# -- broken on purpose ------------------------------------------------------------------------------------------------

TENANTS = "clinic_id = any ((select tenantry.tenants('{}'))::uuid[])"


def _replaced(name: str, table: str, policy: str) -> list[str]:
    return [f"drop policy {name} on clinic.{table}", f"create policy {name} on clinic.{table} {policy}"]


BROKEN: dict[str, tuple[str, list[str], set[Cell], set[str]]] = {
    "a policy that lets everything through": (
        "locations",
        _replaced("select_viewer", "locations", "for select to authenticated using (true)"),
        {
            ("viewer", "select", "locations", "other tenant"),
            ("signed in", "select", "locations", "other tenant"),
            ("banned", "select", "locations", "own tenant"),
            ("no context", "select", "locations", "any row"),
            ("unknown account", "select", "locations", "any row"),
            ("malformed claims", "select", "locations", "any row"),
        },
        {"policy_conditions"},
    ),
    "an insert policy without its check": (
        "goal_templates",
        _replaced("insert_clinic_admin", "goal_templates", "for insert to authenticated with check (true)"),
        {
            ("viewer", "insert", "goal_templates", "own tenant"),
            # Without a caller the trigger of the stamps refuses the row.
            ("clinic_admin", "insert", "goal_templates", "other tenant"),
        },
        {"policy_conditions"},
    ),
    "an update policy that looks at the old row only": (
        "dashboards",
        _replaced(
            "update_own_viewer",
            "dashboards",
            f"for update to authenticated using ({TENANTS.format('viewer')} and profile_id ="
            f" (select tenantry.profile_id())) with check ({TENANTS.format('viewer')})",
        )
        # PostgreSQL holds the new row against the policy for reading too, where the statement reads: so open that.
        + _replaced(
            "select_own_viewer", "dashboards", f"for select to authenticated using ({TENANTS.format('viewer')})"
        ),
        {
            ("viewer", "update", "dashboards", "give to another person"),
            ("viewer", "select", "dashboards", "another's row, own tenant"),
        },
        set(),
    ),
    "a policy for everybody": (
        "clinic_calendar",
        _replaced("select_viewer", "clinic_calendar", f"for select using ({TENANTS.format('viewer')})"),
        set(),
        {"policy_roles"},
    ),
    "a policy and a right for visitors": (
        "provider_locations",
        [
            "create policy visitors on clinic.provider_locations for select to anon using (true)",
            "grant select on clinic.provider_locations to anon",
            "grant usage on schema clinic to anon",
        ],
        {("anon", "select", "provider_locations", "any row")},
        {"policy_roles", "policy_conditions", "login_table_rights"},
    ),
    "a second policy that opens the first": (
        "locations",
        ["create policy more on clinic.locations for delete to authenticated using (name is not null)"],
        {
            ("viewer", "delete", "locations", "own tenant"),
            ("staff", "delete", "locations", "own tenant"),
        },
        {"policy_commands"},
    ),
    "row-level security disabled": (
        "goal_templates",
        ["alter table clinic.goal_templates disable row level security"],
        {
            ("viewer", "select", "goal_templates", "other tenant"),
            ("viewer", "delete", "goal_templates", "other tenant"),
        },
        {"rls_enabled"},
    ),
    "row-level security not forced": (
        "column_mappings",
        ["alter table clinic.column_mappings no force row level security"],
        set(),
        {"rls_forced"},
    ),
    "a right to change the tenant": (
        "provider_locations",
        ["grant update (clinic_id) on clinic.provider_locations to authenticated"],
        {
            ("super admin", "update", "provider_locations", "move to the other tenant"),
            ("super admin", "update", "provider_locations", "column clinic_id"),
        },
        {"client_column_rights"},
    ),
    "a lesser role than the matrix says": (
        "external_id_mappings",
        _replaced(
            "select_staff", "external_id_mappings", f"for select to authenticated using ({TENANTS.format('viewer')})"
        ),
        {
            ("viewer", "select", "external_id_mappings", "own tenant"),
            ("viewer here, clinic_admin elsewhere", "select", "external_id_mappings", "own tenant"),
        },
        set(),
    ),
    "a greater role than the matrix says": (
        "external_id_mappings",
        _replaced(
            "select_staff",
            "external_id_mappings",
            f"for select to authenticated using ({TENANTS.format('clinic_admin')})",
        ),
        {
            ("staff", "select", "external_id_mappings", "own tenant"),
            ("provider", "select", "external_id_mappings", "own tenant"),
        },
        set(),
    ),
    "a role that counts in every tenant of its holder": (
        "clinic_calendar",
        _replaced(
            "delete_clinic_admin",
            "clinic_calendar",
            f"for delete to authenticated using ({TENANTS.format('viewer')}"
            " and cardinality((select tenantry.tenants('clinic_admin'))) > 0)",
        ),
        {("viewer here, clinic_admin elsewhere", "delete", "clinic_calendar", "own tenant")},
        set(),
    ),
    "somebody else's own rows": (
        "dashboards",
        _replaced("delete_own_viewer", "dashboards", f"for delete to authenticated using ({TENANTS.format('viewer')})")
        + _replaced(
            "select_own_viewer", "dashboards", f"for select to authenticated using ({TENANTS.format('viewer')})"
        ),
        {
            ("viewer", "delete", "dashboards", "another's row, own tenant"),
            ("clinic_admin", "delete", "dashboards", "another's row, own tenant"),
        },
        set(),
    ),
    "a secret column that clients read": (
        "google_credentials",
        ["grant select (access_token_encrypted) on clinic.google_credentials to authenticated"],
        {("clinic_admin", "select", "google_credentials", "column access_token_encrypted")},
        set(),
    ),
    "a right that no policy binds": (
        "spreadsheet_connections",
        ["grant truncate, trigger, references on clinic.spreadsheet_connections to authenticated"],
        set(),
        {"client_table_rights"},
    ),
    "a view with the rights of its owner": (
        "every_mapping",
        [
            "create view clinic.every_mapping as select * from clinic.column_mappings",
            "grant select on clinic.every_mapping to authenticated",
        ],
        set(),
        {"views"},
    ),
    "a context function open to PUBLIC": (
        "peek",
        [
            "create function tenantry.peek() returns bigint language sql security definer"
            " as 'select count(*) from clinic.locations'"
        ],
        set(),
        {"context_functions", "tenantry_functions"},
    ),
    "a table that nobody secured": (
        "later",
        ["create table clinic.later (clinic_id uuid, id uuid)", "grant select on clinic.later to authenticated"],
        set(),
        {"rls_enabled", "rls_forced"},
    ),
}
"""What is broken: the table or object by which findings name it, statements, cells that fail, checks that fail."""

# No two of a group touch the same table, so that none hides another.
GROUPS = {
    "one": (
        "a policy that lets everything through",
        "an insert policy without its check",
        "an update policy that looks at the old row only",
        "a policy for everybody",
        "a policy and a right for visitors",
        "row-level security not forced",
        "a lesser role than the matrix says",
        "a secret column that clients read",
        "a right that no policy binds",
        "a context function open to PUBLIC",
        "a table that nobody secured",
    ),
    "another": (
        "a second policy that opens the first",
        "row-level security disabled",
        "a right to change the tenant",
        "a greater role than the matrix says",
        "a role that counts in every tenant of its holder",
        "somebody else's own rows",
        "a view with the rights of its owner",
    ),
}


def _in_place(built: Built, *tables: str) -> Proof:
    return prove(built.project, owner_dsn=built.owner_dsn, login_dsn=None, tables=tables or None)


def test_clinic_is_proved_in_place_and_nothing_of_it_is_left(servers: dict[int, EmbeddedServer]) -> None:
    with fresh_database(running_server(servers, min(versions()))) as database:
        _proved_in_place(build_clinic(database))


def _proved_in_place(built: Built) -> None:
    names = [table.name for table in built.project.target.tables]
    counts = " union all ".join(f"select '{name}', count(*) from clinic.{name}" for name in names)
    with built.owner() as owner:
        before = owner.execute(counts.encode()).fetchall()
        proof = _in_place(built)
        assert proof.passed, proof.failures[:5]
        assert len(proof.cells) > 2500
        assert "in place" in proof.login
        assert any("left after the rollback" in note for note in proof.notes)
        assert owner.execute(counts.encode()).fetchall() == before
        for nothing in ("auth.users", "tenantry.account"):
            assert owner.execute(f"select count(*) from {nothing}".encode()).fetchone() == (0,)
        assert owner.execute("select to_regclass('tenantry.proof_fixture')").fetchone() == (None,)
        assert owner.execute("select count(*) from tenantry.seal_key").fetchone() == (1,)


def test_in_place_tables_whose_triggers_act_outside_are_left_out_and_named(database: Database) -> None:
    built = build_clinic(database)
    with built.owner() as owner:
        run(
            owner,
            "create function clinic.tell() returns trigger language plpgsql as"
            " $$ begin perform dblink_exec('host=elsewhere', 'select 1'); return new; end $$",
            "create trigger tell after insert on clinic.locations for each row execute function clinic.tell()",
        )
    proof = _in_place(built, "locations", "providers")
    assert "locations" not in {cell.table for cell in proof.cells}
    assert any(
        note.startswith("locations: its trigger may act outside of the transaction: tell") for note in proof.notes
    )
    assert proof.failures == ()


def test_who_cannot_become_the_clients_proves_nothing_in_place(database: Database) -> None:
    built = build_clinic(database)
    other = f"{database.name}_owner"
    with database.connect() as admin:
        run(admin, f"create role {other} login superuser noinherit", f"alter role {other} nosuperuser")
        try:
            with pytest.raises(RightsMissing, match="cannot become anon and authenticated"):
                prove(built.project, owner_dsn=database.dsn_as(other), login_dsn=None)
        finally:
            run(admin, f"drop role {other}")


@pytest.mark.parametrize("group", GROUPS)
def test_a_proof_names_the_broken_cells(group: str, database: Database) -> None:
    assert sorted(kind for kinds in GROUPS.values() for kind in kinds) == sorted(BROKEN)
    kinds = {kind: BROKEN[kind] for kind in GROUPS[group]}
    assert len({about for about, *_ in kinds.values()}) == len(kinds)
    built = build_clinic(database)
    tables = [about for about, *_ in kinds.values() if about in built.project.manifest.tables]
    with built.owner() as owner:
        # Like the default privileges of a server that were not revoked.
        run(owner, f"alter default privileges for role {OWNER} grant execute on functions to public")
        for _, statements, _, _ in kinds.values():
            run(owner, *statements)
    for way in (_in_place, _prove):
        proof = way(built, *tables)
        assert not proof.passed
        said = {(name, text) for name, texts in _failed_checks(proof).items() for text in texts}
        for kind, (about, _, cells, checks) in kinds.items():
            failed = {cell for cell in _failures(proof) if cell[2] == about}
            assert cells <= failed, kind
            assert bool(cells) == bool(failed), kind
            mine = {(name, text) for name, text in said if re.search(rf"\b{about}\b", text)}
            assert {name for name, _ in mine} == checks, kind
            said -= mine
        assert said == set()
        assert {cell[2] for cell in _failures(proof)} <= set(tables)
    text = proof_markdown(proof)
    assert "FAILED" in text
    for _, _, cells, _ in kinds.values():
        assert all(f"{role}: {command} {name}, {relation}" in text for role, command, name, relation in cells)
    assert _rows(built) == 0


# -- memberships that end, tenants that are closed ---------------------------------------------------------------------

MEMBERS = ("clinics", "dashboards", "external_id_mappings", "locations", "profiles", "providers", "user_clinic_roles")


def _forgetting(built: Built, kinds: list[str]) -> list[str]:
    """The context functions as for a manifest in which nothing of these kinds is ever inactive."""
    manifest = built.project.manifest
    keys = [key for kind in kinds if (key := FORGETFUL[kind][0])]
    records = {key: getattr(manifest, key).model_copy(update={"active": None}) for key in keys}
    return [context_sql(manifest.model_copy(update=records))]


def _remembering(owner: Connection, built: Built) -> list[str]:
    """Context functions that look up memberships once in a transaction."""
    row = owner.execute("select pg_get_functiondef('tenantry.tenants(text)'::regprocedure)").fetchone()
    assert row is not None
    definer = built.project.manifest.database_roles.definer
    roles = built.project.manifest.roles.order
    return [
        f"grant create on schema tenantry to {definer}",
        f"set role {definer}",
        str(row[0])
        .replace("tenantry.tenants(", "tenantry.looked_up(")
        .replace("tenants.at_least", "looked_up.at_least"),
        f"""
        create or replace function tenantry.tenants(at_least text) returns uuid[]
            language plpgsql stable security definer set search_path = pg_catalog, pg_temp
        as $$
        declare
            key text := 'remembered.of_' || coalesce(replace(tenantry.uid()::text, '-', ''), 'nobody') || '_';
            each text;
        begin
            if coalesce(current_setting(key || 'x' || tenants.at_least, true), '') = '' then
                foreach each in array array[{", ".join(f"'{role}'" for role in roles)}] loop
                    perform set_config(key || 'x' || each, tenantry.looked_up(each)::text, true);
                end loop;
            end if;
            return current_setting(key || 'x' || tenants.at_least)::uuid[];
        end
        $$""",
        "reset role",
        f"revoke create on schema tenantry from {definer}",
    ]


FORGETFUL = {
    "tenants that are closed": ("tenant", (INACTIVE_TENANT, INACTIVE_LENDER)),
    "memberships that are inactive": ("membership", (INACTIVE_MEMBERSHIP,)),
    "memberships that were removed": ("", (REMOVED,)),
}
"""What context functions forget: the manifest's key that says it, if one does, and the states that fail."""


@pytest.mark.parametrize("way", [_in_place, _prove], ids=["in place", "over a login"])
def test_a_state_that_policies_ignore_fails_only_its_own_cells(way: Callable[..., Proof], database: Database) -> None:
    """In place each kind by itself, on a table of each sort; over a login all of them at once, on all tables about members."""
    built = build_clinic(database)
    tables = ("dashboards", "locations", "providers") if way is _in_place else MEMBERS
    sound = way(built, *tables)
    assert not sound.failures
    # What a member may do, and is not to do any more.
    allowed = {(cell.role, cell.command, cell.table, cell.relation) for cell in sound.cells if cell.expected == "allow"}
    groups = [[kind] for kind in FORGETFUL] if way is _in_place else [list(FORGETFUL)]
    for kinds in groups:
        states = {state for kind in kinds for state in FORGETFUL[kind][1]}
        with built.owner() as owner, owner.transaction():
            run(owner, *_forgetting(built, kinds))
            run(owner, *(_remembering(owner, built) if REMOVED in states else ()))
        spoilt = way(built, *tables)
        lost = {
            (cell.role, cell.command, cell.table, cell.relation)
            for cell in sound.cells
            if cell.relation.startswith(tuple(f"{state}: " for state in states))
            and cell.expected == "refuse"
            and (cell.role, cell.command, cell.table, cell.relation.partition(": ")[2]) in allowed
            and cell.role != "super admin"
        }
        assert _failures(spoilt) == lost, kinds
        for state in states:
            of_state = {cell for cell in lost if cell[3].startswith(f"{state}: ")}
            assert of_state, state
            assert {role for role, *_ in of_state} >= set(built.project.manifest.roles.order)
        assert {command for _, command, _, _ in lost} == set(COMMANDS)
        assert _rows(built) == 0
        with built.owner() as owner, owner.transaction():
            run(owner, context_sql(built.project.manifest))


WEAKER = {
    "tenantry.shared(text)": (
        (" and (accepted_at is not null)", ""),
        ("(until is null or until > clock_timestamp())", "true"),
        ("since <= clock_timestamp()", "true"),
        ("kind = 'goals'", "kind in ('goals', 'metrics')"),
    ),
    "tenantry.tenants(text)": (("a.deleted_at is null and ", ""),),
}


def test_shares_that_do_not_hold_and_memberships_that_people_give_themselves_fail(database: Database) -> None:
    built = build_clinic(database)
    with database.connect() as admin:
        for signature, changes in WEAKER.items():
            row = admin.execute("select pg_get_functiondef(%s::regprocedure)", [signature]).fetchone()
            assert row is not None
            text = str(row[0])
            for old, new in changes:
                assert old in text
                text = text.replace(old, new)
            admin.execute(text.encode())
        run(
            admin,
            "grant insert (clinic_id, profile_id, role), update (role) on clinic.user_clinic_roles to authenticated",
            "create policy join_in on clinic.user_clinic_roles for insert to authenticated"
            " with check (profile_id = (select tenantry.profile_id()) and role = 'viewer')",
            "create policy promote on clinic.user_clinic_roles for update to authenticated using"
            " (clinic_id = any ((select tenantry.tenants('provider'))::uuid[]))",
        )
    proof = _in_place(built, "goals", "locations", "user_clinic_roles")
    assert not proof.untried
    failed = _failures(proof)
    assert {relation for _, _, table, relation in failed if table == "goals" and relation.startswith("share that")} == {
        "share that was not accepted: shared row",
        "share that breaks since <= clock_timestamp(): shared row",
        "share that breaks until IS NULL OR until > clock_timestamp(): shared row",
        "share that was ended: goals: shared row",
    }
    assert ("deleted super admin", "select", "locations", "other tenant") in failed
    assert ("banned super admin", "select", "locations", "other tenant") not in failed
    for promoted in ("own row, role = role", "own row, role = 'clinic_admin'"):
        assert ("provider", "update", "user_clinic_roles", promoted) in failed
    assert ("signed in", "insert", "user_clinic_roles", "becoming viewer of a tenant, own") in failed
    assert ("staff", "insert", "user_clinic_roles", "becoming viewer of a tenant, other") in failed
    with built.owner() as owner:
        found = run_lint(owner, manifest=built.project.manifest, only=["members_writable"])
    assert {finding.level for finding in found.findings} == {"error"}


def _states_without_a_key(proof: Proof) -> None:
    """A state of which the manifest knows nothing is reported as not applicable."""
    relations = {cell.relation.partition(": ")[0] for cell in proof.cells}
    assert {INACTIVE_TENANT, REMOVED} <= relations
    assert INACTIVE_MEMBERSHIP not in relations
    assert any(note.startswith("inactive membership: not applicable, the manifest has no") for note in proof.notes)
    # Notes reference memberships, so they are deleted first.
    note = next(note for note in proof.notes if note.startswith(REMOVED))
    assert "Note (own row)" in note
    tried = {(cell.role, cell.command, cell.table, cell.relation): cell.got for cell in proof.cells}
    assert tried["boss", "delete", "Note", f"{REMOVED}: another's row, own tenant"] == "refuse"
    assert tried["boss", "insert", "Note", f"{REMOVED}: own row"] == "refuse"
    assert tried["boss", "select", "Tag", f"{REMOVED}: shared"] == "allow"


def test_system_rows_and_public_rows_stay_and_shared_ones_go(database: Database, tmp_path: Path) -> None:
    built = build_studio(database, tmp_path)
    for proof in (_prove(built), _in_place(built)):
        assert proof.passed
        tried = {(cell.role, cell.command, cell.table, cell.relation): cell.got for cell in proof.cells}
        for state in (INACTIVE_TENANT, REMOVED):
            assert tried["potter", "select", "pots", f"{state}: shared row"] == "refuse"
            assert tried["potter", "select", "pots", f"{state}: public row"] == "allow"
            assert tried["potter", "select", "glazes", f"{state}: system row"] == "allow"
            assert tried["master", "update", "glazes", f"{state}: system row"] == "refuse"
        assert tried["potter", "select", "pots", f"{INACTIVE_LENDER}: shared row"] == "refuse"
        assert tried["super admin", "select", "pots", f"{INACTIVE_TENANT}: other tenant"] == "allow"


def test_where_a_membership_cannot_be_deleted_it_is_made_inactive(database: Database) -> None:
    built = build_clinic(database)
    with built.owner() as owner:
        run(
            owner,
            "create trigger keep before delete on clinic.user_clinic_roles execute function clinic.refuse_change()",
        )
    proof = _in_place(built, "dashboards", "locations")
    assert not proof.failures
    assert not proof.untried
    tried = {(cell.role, cell.command, cell.table, cell.relation): cell.got for cell in proof.cells}
    # What went with the membership otherwise is still there, and not to be seen.
    assert tried["clinic_admin", "select", "dashboards", f"{REMOVED}: own row"] == "refuse"
    assert tried["clinic_admin", "delete", "locations", f"{REMOVED}: own tenant"] == "refuse"


def test_a_state_that_no_value_brings_about_is_not_tried_and_says_why(database: Database) -> None:
    built = build_clinic(database)
    manifest = built.project.manifest
    always = {
        "tenant": manifest.tenant.model_copy(update={"active": "name is not null"}),
        "membership": manifest.membership.model_copy(update={"active": "profile_id is not null"}),
    }
    project = replace(built.project, manifest=manifest.model_copy(update=always))
    proof = prove(project, owner_dsn=built.owner_dsn, login_dsn=None, tables=["locations", "providers"])
    assert not proof.failures
    reasons = {cell.relation.partition(": ")[0]: cell.detail for cell in proof.untried}
    assert set(reasons) == {INACTIVE_MEMBERSHIP, INACTIVE_TENANT, INACTIVE_LENDER}
    assert (
        reasons[INACTIVE_TENANT] == "no value was found with which name is not null does not hold for a row of clinics"
    )
    assert {cell.command for cell in proof.untried} == set(COMMANDS)


def test_a_state_that_leaves_traces_is_not_tried_over_a_login(database: Database) -> None:
    built = build_clinic(database)
    with built.owner() as owner:
        run(
            owner,
            "create table clinic.closings (clinic_id uuid references clinic.clinics (id))",
            "create function clinic.note_closing() returns trigger language plpgsql as"
            " $$ begin insert into clinic.closings values (new.id); return new; end $$",
            "create trigger note_closing after update of status on clinic.clinics for each row"
            " execute function clinic.note_closing()",
        )
    proof = _prove(built, "locations", "providers")
    assert not proof.failures
    untried = {cell.relation.partition(": ")[0]: cell.detail for cell in proof.untried}
    assert set(untried) == {INACTIVE_TENANT, INACTIVE_LENDER}
    assert "could no longer be removed" in untried[INACTIVE_TENANT]
    assert _rows(built) == 0
    # In place everything is rolled back.
    assert not _in_place(built, "locations", "providers").untried


# -- who may prove ----------------------------------------------------------------------------------------------------


UNFIT: dict[str, tuple[Callable[[str], list[str]], str]] = {
    "superuser": (lambda login: [f"alter role {login} superuser"], "superuser"),
    "bypasses": (lambda login: [f"alter role {login} bypassrls"], "bypasses"),
    "owner": (
        lambda login: [f"grant all on schema clinic to {login}", f"alter table clinic.locations owner to {login}"],
        "owns",
    ),
    "member of the service": (lambda login: [f"grant service_role to {login}"], "service_role"),
    "cannot open": (
        lambda login: [f"revoke execute on function tenantry.open(text, text) from {login}"],
        "cannot open a context",
    ),
    "no client": (lambda login: [f"revoke authenticated from {login}"], "cannot become authenticated"),
}


def test_a_login_with_rights_of_its_own_is_refused_before_anything_is_made(database: Database) -> None:
    built = build_clinic(database)
    with database.connect() as admin:
        for number, (spoil, said) in enumerate(UNFIT.values()):
            login = f"{database.name}_app{number}"
            run(admin, f"create role {login} login noinherit", f"grant anon, authenticated to {login}")
            try:
                if database.version >= 16:
                    run(admin, f"grant anon, authenticated to {login} with inherit false, set true")
                run(
                    admin,
                    f"grant usage on schema tenantry to {login}",
                    f"grant execute on function tenantry.challenge(), tenantry.open(text, text) to {login}",
                )
                dsn = database.dsn_as(login)
                if number == 0:
                    assert prove(built.project, owner_dsn=built.owner_dsn, login_dsn=dsn, tables=["locations"]).passed
                run(admin, *spoil(login))
                with pytest.raises(UnfitLogin) as caught:
                    prove(built.project, owner_dsn=built.owner_dsn, login_dsn=dsn)
                assert said in caught.value.message
                assert _rows(built) == 0
            finally:
                run(admin, f"reassign owned by {login} to {OWNER}", f"drop owned by {login}", f"drop role {login}")


def test_missing_roles_are_named(database: Database) -> None:
    built = build_clinic(database)
    other = built.project.manifest.model_copy(update={"database_roles": DatabaseRoles(backup="nobody_backs_up")})
    project = type(built.project)(other, "", built.project.source, built.project.target, ())
    with pytest.raises(RolesMissing, match="nobody_backs_up"):
        prove(project, owner_dsn=built.owner_dsn, login_dsn=built.login_dsn)


# -- the invented rows ------------------------------------------------------------------------------------------------


def test_rows_of_a_proof_that_was_killed_are_removed_by_the_next(database: Database) -> None:
    built = build_clinic(database)
    with connect(built.owner_dsn) as owner:
        assert remove_leftovers(owner) == 0
        make_fixtures(owner, built.project, people(built.project.manifest))
    assert _rows(built) > 100
    assert _prove(built, "locations").passed
    assert _rows(built) == 0


def test_one_proof_of_a_database_runs_at_a_time(database: Database) -> None:
    built = build_clinic(database)
    seen: list[str] = []

    def during(who: str, _done: int, _all: int) -> None:
        if not seen:
            seen.append(who)
            with pytest.raises(RunInProgress):
                _prove(built, "locations")

    proof = prove(
        built.project, owner_dsn=built.owner_dsn, login_dsn=built.login_dsn, tables=["locations"], progress=during
    )
    assert proof.passed
    assert seen == ["viewer"]


def test_a_proof_leaves_the_applications_rows_unchanged(database: Database) -> None:
    built = build_clinic(database)
    with built.owner() as owner:
        run(
            owner,
            "insert into clinic.clinics (name, location, time_zone) values ('Fernhill', 'Fernhill', 'America/Chicago')",
            "insert into clinic.audit_log (clinic_id, action, table_name) select id, 'read', 'x' from clinic.clinics",
            "insert into clinic.locations (clinic_id, name) select id, 'Main' from clinic.clinics",
        )
        digest = (
            b"select md5(string_agg(c::text || a::text || l::text, ''))"
            b" from clinic.clinics c, clinic.audit_log a, clinic.locations l"
        )
        before = owner.execute(digest).fetchone()
        proof = _prove(built, "audit_log", "locations", "clinics")
        assert proof.passed
        assert owner.execute(digest).fetchone() == before
    # A row that is there already takes the place of one that could not be removed again.
    selects = [cell for cell in proof.cells if (cell.table, cell.command) == ("audit_log", "select")]
    tried = {(cell.role, cell.relation): cell for cell in selects}
    assert tried["clinic_admin", "other tenant"].got == "refuse"
    assert tried["super admin", "other tenant"].got == "allow"
    assert tried["no context", "any row"].got == "refuse"


def test_a_right_that_is_missing_fails_as_one_that_is_too_many(database: Database) -> None:
    built = build_clinic(database)
    with built.owner() as owner:
        run(owner, "revoke select on clinic.locations from authenticated")
    assert ("viewer", "select", "locations", "own tenant") in _failures(_prove(built, "locations"))
    with built.owner() as owner:
        secure(owner, built.project)
    assert _prove(built, "locations").passed
