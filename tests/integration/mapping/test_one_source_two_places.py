"""One source table in two parts by a condition, one source column in two target columns, and ways to the tenant that are broken."""

from __future__ import annotations

from tests.small import MakeSmall, target_table

SPLIT = """
[tables.invoices]
access = "tenant"
[tables.invoices.sources.sale]
from = "invoices"
where = "s.kind = 'sale'"
columns = { org_note = { from = "note" } }
[tables.invoices.sources.refund]
from = "invoices"
part = "refund"
where = "s.kind = 'refund'"
[tables.lines]
from = "lines"
tenant = ["invoice_id"]
access = "tenant"
[tables.drafts]
from = "drafts"
where = "s.state <> 'secret'"
access = "tenant"
"""

NAMED = """
select l.legacy_id, i.legacy_id, i.kind from app.lines l join app.invoices i on (i.org_id, i.id) = (l.org_id, l.invoice_id)
order by 1
"""


def test_a_row_moves_between_the_parts_of_a_split_source_and_its_children_follow(small: MakeSmall) -> None:
    app = small(
        source="""
        create table invoices (id text primary key, "orgId" text not null references "Organization" (id), kind text not null,
            note text);
        create table lines (id text primary key, invoice_id text not null references invoices (id), text text);
        create table drafts (id text primary key, "orgId" text not null references "Organization" (id), state text not null);
        insert into invoices select 'i' || i, 'o' || 1 + i % 2, (array['sale', 'refund', 'neither'])[1 + i % 3]
            from generate_series(1, 5) i;
        insert into lines select 'l' || i, 'i' || i from generate_series(1, 4) i;
        insert into drafts values ('d1', 'o1', 'open'), ('d2', 'o1', 'secret'), ('d3', 'o2', 'open');
        """,
        target=target_table("invoices", ", kind text not null, note text, org_note text")
        + target_table("lines", ", invoice_id uuid not null, text text",
                       "foreign key (org_id, invoice_id) references invoices (org_id, id)")
        + target_table("drafts", ", state text not null"),
        tables=SPLIT,
    )  # fmt: skip
    app.migrate()
    # l2 belongs to an invoice that neither part takes.
    assert app.rows(NAMED) == [
        ("l1", "refund:i1", "refund"), ("l3", "sale:i3", "sale"), ("l4", "refund:i4", "refund")
    ]  # fmt: skip
    assert app.rows("select source_key, reason from tenantry.quarantine") == [("l2", "reference_missing")]

    app.write(
        "update invoices set kind = 'sale' where id in ('i1', 'i2')",
        "update invoices set kind = 'neither' where id = 'i3'",
    )
    app.run("replay", "--until-idle", code=0)
    assert app.rows(NAMED) == [("l1", "sale:i1", "sale"), ("l2", "sale:i2", "sale"), ("l4", "refund:i4", "refund")]
    assert app.rows("select source_key from tenantry.quarantine where state = 'open'") == [("l3",)]
    app.run("cutover", "--accept-quarantined", code=0)  # l3 came into quarantine

    # While applications write the target its rows stay where they are, with their ids.
    app.as_superuser(
        "update app.invoices set kind = 'refund' where legacy_id = 'sale:i1'",
        "update app.invoices set kind = 'neither' where legacy_id = 'refund:i4'",
        "insert into app.lines (org_id, invoice_id, text) select org_id, id, 'born' from app.invoices"
        " where legacy_id = 'sale:i1'",
        "update app.drafts set state = 'secret' where legacy_id in ('d1', 'd3')",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    app.as_superuser(
        "update app.invoices set note = 'again' where legacy_id = 'sale:i1'",
        "delete from app.drafts where legacy_id = 'd1'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    assert app.rows("select id, kind, note from invoices order by id") == [
        ("i1", "refund", "again"), ("i2", "sale", None), ("i3", "neither", None), ("i4", "neither", None),
        ("i5", "neither", None),
    ]  # fmt: skip
    assert app.rows("select invoice_id, text from lines order by 1, 2 nulls first") == [
        ("i1", None), ("i1", "born"), ("i2", None), ("i3", None), ("i4", None)
    ]  # fmt: skip
    assert app.rows("select id, state from drafts order by id") == [("d2", "secret"), ("d3", "secret")]
    assert app.rows("select legacy_id from tenantry.kept where column_name = '' order by 1") == [
        ("d3",), ("refund:i1",), ("refund:i4",), ("sale:i1",)
    ]  # fmt: skip

    app.roll_back()
    app.run("verify", code=0)
    born = app.one("select id from lines where text = 'born'")
    assert app.rows(NAMED) == sorted(
        [(born, "refund:i1", "refund"), ("l1", "refund:i1", "refund"), ("l2", "sale:i2", "sale")]
    )
    assert app.rows("select * from app.drafts") == []
    assert app.rows("select * from tenantry.kept") == app.rows("select * from tenantry.born_part") == []
    app.run("cutover", "--accept-quarantined", code=0)


def test_of_two_columns_from_one_the_one_that_is_not_null_goes_back(small: MakeSmall) -> None:
    app = small(
        source="""
        create table subscriptions (id text primary key, kind text not null, refers_to text not null, plan text not null);
        insert into subscriptions values ('s1', 'person', 'u1', 'a'), ('s2', 'org', 'o2', 'b'), ('s3', 'person', 'u2', 'c'),
            ('s4', 'org', 'o1', 'd'), ('s5', 'gone', 'x', 'e'), ('s6', 'person', 'u3', 'f');
        """,
        target="""
        create table subscriptions (id uuid not null default gen_random_uuid() primary key, legacy_id text not null unique,
            kind text not null, org_ref uuid references orgs (id), person_ref uuid references people (id), plan text not null);
        create index on subscriptions (org_ref); create index on subscriptions (person_ref);
        """,
        tables="""
        [tables.subscriptions]
        from = "subscriptions"
        access = "service"
        [tables.subscriptions.columns]
        org_ref = { from = "refers_to", ref = "orgs", orphan = "null" }
        person_ref = { from = "refers_to", ref = "people", orphan = "null" }
        """,
    )
    app.migrate()
    app.cut_over()
    org, person = (
        "(select id from app.orgs where legacy_id = '{}')",
        "(select id from app.people where legacy_id = '{}')",
    )
    app.as_superuser(
        f"insert into app.subscriptions (kind, person_ref, plan) select 'person', {person.format('u3')}, 'p born'",
        f"insert into app.subscriptions (kind, org_ref, plan) select 'org', {org.format('o2')}, 'o born'",
        "insert into app.orgs (name) values ('Three')",
        "insert into app.subscriptions (kind, org_ref, plan) select 'org', id, 'both born' from app.orgs where name = 'Three'",
        f"update app.subscriptions set kind = 'org', person_ref = null, org_ref = {org.format('o1')} where legacy_id = 's1'",
        f"update app.subscriptions set kind = 'person', org_ref = null, person_ref = {person.format('u1')}"
        " where legacy_id = 's2'",
        f"update app.subscriptions set person_ref = {person.format('u1')} where legacy_id = 's3'",
        f"update app.subscriptions set org_ref = {org.format('o2')} where legacy_id = 's4'",
        "update app.subscriptions set plan = 'changed' where legacy_id = 's5'",
        f"update app.subscriptions set org_ref = {org.format('o1')} where legacy_id = 's6'",
    )
    app.roll_back()
    three = app.one("""select id from "Organization" where name = 'Three'""")
    assert app.rows("select refers_to, plan from subscriptions order by plan") == [
        ("o1", "a"), ("u1", "b"), (three, "both born"), ("u1", "c"), ("x", "changed"), ("o2", "d"), ("o1", "f"),
        ("o2", "o born"), ("u3", "p born"),
    ]  # fmt: skip
    assert app.rows("select table_name, legacy_id, column_name, reason from tenantry.kept") == [
        ("subscriptions", "s6", "person_ref", "subscriptions.refers_to holds one value, and has that of org_ref")
    ]
    app.run("verify", code=0)
    app.cut_over()
    app.roll_back("--everything")


def test_a_broken_optional_reference_is_left_empty_if_the_manifest_allows_it(
    small: MakeSmall,
) -> None:
    app = small(
        source="""
        create table rules (id text primary key, "orgId" text not null references "Organization" (id));
        create table tasks (id text primary key, org text, rule text, fallback text);
        insert into rules values ('r1', 'o1'), ('r2', 'o2');
        insert into tasks values ('t1', 'o1', 'r1', null), ('t2', 'o1', 'gone', 'r1'), ('t3', 'o2', null, null),
            ('t4', null, 'r2', null), ('t5', null, 'gone', 'r1'), ('t6', 'o1', 'gone', 'r2'), ('t7', 'o1', 'r2', null);
        """,
        target=target_table("rules")
        + "".join(
            target_table(
                name, ", rule_id uuid, fallback text", "foreign key (org_id, rule_id) references rules (org_id, id)"
            )
            for name in ("emptied", "first", "assigned")
        ),
        tables="""
        [tables.rules]
        from = "rules"
        access = "tenant"
        [tables.emptied]
        from = "tasks"
        tenant = ["org -> orgs", "rule -> rules"]
        access = "tenant"
        columns = { rule_id = { from = "rule", ref = "rules", orphan = "null" } }
        [tables.first]
        from = "tasks"
        part = "first"
        tenant = ["rule -> rules", "org -> orgs"]
        access = "tenant"
        columns = { rule_id = { from = "rule", ref = "rules", orphan = "null" } }
        [tables.assigned]
        from = "tasks"
        part = "assigned"
        tenant = ["org -> orgs", "rule -> rules"]
        access = "tenant"
        columns = { rule_id = { from = "rule", ref = "rules", orphan = { correct = "s.fallback" } } }
        """,
    )
    app.migrate()
    carried = [("t1", "r1"), ("t2", None), ("t3", None), ("t4", "r2"), ("t6", None)]
    named = "select t.legacy_id, r.legacy_id from app.{} t left join app.rules r on r.id = t.rule_id order by 1"
    assert app.rows(named.format("emptied")) == app.rows(named.format("first")) == carried
    assert app.rows(named.format("assigned")) == [("t1", "r1"), ("t2", "r1"), ("t3", None), ("t4", "r2")]
    # t5 reaches no tenant, t7 names a rule of another one, and what would stand in for t6's rule is of another one.
    assert app.rows("select mapping, source_key, reason from tenantry.quarantine order by 1, 2") == [
        ("assigned", "t5", "tenant_missing"), ("assigned", "t6", "tenant_conflict"), ("assigned", "t7", "tenant_conflict"),
        ("emptied", "t5", "tenant_missing"), ("emptied", "t7", "tenant_conflict"),
        ("first", "t5", "tenant_missing"), ("first", "t7", "tenant_conflict"),
    ]  # fmt: skip
    app.write("insert into rules values ('gone', 'o1')", "update tasks set rule = 'lost' where id = 't4'")
    app.run("replay", "--until-idle", code=0)
    assert app.rows(named.format("emptied")) == [
        ("t1", "r1"), ("t2", "gone"), ("t3", None), ("t5", "gone"), ("t6", "gone")
    ]  # fmt: skip
    app.run("cutover", "--accept-quarantined", code=0)  # t4 came into quarantine
    app.as_superuser("update app.emptied set rule_id = null, fallback = 'x' where legacy_id = 't6'")
    app.roll_back()
    assert app.rows("select rule, fallback from tasks where id in ('t2', 't6') order by id") == [
        ("gone", "r1"),
        (None, "x"),
    ]
    app.run("verify", code=0)
