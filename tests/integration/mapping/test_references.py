"""What is a reference without a word in the manifest: foreign keys by all their columns, under whatever name, in both schemas."""

from __future__ import annotations

import json

from tests.small import MakeSmall, Small, target_table

SOURCE = """
create table customers (id uuid primary key, "orgId" text not null references "Organization" (id), mail text not null);
create table orders (id text primary key, "orgId" text not null references "Organization" (id),
    "customerId" uuid not null references customers (id), "madeBy" text references "User" (id), note text);
create table rules (id text primary key, "orgId" text not null references "Organization" (id), name text not null,
    unique (id, "orgId"));
create table actions (id text primary key, "orgId" text not null references "Organization" (id), "ruleId" text not null,
    foreign key ("ruleId", "orgId") references rules (id, "orgId"));
create table "_OrderRule" ("A" text not null references orders (id), "B" text not null references rules (id),
    primary key ("A", "B"));
create table versions (id text primary key, "orgId" text not null references "Organization" (id), doc text not null,
    version integer not null, unique (doc, version));
create table approvals (id text primary key, "orgId" text not null references "Organization" (id), doc text not null,
    version integer not null, foreign key (doc, version) references versions (doc, version));
create table lines (order_id text not null references orders (id), line integer not null, primary key (order_id, line));
create table parcels (id text primary key, "orderId" text not null, line integer not null,
    foreign key ("orderId", line) references lines (order_id, line));

insert into customers values ('10000000-0000-4000-8000-000000000001', 'o1', 'c@example.org'),
    ('10000000-0000-4000-8000-000000000002', 'o1', 'C@example.org'), ('10000000-0000-4000-8000-000000000003', 'o2', 'd@example.org');
insert into orders values ('x1', 'o1', '10000000-0000-4000-8000-000000000002', 'u1', null),
    ('x2', 'o2', '10000000-0000-4000-8000-000000000003', 'u3', null);
insert into rules values ('r1', 'o1', 'R1'), ('r2', 'o2', 'R2');
insert into actions values ('a1', 'o1', 'r1'), ('a2', 'o2', 'r2');
insert into "_OrderRule" values ('x1', 'r1'), ('x2', 'r2');
insert into versions values ('v1', 'o1', 'DOC-1', 1), ('v2', 'o1', 'DOC-1', 2), ('v3', 'o2', 'DOC-9', 1);
insert into approvals values ('p1', 'o1', 'DOC-1', 2), ('p2', 'o2', 'DOC-9', 1);
insert into lines values ('x1', 1), ('x1', 2), ('x2', 1);
insert into parcels values ('b1', 'x1', 2), ('b2', 'x2', 1);
"""

TARGET = (
    target_table("customers", ", mail text not null", "unique (org_id, mail)")
    + target_table(
        "orders", ", customer_id uuid not null, maker_id uuid references people (id), note text",
        "foreign key (org_id, customer_id) references customers (org_id, id)",
        "foreign key (org_id, maker_id) references members (org_id, person_id)",
    )
    + target_table("rules", ", name text not null")
    + target_table("actions", ', "ruleId" uuid not null', 'foreign key (org_id, "ruleId") references rules (org_id, id)')
    + target_table(
        "order_rules", ", order_id uuid not null, rule_id uuid not null",
        "foreign key (org_id, order_id) references orders (org_id, id)",
        "foreign key (org_id, rule_id) references rules (org_id, id)",
    )
    + target_table("versions", ", doc text not null, version integer not null", "unique (org_id, doc, version)")
    + target_table(
        "approvals", ", document text not null, version integer not null, version_id uuid not null",
        "foreign key (org_id, version_id) references versions (org_id, id)",
    )
    + target_table("lines", ", order_id uuid not null, line integer not null",
                   "foreign key (org_id, order_id) references orders (org_id, id)")
    + target_table(
        "parcels", ', "orderId" uuid not null, line integer not null, line_id uuid not null',
        'foreign key (org_id, "orderId") references orders (org_id, id)',
        "foreign key (org_id, line_id) references lines (org_id, id)",
    )
)  # fmt: skip

