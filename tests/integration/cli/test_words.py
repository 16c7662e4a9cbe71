"""Messages say what happened, to what, and what to do: never a traceback, never a bare word of the server."""

from __future__ import annotations

import json

import pytest

from tenantry.cli.commands import plan as plan_command
from tenantry.migrate.verify.likely_causes import likely
from tenantry.migrate.verify.results import Difference
from tests.small import MakeSmall, Small, target_table

NOTES = """
create table notes (id text primary key, org_id text not null references "Organization" (id), body text, double text);
insert into notes values ('n1', 'o1', 'one', '1'), ('n2', 'o2', 'two', '2');
"""
TABLES = '[tables.notes]\nfrom = "notes"\ntenant = ["org_id"]\naccess = "tenant"\n'


def notes(make: MakeSmall, more: str = "", users: str = "", source: str = NOTES) -> Small:
    return make(
        source=source, target=target_table("notes", ", body text, double text"), tables=TABLES + more, users=users
    )


def test_a_migration_reports_who_may_write_before_the_cutover(small: MakeSmall) -> None:
    made = notes(small)
    said = made.migrate().everything
    assert "refuses writes from now on" not in said
    made.write("insert into notes values ('n3', 'o1', 'three', '3')")
    plan = made.run("plan", code=0).out
    assert "Writers of public wait from the copy" not in plan
    assert "--max-write-pause" in plan


def test_columns_that_users_are_read_from_are_carried(small: MakeSmall) -> None:
    made = notes(
        small,
        users='verified = \'s."emailVerified"\'\nsystem = "s.robot"\n',
        source=NOTES
        + 'alter table "User" add "emailVerified" boolean, add robot boolean, add spare text,'
        + " add made text generated always as (upper(email)) stored;",
    )
    found = json.loads(made.run("analyze", "--json").out)["findings"]
    assert [each["column"] for each in found if each["code"] == "TA-106" and each["table"] == "User"] == ["spare"]


def test_a_condition_that_names_a_table_with_capitals_is_shown_as_it_must_be_typed(small: MakeSmall) -> None:
    made = notes(small)
    said = made.run("migrate", "--only", "Organization.id in ('o1')", code=2).everything
    assert "TN-413" in said
    assert r'--only "\"Organization\".id in' in said
    made.run("migrate", "--only", "\"Organization\".id in ('o1')", code=0)


def test_no_error_shows_a_traceback(small: MakeSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    made = notes(small)

    def broken(*_: object, **__: object) -> None:
        raise AssertionError("steps wait for each other")

    monkeypatch.setattr(plan_command, "prepared_project", broken)
    said = made.run("plan", code=2).everything
    assert "TN-000" in said
    assert "steps wait for each other" in said
    assert "tenantry-error-" in said
    assert "Traceback" not in said


def test_a_failed_comparison_names_likely_causes() -> None:
    def told(*differences: Difference) -> str:
        return " ".join(likely(differences))

    assert "inherits" in told(Difference("rows", "notes", "n1", "", "a row", "none"))
    assert "partition" in told(Difference("rows", "notes", "n1", "", "no row", "one"))
    assert "notes.body" in told(Difference("rows", "notes", "n1", "body", "a", "b"))
    assert "differ from its files" in told(Difference("catalog", "notes", "index x", "", "an index", "none"))
    assert "defect" not in told(Difference("rows", "notes", "n1", "", "a row", "none"))


def test_sql_of_the_manifest_that_the_server_does_not_take_is_named_by_its_line(small: MakeSmall) -> None:
    more = '[tables.notes.columns.body]\nup = "no_such_function(s.body)"\n[tables.notes.columns.double]\nup = "s.double * s.body"\n'
    made = notes(small, more, users='verified = "s.name + 1"\n')
    lines = made.path.read_text(encoding="utf-8").splitlines()
    for command in ("analyze", "migrate"):
        said = made.run(command, code=2).everything
        assert "TN-110" in said
        for text in ("no_such_function", "s.double * s.body", "s.name + 1"):
            line = next(number for number, each in enumerate(lines, start=1) if text in each)
            assert f"tenantry.toml:{line}: " in said
    assert made.rows("select 1 from pg_namespace where nspname = 'tenantry'") == []


VISITS = """
create table visits (id text primary key, org_id text not null references "Organization" (id), at timestamp not null);
alter table "Organization" add zone text;
update "Organization" set zone = 'Europe/Paris' where id = 'o1';
insert into visits values ('v1', 'o1', '2026-01-01 23:30');
"""
VISITS_TARGET = (
    target_table("visits", ", at timestamptz not null, day date not null")
    + "alter table orgs add zone text not null default 'Europe/Berlin';"
)
VISITS_TABLE = """
[tables.visits]
from = "visits"
access = "tenant"
columns = { at = { from = "at" }, day = { from = "at", as = "local_day", zone = "tenant.zone" } }
"""


def test_an_unstated_time_zone_is_a_warning(small: MakeSmall) -> None:
    """A default that would apply to rows that are there: dates would be other ones without a word."""
    app = small(source=VISITS, target=VISITS_TARGET, tables=VISITS_TABLE)
    app.rewrite(
        'from = "Organization"', 'from = "Organization"\ncolumns = { zone = { null = { default = "Europe/Berlin" } } }'
    )
    found = app.run("analyze", "--json").json["findings"]
    said = [each for each in found if each["code"] == "TA-311" and each["column"] == "zone"]
    assert [(each["table"], each["severity"], each["count"]) for each in said] == [("orgs", "warning", 1)]
    assert "visits.day" in said[0]["advice"]
    app.as_superuser('alter table "Organization" drop zone')
    app.rewrite('columns = { zone = { null = { default = "Europe/Berlin" } } }', "")
    found = app.run("analyze", "--json").json["findings"]
    said = [each for each in found if each["code"] == "TA-111" and each["severity"] == "warning"]
    assert [(each["table"], each["column"]) for each in said] == [("orgs", "zone")]
    assert "Europe/Berlin" in said[0]["title"]
    # It is read in that zone by every command, and on the way back.
    app.migrate()
    assert app.one("select day::text from app.visits") == "2026-01-02"
    app.run("verify", code=0)
    app.cut_over()
    app.as_superuser("update app.visits set day = '2026-03-04' where legacy_id = 'v1'")
    app.run("verify", code=0)
    app.roll_back()
    app.run("verify", code=0)
