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