TABLES = """
[tables.customers]
from = "customers"
access = "tenant"
columns = { mail = { as = "email" } }
merge = { by = ["org_id", "mail"], keep = "legacy_id", reason = "the same address" }
[tables.orders]
from = "orders"
access = "tenant"
columns = { customer_id = { from = "customerId" }, maker_id = { from = "madeBy" } }
[tables.rules]
from = "rules"
access = "tenant"
[tables.actions]
from = "actions"
access = "tenant"
[tables.order_rules]
from = "_OrderRule"
tenant = ["A"]
access = "tenant"
columns = { order_id = { from = "A" }, rule_id = { from = "B" } }
[tables.versions]
from = "versions"
access = "tenant"
[tables.approvals]
from = "approvals"
access = "tenant"
columns = { document = { from = "doc" }, version_id = { from = "doc" } }
[tables.lines]
from = "lines"
tenant = ["order_id"]
access = "tenant"
[tables.parcels]
from = "parcels"
tenant = ["orderId"]
access = "tenant"
columns = { line_id = { from = "line" } }
"""

NAMED = """
select 'orders', t.legacy_id, p.legacy_id from app.orders t left join app.customers p on p.id = t.customer_id union all
select 'makers', t.legacy_id, p.legacy_id from app.orders t left join app.people p on p.id = t.maker_id union all
select 'actions', t.legacy_id, p.legacy_id from app.actions t left join app.rules p on p.id = t."ruleId" union all
select 'ordered', t.legacy_id, p.legacy_id from app.order_rules t left join app.orders p on p.id = t.order_id union all
select 'ruled', t.legacy_id, p.legacy_id from app.order_rules t left join app.rules p on p.id = t.rule_id union all
select 'approvals', t.legacy_id || ' ' || t.document || t.version, p.legacy_id from app.approvals t
    left join app.versions p on p.id = t.version_id union all
select 'parcels', t.legacy_id || ' ' || t.line, p.legacy_id from app.parcels t left join app.orders p on p.id = t."orderId"
union all
select 'of lines', t.legacy_id, p.legacy_id from app.parcels t left join app.lines p on p.id = t.line_id
order by 1, 2
"""


def _quarantined(app: Small) -> int:
    found: int = app.one("select count(*) from tenantry.quarantine")
    return found


