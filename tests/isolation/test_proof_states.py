"""A proof of memberships that end, tenants that are closed, and rows that everybody may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tenantry.access import context_sql
from tenantry.manifest import COMMANDS
from tenantry.prove import Proof, prove
from tenantry.prove.expected.callers import (
    INACTIVE_LENDER,
    INACTIVE_MEMBERSHIP,
    INACTIVE_TENANT,
    REMOVED,
)
from tenantry.prove.lint.run import run_lint
from tests.conftest import Database
from tests.isolation.build import Built, Connection, build_clinic, run
from tests.isolation.proof_support import count_rows, failures_of, prove_built, prove_in_place
from tests.isolation.studio import build_studio

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


@pytest.mark.parametrize("way", [prove_in_place, prove_built], ids=["in place", "over a login"])
def test_a_state_that_policies_ignore_fails_only_its_own_cells(way: Callable[..., Proof], database: Database) -> None:
    """In place each kind by itself, on a table of each sort; over a login all of them at once, on all tables about members."""
    built = build_clinic(database)
    tables = ("dashboards", "locations", "providers") if way is prove_in_place else MEMBERS
    sound = way(built, *tables)
    assert not sound.failures
    # What a member may do, and is not to do any more.
    allowed = {(cell.role, cell.command, cell.table, cell.relation) for cell in sound.cells if cell.expected == "allow"}
    groups = [[kind] for kind in FORGETFUL] if way is prove_in_place else [list(FORGETFUL)]
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
        assert failures_of(spoilt) == lost, kinds
        for state in states:
            of_state = {cell for cell in lost if cell[3].startswith(f"{state}: ")}
            assert of_state, state
            assert {role for role, *_ in of_state} >= set(built.project.manifest.roles.order)
        assert {command for _, command, _, _ in lost} == set(COMMANDS)
        assert count_rows(built) == 0
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
    proof = prove_in_place(built, "goals", "locations", "user_clinic_roles")
    assert not proof.untried
    failed = failures_of(proof)
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


def test_system_rows_and_public_rows_stay_and_shared_ones_go(database: Database, tmp_path: Path) -> None:
    built = build_studio(database, tmp_path)
    for proof in (prove_built(built), prove_in_place(built)):
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
    proof = prove_in_place(built, "dashboards", "locations")
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
    proof = prove_built(built, "locations", "providers")
    assert not proof.failures
    untried = {cell.relation.partition(": ")[0]: cell.detail for cell in proof.untried}
    assert set(untried) == {INACTIVE_TENANT, INACTIVE_LENDER}
    assert "could no longer be removed" in untried[INACTIVE_TENANT]
    assert count_rows(built) == 0
    # In place everything is rolled back.
    assert not prove_in_place(built, "locations", "providers").untried
