"""The proof passes on a target that obeys its matrix, and names the very cell or check wherever one does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tenantry.access import cutover_revokes
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
from tests.conftest import Database, fresh_database, running_server, versions
from tests.isolation.build import OWNER, Built, build_clinic, build_org, run, secure
from tests.isolation.proof_support import Cell, count_rows, failures_of, prove_built, prove_in_place


def _failed_checks(proof: Proof) -> dict[str, tuple[str, ...]]:
    return {check.name: check.violations for check in proof.checks if not check.passed}


def test_clinic_obeys_its_matrix_in_every_cell(database: Database) -> None:
    """Over a login on the newest version; in place on the oldest, below. A smaller schema is proved both ways on each."""
    built = build_clinic(database)
    proof = prove_built(built)
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
    assert count_rows(built) == 0
    assert len(proof.matrix_rows()) == len(manifest.tables) * len(COMMANDS)
    assert json.loads(json.dumps(proof.to_json()))["counts"]["failed"] == 0
    assert "passed" in proof_markdown(proof)


def test_a_schema_of_other_names_is_proved_by_its_manifest_alone(database_each: Database, tmp_path: Path) -> None:
    built = build_org(database_each, tmp_path)
    for proof in (prove_built(built), prove_in_place(built)):
        assert not proof.failures
        assert not _failed_checks(proof)
        assert not proof.untried
        allowed = {(cell.role, cell.command, cell.table, cell.relation) for cell in proof.cells if cell.got == "allow"}
        assert ("guest", "insert", "Comment", "own row") in allowed
        assert ("guest", "delete", "Comment", "own tenant") not in allowed
        assert ("boss", "delete", "Note", "own row") in allowed
        assert ("signed in", "insert", "Tag", "shared") in allowed
        _states_without_a_key(proof)
    assert count_rows(built) == 0


def test_before_the_cut_over_every_write_is_refused_and_must_be(database: Database, tmp_path: Path) -> None:
    built = build_org(database, tmp_path)
    with built.owner() as owner:
        run(owner, *cutover_revokes(built.project))
    proof = prove(built.project, owner_dsn=built.owner_dsn, login_dsn=built.login_dsn, writes=False)
    assert proof.passed
    assert not any(cell.got == "allow" for cell in proof.cells if cell.command != "select")
    assert ("boss", "delete", "Note", "another's row, own tenant") in failures_of(prove_built(built, "Note"))


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


def test_clinic_is_proved_in_place_and_nothing_of_it_is_left(servers: dict[int, EmbeddedServer]) -> None:
    with fresh_database(running_server(servers, min(versions()))) as database:
        _proved_in_place(build_clinic(database))


def _proved_in_place(built: Built) -> None:
    names = [table.name for table in built.project.target.tables]
    counts = " union all ".join(f"select '{name}', count(*) from clinic.{name}" for name in names)
    with built.owner() as owner:
        before = owner.execute(counts.encode()).fetchall()
        proof = prove_in_place(built)
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
    proof = prove_in_place(built, "locations", "providers")
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
    for way in (prove_in_place, prove_built):
        proof = way(built, *tables)
        assert not proof.passed
        said = {(name, text) for name, texts in _failed_checks(proof).items() for text in texts}
        for kind, (about, _, cells, checks) in kinds.items():
            failed = {cell for cell in failures_of(proof) if cell[2] == about}
            assert cells <= failed, kind
            assert bool(cells) == bool(failed), kind
            mine = {(name, text) for name, text in said if re.search(rf"\b{about}\b", text)}
            assert {name for name, _ in mine} == checks, kind
            said -= mine
        assert said == set()
        assert {cell[2] for cell in failures_of(proof)} <= set(tables)
    text = proof_markdown(proof)
    assert "FAILED" in text
    for _, _, cells, _ in kinds.values():
        assert all(f"{role}: {command} {name}, {relation}" in text for role, command, name, relation in cells)
    assert count_rows(built) == 0


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
                assert count_rows(built) == 0
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
    assert count_rows(built) > 100
    assert prove_built(built, "locations").passed
    assert count_rows(built) == 0


def test_one_proof_of_a_database_runs_at_a_time(database: Database) -> None:
    built = build_clinic(database)
    seen: list[str] = []

    def during(who: str, _done: int, _all: int) -> None:
        if not seen:
            seen.append(who)
            with pytest.raises(RunInProgress):
                prove_built(built, "locations")

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
        proof = prove_built(built, "audit_log", "locations", "clinics")
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
    assert ("viewer", "select", "locations", "own tenant") in failures_of(prove_built(built, "locations"))
    with built.owner() as owner:
        secure(owner, built.project)
    assert prove_built(built, "locations").passed
