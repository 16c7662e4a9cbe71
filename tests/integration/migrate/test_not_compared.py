"""What a comparison leaves out is listed, with the reason, and counts as equal nowhere."""

from __future__ import annotations

import pytest

from tests.conftest import available
from tests.small import MIGRATOR, MakeSmall, target_table
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

SOURCE = """
create table notes (id text primary key, org_id text not null references "Organization" (id), body text, mood text, draft boolean);
insert into notes values ('n1', 'o1', 'a', 'x', false), ('n2', 'o1', 'b', 'x', false), ('n3', 'o2', 'c', 'x', true), ('n4', 'o2', null, 'x', false);
create table leftovers (id text primary key);
create table a_items (id text primary key, org_id text not null references "Organization" (id), name text);
create table b_items (id text primary key, org_id text not null references "Organization" (id));
insert into a_items values ('1', 'o1', 'one');
insert into b_items values ('1', 'o2');
"""
TABLES = """
[tables.notes]
from = "notes"
tenant = ["org_id"]
where = "not s.draft"
access = "tenant"
[tables.tags]
access = "tenant"
[tables.items]
access = "tenant"
[tables.items.sources.a]
from = "a_items"
tenant = ["org_id"]
[tables.items.sources.b]
from = "b_items"
tenant = ["org_id"]
"""


def test_everything_that_is_left_out_is_listed(small: MakeSmall) -> None:
    made = small(
        source=SOURCE,
        target=target_table("notes", ", body text not null, seen_at timestamptz")
        + "create table tags (id uuid primary key, org_id uuid not null references orgs (id));"
        + target_table("items", ", name text"),
        tables=TABLES,
        section='ignore = ["leftovers"]',
    )
    made.migrate()
    said = made.run("verify", "--json", code=0).json
    listed = {(each["table"], each["column"], each["rows"]): each["why"] for each in said["not_compared"]}
    assert set(listed) >= {
        ("app.notes", "seen_at", None), ("public.notes", "mood", None), ("public.notes", "", 1), ("public.leftovers", "", None),
        ("app.tags", "", None), ("app.items", "name", None), ("auth.users", "", None),
    }  # fmt: skip
    assert "b_items" in listed["app.items", "name", None]
    assert {each["why"] for each in said["not_compared"] if each["table"] == "public.notes" and each["rows"]} == {
        "are in quarantine",
        "are left out by where = not s.draft (notes)",
    }
    text = made.run("verify", code=0).out
    assert "Not compared (" in text and "app.notes, column seen_at: no source column fills it" in text
    report = made.folder / "report"
    made.run("migrate", "--report", str(report), code=0)
    page = (report / "report.html").read_text()
    assert "Not compared, with reasons" in page and "seen_at" in page
    # A row without a source is no omission: others inserted it.
    made.as_superuser(
        "alter table app.items disable trigger all",
        "update app.items set legacy_id = 'nobody''s' where legacy_id like 'b:%'",
    )
    said = made.run("verify", "--json", code=1).json
    assert [each["table"] for each in said["checks"] if each["check"] == "origin" and not each["passed"]] == ["items"]


@pytest.mark.skipif(not available(15), reason="the embedded server has no ICU")
def test_text_that_only_its_collation_calls_equal_is_a_difference(small: MakeSmall) -> None:
    made = small(
        version=15,
        before="create collation public.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);",
        source="""
            create table notes (id text primary key, org_id text not null references "Organization" (id), body text collate loose);
            insert into notes values ('n1', 'o1', 'word');
        """,
        target=target_table("notes", ", body text collate public.loose"),
        tables=TABLES.split("[tables.tags]", maxsplit=1)[0].replace('where = "not s.draft"\n', ""),
    )
    made.migrate()
    # By the login of the runs, whose writes nothing notes.
    made.write("update app.notes set body = 'WORD'", user=MIGRATOR)
    said = made.run("verify", "--json", code=1).json
    assert ("body", "word", "WORD") in {
        (each["column"], each["expected"], each["found"]) for check in said["checks"] for each in check["differences"]
    }
