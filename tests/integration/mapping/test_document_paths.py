"""Ids in documents that begin with a list, in members of objects, and as keys: there, live, and back."""

from __future__ import annotations

import json

from tests.small import MakeSmall, target_table

SOURCE = """
create table rules (id text primary key, org_id text not null references "Organization" (id));
insert into rules values ('r1', 'o1'), ('r2', 'o1'), ('r3', 'o2');
create table notes (id text primary key, org_id text not null references "Organization" (id), parts jsonb, by_rule jsonb, days json);
insert into notes values
    ('n1', 'o1', '[{"ruleId": "r1"}, {"ruleId": "r2", "n": 1}, 7]', '{"r1": 3, "gone": 4, "r2": null}',
        '{"mon": {"rule": "r1"}, "tue": {"rule": "r3"}, "wed": 5}'),
    ('n2', 'o2', '{"ruleId": "r3"}', '["r3"]', '[{"rule": "r3"}]'),
    ('n3', 'o2', '[["r3"]]', '{}', null);
"""
TARGET = target_table("rules") + target_table("notes", ", parts jsonb, by_rule jsonb, days jsonb")
TABLES = """
[tables.rules]
from = "rules"
access = "tenant"
[tables.notes]
from = "notes"
access = "tenant"
[tables.notes.columns]
parts = { as = "json_ids", ids = { "[*].ruleId" = "rules", "[*][*]" = "rules" } }
by_rule = { as = "json_ids", ids = { "*" = "rules" } }
days = { as = "json_ids", ids = { "*.rule" = "rules" }, stale = "drop" }
"""
NOTES = "select jsonb_object_agg(id, jsonb_build_array(parts, by_rule, days)) from public.notes"


def test_paths_begin_with_a_list_look_into_members_and_name_keys(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    before = app.one(NOTES)
    app.migrate()
    ids = {old: str(app.one(f"select id from app.rules where legacy_id = '{old}'")) for old in ("r1", "r2", "r3")}

    def of(note: str) -> list[object]:
        return [
            app.one(f"select {column} from app.notes where legacy_id = '{note}'")
            for column in ("parts", "by_rule", "days")
        ]

    assert of("n1") == [
        [{"ruleId": ids["r1"]}, {"ruleId": ids["r2"], "n": 1}, 7],
        {ids["r1"]: 3, "gone": 4, ids["r2"]: None},
        # r3 is another tenant's: it names no row here.
        {"mon": {"rule": ids["r1"]}, "tue": {}, "wed": 5},
    ]
    # What has another form than the path says stays as it is.
    assert of("n2") == [{"ruleId": "r3"}, ["r3"], [{"rule": "r3"}]]
    assert of("n3") == [[[ids["r3"]]], {}, None]
    app.write("""update notes set by_rule = '{"r2": 9}', parts = '[{"ruleId": "r2"}]' where id = 'n1'""")
    app.run("replay", "--until-idle", code=0)
    assert of("n1")[:2] == [[{"ruleId": ids["r2"]}], {ids["r2"]: 9}]
    app.run("verify", code=0)
    app.run("cutover", code=0)
    with app.database.connect() as service:
        changed = json.dumps({ids["r1"]: 1, ids["r2"]: 2})
        service.execute("set session_replication_role = origin")
        service.execute(
            "update app.notes set by_rule = %s, parts = %s where legacy_id = 'n1'",
            [changed, json.dumps([{"ruleId": ids["r1"]}])],
        )
    app.run("rollback", "--yes", code=0)
    after = app.one(NOTES)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after["n1"][:2] == [[{"ruleId": "r1"}], {"r1": 1, "r2": 2}]
    assert after["n1"][2] == before["n1"][2]
    assert (after["n2"], after["n3"]) == (before["n2"], before["n3"])


ARRAYS = """
create table rules (id text primary key, org_id text not null references "Organization" (id));
insert into rules values ('r1', 'o1'), ('r2', 'o1'), ('r3', 'o2');
create table tags (id serial primary key, org_id text not null references "Organization" (id));
insert into tags (org_id) values ('o1'), ('o1'), ('o2');
create table notes (id text primary key, org_id text not null references "Organization" (id), rule_ids text[] not null default '{}',
    tags integer[]);
insert into notes values ('n1', 'o1', '{r2,r1,r2}', '{2,1}'), ('n2', 'o2', '{}', null), ('n3', 'o1', '{r1,gone,r3}', '{1,99,3,null}'),
    ('n4', 'o1', '{{r1},{r2}}', null);
"""
ARRAY_TABLES = """
[tables.rules]
from = "rules"
access = "tenant"
[tables.tags]
from = "tags"
access = "tenant"
[tables.notes]
from = "notes"
access = "tenant"
columns = { rule_ids = { ref = "rules" }, tag_ids = { from = "tags", ref = "tags" } }
"""


def test_arrays_of_ids_are_references(small: MakeSmall) -> None:
    app = small(
        source=ARRAYS,
        target=target_table("rules")
        + target_table("tags")
        + target_table("notes", ", rule_ids uuid[] not null default '{}', tag_ids uuid[]"),
        tables=ARRAY_TABLES,
    )
    named = {
        old: str(app_id)
        for old, app_id in [
            ("r1", "rules"),
            ("r2", "rules"),
            ("r3", "rules"),
            ("1", "tags"),
            ("2", "tags"),
            ("3", "tags"),
        ]
    }
    app.run("analyze")
    app.migrate()
    ids = {old: app.one(f"select id from app.{table} where legacy_id = '{old}'") for old, table in named.items()}

    def of(note: str) -> object:
        return app.one(f"select jsonb_build_array(rule_ids, tag_ids) from app.notes where legacy_id = '{note}'")

    def listed(*olds: str | None) -> list[str | None]:
        return [None if old is None else str(ids[old]) for old in olds]

    assert of("n1") == [listed("r2", "r1", "r2"), listed("2", "1")]
    assert of("n2") == [[], None]
    # What names no row, or one of another tenant, is dropped and noted.
    assert of("n3") == [listed("r1"), listed("1", None)]
    assert app.one("select count(*) from tenantry.quarantine where source_key = 'n4'") == 1
    app.write("update notes set rule_ids = '{r1,r2}' where id = 'n2'; update rules set id = 'r9' where id = 'r2'")
    app.run("replay", "--until-idle", code=0)
    # n1 names a row that is gone, and then is there again; n2 one of another tenant.
    assert (of("n1"), of("n2")) == ([listed("r1"), listed("2", "1")], [[], None])
    app.write("update rules set id = 'r2' where id = 'r9'; update notes set rule_ids = '{r3}' where id = 'n2'")
    app.run("replay", "--until-idle", code=0)
    assert (of("n1"), of("n2")) == ([listed("r2", "r1", "r2"), listed("2", "1")], [listed("r3"), None])
    app.run("verify", code=0)
    app.run("cutover", code=0)
    with app.database.connect() as service:
        service.execute(
            "update app.notes set rule_ids = rule_ids || %s, tag_ids = null where legacy_id = 'n1'", [[ids["r1"]]]
        )
    app.run("rollback", "--yes", code=0)
    assert app.one("select jsonb_object_agg(id, jsonb_build_array(rule_ids, tags)) from public.notes") == {
        "n1": [["r2", "r1", "r2", "r1"], None],
        "n2": [["r3"], None],
        "n3": [["r1", "gone", "r3"], [1, 99, 3, None]],
        "n4": [[["r1"], ["r2"]], None],
    }
