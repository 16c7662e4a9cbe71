"""Tenantry sees every row, or refuses: row-level security hides rows without an error."""

from __future__ import annotations

from typing import Any

from tenantry.accounts.auth_schema import auth_script
from tests.small import OWNER, MakeSmall, Small, target_table
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

NOTES = """
create table notes (id text primary key, org_id text not null references "Organization" (id), body text, owner_id text);
insert into notes values ('n1', 'o1', 'a', 'u1'), ('n2', 'o1', 'b', 'u2'), ('n3', 'o2', 'c', 'u3');
"""
POLICY = "create policy mine on notes using (owner_id = current_setting('app.user_id', true))"
FORCED = "alter table notes enable row level security, force row level security"
UNFORCED = "alter table notes no force row level security"
TABLES = """
[tables.notes]
from = "notes"
tenant = ["org_id"]
access = "tenant"
"""


def make(small: MakeSmall, source: str = "", **parts: Any) -> Small:
    return small(
        source=NOTES + source, target=target_table("notes", ", body text, owner_id text"), tables=TABLES, **parts
    )


def refused(made: Small, *arguments: str) -> None:
    said = made.run(*arguments, "--json", code=2).json["error"]
    assert said["code"] == "TN-216"
    assert "public.notes" in said["message"] and OWNER in said["message"] and "bypassrls" in said["hint"]


def test_a_forced_source_table_is_refused_before_anything_is_changed(small: MakeSmall) -> None:
    made = make(small, f"{FORCED}; {POLICY};")
    found = made.run("analyze", "--json", code=1).json["findings"]
    assert [(each["code"], each["severity"], each["table"]) for each in found if each["severity"] == "blocker"] == [
        ("TA-120", "blocker", "public.notes")
    ]
    for arguments in (
        ("plan",),
        ("migrate",),
        ("migrate", "--only", "\"Organization\".id = 'o1'"),
        ("rehearse",),
        ("users", "plan"),
    ):
        refused(made, *arguments)
    assert made.one("select to_regnamespace('tenantry') is null and to_regnamespace('app') is null")


def test_the_advice_of_the_message_makes_every_row_visible(small: MakeSmall) -> None:
    made = make(small, f"{FORCED}; {POLICY};")
    made.as_owner(f"create policy tenantry_migrator on public.notes to {OWNER} using (true) with check (true)")
    assert made.run("analyze", "--json").json["findings"] is not None
    made.migrate()
    assert made.one("select count(*) from app.notes") == 3
    # Policies with a condition, and those that restrict, take it back.
    made.as_owner("create policy only_few on notes as restrictive using (id <> 'n1')")
    refused(made, "verify")
    made.as_owner("drop policy only_few on notes", UNFORCED)
    made.write("insert into notes values ('n4', 'o2', 'd', 'u3')", user="postgres")
    made.cut_over()
    assert made.one("select count(*) from app.notes") == 4
    # Behind the cut-over the target's own policies let the migrator see everything; without them it refuses.
    made.roll_back()
    made.as_owner("drop policy owner_all on app.notes")
    said = made.run("replay", "--until-idle", "--json").json["error"]
    assert said["code"] == "TN-216" and "app.notes" in said["message"]


def test_a_table_that_becomes_forced_under_a_run_stops_every_command_that_reads_it(small: MakeSmall) -> None:
    made = make(small)
    made.migrate()
    made.as_owner(FORCED, POLICY)
    made.write("update notes set body = 'x' where id = 'n1'", user="postgres")
    for arguments in (
        ("replay", "--until-idle"), ("verify",), ("verify", "--repair"), ("verify", "--journal"), ("cutover",), ("migrate",),
        ("quarantine", "retry"),
    ):  # fmt: skip
        refused(made, *arguments)
    assert made.one("select count(*) from app.notes") == 3
    made.as_owner(UNFORCED)
    made.cut_over()
    assert made.one("select body from app.notes where legacy_id = 'n1'") == "x"
    made.as_owner(FORCED)
    for arguments in (("rollback", "--yes"), ("contract", "--yes"), ("replay", "--until-idle")):
        refused(made, *arguments)
    assert made.one("select direction from tenantry.run") == "reverse"
    made.as_owner(UNFORCED)
    made.roll_back()
    made.as_owner(FORCED)
    # Nothing of the source is read when a run that was not cut over is taken back.
    made.roll_back("--everything")
    assert made.rows("select count(*), to_regnamespace('app') is null from notes") == [(3, True)]


def test_rows_of_accounts_that_the_login_may_not_see_are_refused(small: MakeSmall) -> None:
    # Another one's schema of accounts, as that of a Supabase: every table has row-level security, and its owner alone sees all.
    grants = f"grant usage, create on schema auth to {OWNER}; grant all on all tables in schema auth to {OWNER};"
    made = make(small, before=auth_script() + grants, accounts=False)
    for arguments in (("users", "plan"), ("migrate",)):
        said = made.run(*arguments, "--json", code=2).json["error"]
        assert said["code"] == "TN-216" and "auth.users" in said["message"], said
    found = made.run("analyze", "--json", code=1).json["findings"]
    assert ("TA-120", "auth.users") in {(each["code"], each["table"]) for each in found}
