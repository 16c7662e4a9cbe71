"""Expressions of the manifest that read other tables: their changes are followed, or the manifest is refused."""

from __future__ import annotations

from tests.small import MakeSmall, target_table

SOURCE = """
create table archived (id text primary key, "orgId" text not null references "Organization" (id), rule_id text not null);
create table prices (id text primary key, "orgId" text not null references "Organization" (id), amount integer not null);
create table rules (id text primary key, "orgId" text not null references "Organization" (id), price text, kind text);
create table actions (id text primary key, rule_id text not null references rules (id));
insert into prices values ('p1', 'o1', 10), ('p2', 'o2', 20);
insert into rules values ('r1', 'o1', 'p1'), ('r2', 'o2', 'p2'), ('r3', 'o1', 'p1');
insert into actions values ('a1', 'r1'), ('a2', 'r2');
insert into archived values ('x3', 'o1', 'r3');
"""

TARGET = (
    target_table("archived", ", rule_id text not null")
    + target_table("prices", ", amount integer not null")
    + target_table("rules", ", amount integer")
    + target_table("actions", ", rule_id uuid not null", "foreign key (org_id, rule_id) references rules (org_id, id)")
)

TABLES = """
[tables.archived]
from = "archived"
access = "tenant"
columns = { rule_id = { ref = false } }
[tables.prices]
from = "prices"
access = "tenant"
[tables.rules]
from = "rules"
where = "not exists (select from archived a where a.rule_id = s.id)"
access = "tenant"
columns = { amount = { up = "(select p.amount from prices p where p.id = s.price)" } }
[tables.actions]
from = "actions"
tenant = ["rule_id"]
access = "tenant"
"""


def test_a_condition_over_a_migrated_table_is_followed(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    said = app.run("analyze", "--all", code=0).everything
    assert "TA-137" in said
    assert "its expressions read archived, prices" in said
    app.migrate()
    there = "select legacy_id, amount from app.rules order by 1"
    assert app.rows(there) == [("r1", 10), ("r2", 20)]
    app.write(
        "insert into archived values ('x1', 'o1', 'r1')",
        "delete from archived where id = 'x3'",
        "update prices set amount = 15 where id = 'p1'",
    )
    app.run("replay", "--until-idle", code=0)
    assert app.rows(there) == [("r2", 20), ("r3", 15)]
    assert app.rows("select source_key, reason from tenantry.quarantine") == [("a1", "reference_missing")]
    app.write("truncate archived")
    app.run("replay", "--until-idle", code=0)
    app.cut_over()
    assert app.rows(there) == [("r1", 15), ("r2", 20), ("r3", 15)]
    assert app.rows("select legacy_id from app.actions order by 1") == [("a1",), ("a2",)]
    app.as_superuser("update app.prices set amount = 30 where legacy_id = 'p2'")
    app.roll_back()
    assert app.rows(there) == [("r1", 15), ("r2", 30), ("r3", 15)]
    app.run("verify", code=0)
    app.cut_over()


def test_an_expression_over_a_table_without_change_capture_is_refused(small: MakeSmall) -> None:
    app = small(
        source=SOURCE,
        target=target_table("prices", ", amount integer not null")
        + target_table("rules", ", amount integer, kind text")
        + target_table(
            "actions", ", rule_id uuid not null", "foreign key (org_id, rule_id) references rules (org_id, id)"
        ),
        section='ignore = ["archived"]',
        tables="""
        [tables.prices]
        from = "prices"
        access = "tenant"
        merge = { by = ["amount"], keep = "(select count(*) from archived)", reason = "x" }
        [tables.rules]
        from = "rules"
        where = "not exists (select from archived a where a.rule_id = s.id)"
        access = "tenant"
        [tables.rules.columns]
        amount = { up = "(select p.amount from prices p where p.id = s.price)" }
        kind = { null = { correct = "(select max(relname)::text from pg_catalog.pg_class)" } }
        [tables.actions]
        from = "actions"
        tenant = ["rule_id"]
        access = "tenant"
        [[rules]]
        name = "nothing archived"
        sql = "with r as (select id from rules) select r.id from r join archived a on a.rule_id = r.id::text"
        """,
    )
    said = app.run("migrate", code=2).everything
    for words in (
        "tables.rules.where: 'not exists (select from archived a where a.rule_id = s.id)' reads archived, which is not"
        " migrated, so its changes are not recorded; keep what it says in a column of the row, or migrate that table as well",
        "reads pg_catalog.pg_class, which is not a table of schema public, so that its changes cannot be followed",
        "tables.prices.merge.keep: '(select count(*) from archived)' reads archived, whose changes would not be followed",
        "rules[0].sql: archived is neither a table of schema app nor one that is migrated",
    ):
        assert words in said, said
    assert "reads r," not in said
    assert app.rows("select nspname from pg_namespace where nspname in ('app', 'tenantry')") == []


def test_a_cut_over_compares_everything_where_an_answer_changes_without_a_logged_change(small: MakeSmall) -> None:
    app = small(
        source="""
        create table settings (name text primary key, value text not null);
        insert into settings values ('hidden', 'none');
        create function hidden(kind text) returns boolean stable language sql as
            'select kind = (select value from public.settings where name = ''hidden'')';
        create table rules (id text primary key, "orgId" text not null references "Organization" (id), kind text not null);
        insert into rules values ('r1', 'o1', 'a'), ('r2', 'o1', 'b');
        """,
        target=target_table("rules", ", kind text not null"),
        section='ignore = ["settings"]',
        tables="""
        [tables.rules]
        from = "rules"
        where = "not public.hidden(s.kind)"
        access = "tenant"
        """,
    )
    found = [each for each in app.run("analyze", "--json", code=0).json["findings"] if each["code"] == "TA-136"]
    assert [(each["table"], each["title"]) for each in found] == [
        ("rules", "where depends on public.hidden(), which is stable")
    ]
    app.migrate()
    app.write("update settings set value = 'b'")
    said = app.run("cutover", code=1).everything
    assert "rules r2: expected no row, found one" in said
    app.run("verify", "--repair", code=0)
    app.cut_over()
