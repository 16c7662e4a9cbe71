"""`tenantry analyze --code --queries`: what the application has to change, with the server's plans on both schemas."""

from __future__ import annotations

from pathlib import Path

from tests.small import MakeSmall, target_table
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

SOURCE = """
create table notes (id text primary key, org_id text not null references "Organization" (id), body text);
insert into notes values ('n1', 'o1', 'one');
"""
TABLES = '[tables.notes]\nfrom = "notes"\ntenant = ["org_id"]\naccess = "tenant"\n'
QUERIES = """
select id, body from notes where id = 'n1';
select body from public.notes where org_id = $1;
select 1;
truncate notes;
insert into notes values ('n9', 'o1', 'x');
"""


def test_code_and_queries_that_touch_what_changes_are_listed(small: MakeSmall, tmp_path: Path) -> None:
    made = small(source=SOURCE, target=target_table("notes", ", body text"), tables=TABLES)
    (tmp_path / "q.sql").write_text(QUERIES, encoding="utf-8")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a.py").write_text('run("select id from notes")\n', encoding="utf-8")
    options = ("analyze", "--json", "--code", str(tmp_path / "app"), "--queries", str(tmp_path / "q.sql"))
    said = made.run(*options).json
    assert [(each["line"], each["table"], each["column"]) for each in said["code"]] == [
        (1, "notes", ""),
        (1, "notes", "id"),
    ]
    assert said["queries_read"] == 5
    queries = {each["number"]: each for each in said["queries"]}
    assert set(queries) == {1, 2, 4, 5}
    assert "id: text becomes uuid" in queries[1]["columns"][0]
    assert queries[1]["source"]["cost"] > 0 and queries[2]["source"]["cost"] > 0
    assert "not one statement" in queries[4]["source"]["error"]
    assert queries[1]["target"] is None
    made.migrate()
    queries = {each["number"]: each for each in made.run(*options).json["queries"]}
    # An old id is no uuid, and the column has another name.
    assert "uuid" in queries[1]["target"]["error"]
    assert queries[2]["target"]["cost"] is not None or queries[2]["target"]["error"]
    assert made.rows("select count(*) from notes") == [(1,)]
    text = made.run(*[each for each in options if each != "--json"], code=None).out
    assert "Code: 2 places in 1 file" in text and "Queries: 4 of 5" in text
