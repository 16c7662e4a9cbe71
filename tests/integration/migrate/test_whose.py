"""What is not Tenantry's stays: schemas, tables and triggers of others that have, or come to have, names of ours."""

from __future__ import annotations

import pytest

from tenantry.accounts.auth_schema import auth_script
from tests.small import MIGRATOR, MakeSmall, Small, target_table

SOURCE = """
create table notes (id text primary key, org_id text not null references "Organization" (id), body text not null);
insert into notes values ('n1', 'o1', 'one'), ('n2', 'o2', 'two');
"""
TABLES = """
[tables.notes]
from = "notes"
tenant = ["org_id"]
access = "tenant"
[tables.tenantry_cells]
access = "tenant"
"""
MINE = """
create schema app_kept;
create table app_kept.notes as select 'mine' as what;
create table app_kept.tenantry_cells as select 'mine' as what;
"""


@pytest.fixture
def notes(small: MakeSmall) -> Small:
    return small(
        source=SOURCE,
        target=target_table("notes", ", body text not null") + target_table("tenantry_cells", ", said text"),
        tables=TABLES,
        after=MINE,
    )


def test_a_rollback_keeps_foreign_objects_and_archives_rows_next_to_them(notes: Small) -> None:
    notes.migrate()
    notes.cut_over()
    notes.as_superuser(
        "insert into app.tenantry_cells (org_id, legacy_id, said) select id, 'c1', 'said' from app.orgs limit 1",
        # The application continues, and makes its own table on the active side.
        "create table app.since (id integer primary key, said text)",
        "insert into app.since values (1, 'mine')",
    )
    said = notes.run("rollback", "--yes", "--everything", code=1).everything
    assert "app.since" in said and "set schema" in said, said
    notes.as_superuser(f"grant select on app.since to {MIGRATOR}, small_owner")
    said = notes.roll_back("--everything").everything
    assert "schema app_kept_2" in said
    assert notes.rows("select what from app_kept.notes union all select what from app_kept.tenantry_cells") == [
        ("mine",),
        ("mine",),
    ]
    assert notes.rows("select legacy_id, said from app_kept_2.tenantry_cells") == [("c1", "said")]
    assert notes.one("select said from app_kept_2.since") == "mine"
    assert notes.one("select count(*) from app_kept_2.tenantry_cells_") == 0

    # Nor does a later run touch what an earlier one kept.
    notes.migrate()
    notes.cut_over()
    notes.as_superuser(
        "insert into app.tenantry_cells (org_id, legacy_id, said) select id, 'c2', 'again' from app.orgs limit 1"
    )
    assert "schema app_kept_3" in notes.roll_back("--everything").everything
    assert notes.one("select said from app_kept_2.tenantry_cells") == "said"
    assert notes.one("select said from app_kept_3.tenantry_cells") == "again"


def test_a_foreign_schema_tenantry_is_left_unchanged(small: MakeSmall) -> None:
    made = small(
        after="create schema tenantry; create table tenantry.run (id integer); insert into tenantry.run values (1)"
    )
    said = made.run("migrate", code=2).everything
    assert "TN-423" in said and "alter schema tenantry rename to" in said
    for command in ("status", "verify", "rollback"):
        assert "Traceback" not in made.run(command).everything
    assert made.rows("select * from tenantry.run") == [(1,)]


def test_triggers_of_others_on_accounts_are_not_replaced(small: MakeSmall) -> None:
    made = small(
        after=auth_script() + "grant usage on schema auth to small_owner;"
        " grant all on all tables in schema auth to small_owner;"
        " create function public.f() returns trigger language plpgsql as 'begin return new; end';"
        " create trigger tenantry_mirror_account before insert on auth.users for each row execute function public.f()"
    )
    said = made.run("migrate", code=2).everything
    assert "trigger tenantry_mirror_account on auth.users" in said


def test_analysis_lists_every_name_that_is_taken(small: MakeSmall) -> None:
    function = "create function {}f() returns trigger language plpgsql as 'begin return new; end';"
    made = small(
        source=SOURCE
        + function.format("")
        + "create trigger tenantry_capture after insert on notes for each row execute function f();",
        target=target_table("notes", ", body text not null")
        + "create policy visitors_select on notes for select using (false);"
        + "create policy select_member on notes for select using (false);",
        tables='[tables.notes]\nfrom = "notes"\ntenant = ["org_id"]\naccess = "tenant"\n',
    )
    said = made.run("analyze", "--json", code=1).json["findings"]
    assert [(each["code"], each["table"], each["severity"]) for each in said if each["code"] == "TA-161"] == [
        ("TA-161", "notes", "blocker"),
        ("TA-161", "notes", "blocker"),
    ]
    taken = made.run("migrate", code=2).everything
    assert "trigger tenantry_capture on public.notes" in taken and "policy select_member on app.notes" in taken
    assert made.one("select to_regnamespace('tenantry') is null and to_regnamespace('app') is null")