def test_renamed_and_composite_references_are_found_by_their_foreign_keys_there_and_back(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    app.migrate()
    want = [
        ("actions", "a1", "r1"), ("actions", "a2", "r2"),
        ("approvals", "p1 DOC-12", "v2"), ("approvals", "p2 DOC-91", "v3"),
        ("makers", "x1", "u1"), ("makers", "x2", "u3"),
        ("of lines", "b1", '["x1", "2"]'), ("of lines", "b2", '["x2", "1"]'),
        ("ordered", '["x1", "r1"]', "x1"), ("ordered", '["x2", "r2"]', "x2"),
        # The customer that x1 names was merged into the other one.
        ("orders", "x1", "10000000-0000-4000-8000-000000000001"), ("orders", "x2", "10000000-0000-4000-8000-000000000003"),
        ("parcels", "b1 2", "x1"), ("parcels", "b2 1", "x2"),
        ("ruled", '["x1", "r1"]', "r1"), ("ruled", '["x2", "r2"]', "r2"),
    ]  # fmt: skip
    assert app.rows(NAMED) == want
    assert _quarantined(app) == 0

    app.write("update parcels set line = 1 where id = 'b1'", "update approvals set version = 1 where id = 'p1'")
    app.run("replay", "--until-idle", code=0)
    changed = [row for row in app.rows(NAMED) if row not in want]
    assert changed == [("approvals", "p1 DOC-11", "v1"), ("of lines", "b1", '["x1", "1"]'), ("parcels", "b1 1", "x1")]

    app.cut_over()
    app.as_superuser(
        "update app.actions set \"ruleId\" = r.id from app.rules r where r.legacy_id = 'r1' and actions.legacy_id = 'a1'",
        "insert into app.actions (org_id, \"ruleId\") select org_id, id from app.rules where legacy_id = 'r2'",
        "update app.orders set maker_id = p.id from app.people p where p.legacy_id = 'u2' and orders.legacy_id = 'x1'",
        "update app.approvals set version = 2, version_id = v.id from app.versions v where v.legacy_id = 'v2'"
        " and approvals.legacy_id = 'p1'",
    )
    app.roll_back()
    assert app.rows('select "orgId", "ruleId" from actions order by 1, 2') == [("o1", "r1"), ("o2", "r2"), ("o2", "r2")]
    assert app.rows("""select id, "madeBy", right("customerId"::text, 1) from orders order by 1""") == [
        ("x1", "u2", "2"), ("x2", "u3", "3")
    ]  # fmt: skip
    assert app.rows("select id, doc, version from approvals order by 1") == [("p1", "DOC-1", 2), ("p2", "DOC-9", 1)]
    app.run("verify", code=0)
    app.cut_over()
    assert _quarantined(app) == 0


def test_an_old_id_is_never_cast_into_a_reference(small: MakeSmall) -> None:
    """Where nothing says what a uuid with a foreign key is made from, the manifest is refused, with its place and what to do."""
    app = small(
        source="""
        create table authors (id uuid primary key, "orgId" text not null references "Organization" (id));
        create table books (id uuid primary key, "orgId" text not null references "Organization" (id), author_id uuid,
            wrong uuid references authors (id), "editorId" uuid, kept uuid, labelled uuid references authors (id),
            texted uuid references authors (id));
        """,
        target=target_table("authors")
        + target_table("shelves")
        + target_table("loans")
        + target_table(
            "books",
            ", author_id uuid, wrong uuid, editor uuid, kept uuid, labelled uuid, texted text",
            "foreign key (org_id, author_id) references authors (org_id, id)",
            "foreign key (org_id, wrong) references shelves (org_id, id)",
            "foreign key (org_id, editor) references authors (org_id, id)",
            "foreign key (org_id, kept) references authors (org_id, id)",
        ),
        tables="""
        [tables.authors]
        from = "authors"
        access = "tenant"
        [tables.shelves]
        access = "tenant"
        [tables.loans]
        access = "tenant"
        [tables.books]
        from = "books"
        access = "tenant"
        [tables.books.columns]
        editor = { from = "editorId" }
        kept = { ref = false }
        labelled = { null = "quarantine" }
        """,
    )
    said = app.run("analyze", code=2).everything
    for words in (
        "columns.author_id: books.author_id refers to authors, but no foreign key says what books.author_id names, and a cast would"
        ' leave old ids in it; write ref = "authors", or ref = false if it already holds the new ids',
        "columns.editor: books.editor refers to authors, but no foreign key says what books.editorId names",
        "columns.wrong: books.wrong refers to shelves, but books.wrong names rows of authors; say what is meant",
        "columns.labelled.null: null has no effect: labelled holds references to authors",
        "columns.texted: books.texted is text, but books.texted holds ids of authors, which are uuid; make it a uuid, or keep the old ids:"
        " ref = false",
    ):
        assert words in said, said
    assert "kept" not in said
    assert app.rows("select nspname from pg_namespace where nspname in ('app', 'tenantry')") == []


def test_ids_of_other_tenants_in_documents_are_reported_and_stale_decides(small: MakeSmall) -> None:
    app = small(
        source="""
        create table rules (id text primary key, "orgId" text not null references "Organization" (id));
        create table steps (id text primary key, rule_id text not null references rules (id), kind text not null);
        create table logs (id text primary key, org text not null, meta jsonb);
        insert into rules values ('r1', 'o1'), ('r2', 'o2');
        insert into steps values ('s1', 'r1', 'a'), ('s2', 'r2', 'b'), ('s3', 'r1', 'b');
        insert into logs values ('g1', 'o1', '{"rules": ["r1", "r2"], "step": "s1", "user": "u3"}'),
            ('g2', 'o1', '{"rules": ["r2", "gone"], "step": "s2", "user": "u1"}'),
            ('g3', 'o2', '{"rules": [], "step": "s3"}'), ('g4', 'o1', '{"rules": ["r1"], "step": "s3"}');
        """,
        target=target_table("rules")
        + target_table("steps", ", kind text not null")
        + target_table("kept_logs", ", meta jsonb")
        + target_table("dropped_logs", ", meta jsonb"),
        tables="""
        [tables.rules]
        from = "rules"
        access = "tenant"
        [tables.steps]
        access = "tenant"
        [tables.steps.sources.a]
        from = "steps"
        where = "s.kind = 'a'"
        tenant = ["rule_id"]
        [tables.steps.sources.b]
        from = "steps"
        part = "b"
        where = "s.kind = 'b'"
        tenant = ["rule_id"]
        [tables.kept_logs]
        from = "logs"
        tenant = ["org -> orgs"]
        access = "tenant"
        columns = { meta = { as = "json_ids", ids = { "rules[*]" = "rules", step = "steps", user = "people" } } }
        [tables.dropped_logs]
        from = "logs"
        part = "dropped"
        tenant = ["org -> orgs"]
        access = "tenant"
        [tables.dropped_logs.columns.meta]
        as = "json_ids"
        ids = { "rules[*]" = "rules", step = "steps", user = "people" }
        stale = "drop"
        """,
    )
    found = [each for each in app.run("analyze", "--json", code=0).json["findings"] if each["code"] == "TA-138"]
    assert [(each["table"], each["column"], each["count"], each["keys"]) for each in found] == [
        (table, "meta", 3, ["g1", "g2", "g3"]) for table in ("dropped_logs", "kept_logs")
    ]
    app.migrate()
    names = {
        str(new): old
        for old, new in app.rows(
            "select legacy_id, id from app.rules union all select legacy_id, id from app.steps"
            " union all select legacy_id, id from app.people"
        )
    }

    def documents(table: str) -> dict[str, object]:
        """The documents with new ids written as [old id]."""
        texts = app.rows(f"select legacy_id, meta::text from app.{table}")
        for new, old in names.items():
            texts = [(key, text.replace(f'"{new}"', f'"[{old}]"')) for key, text in texts]
        return {key: json.loads(text) for key, text in texts}

    kept = {
        "g1": {"rules": ["[r1]", "r2"], "step": "[a:s1]", "user": "[u3]"},
        "g2": {"rules": ["r2", "gone"], "step": "s2", "user": "[u1]"},
        "g3": {"rules": [], "step": "s3"},
        "g4": {"rules": ["[r1]"], "step": "[b:s3]"},
    }
    assert documents("kept_logs") == kept
    assert documents("dropped_logs") == {
        "g1": {"rules": ["[r1]"], "step": "[a:s1]", "user": "[u3]"}, "g2": {"rules": [], "user": "[u1]"},
        "g3": {"rules": []}, "g4": {"rules": ["[r1]"], "step": "[b:s3]"},
    }  # fmt: skip
    # A document that moves, a row that moves, and a row whose parent moves.
    app.write("update logs set org = 'o2' where id = 'g2'", """update rules set "orgId" = 'o2' where id = 'r1'""")
    app.run("replay", "--until-idle", code=0)
    assert documents("kept_logs")["g2"] == {"rules": ["[r2]", "gone"], "step": "[b:s2]", "user": "[u1]"}
    assert documents("kept_logs")["g3"] == {"rules": [], "step": "[b:s3]"}
    assert documents("kept_logs")["g1"] == {"rules": ["r1", "r2"], "step": "s1", "user": "[u3]"}
    assert documents("dropped_logs")["g1"] == {"rules": [], "user": "[u3]"}
    app.run("verify", code=0)
    app.cut_over()
    app.as_superuser("update app.kept_logs set meta = meta || '{\"x\": 1}' where legacy_id = 'g3'")
    app.roll_back()
    assert app.rows("select meta from logs where id in ('g1', 'g3') order by id") == [
        ({"rules": ["r1", "r2"], "step": "s1", "user": "u3"},), ({"rules": [], "step": "s3", "x": 1},)
    ]  # fmt: skip
    app.run("verify", code=0)
    app.cut_over()
