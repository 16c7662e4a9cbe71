"""Whose place in the source is whose: no tenant gets, overwrites or deletes a row of another one by an id, a code or a child."""

from __future__ import annotations

import uuid

from tests.small import MakeSmall, Small, target_table

SAME = "11111111-2222-4333-8444-555555555555"
HIDDEN, QUOTE, REFUSED, MOVED = (str(uuid.UUID(int=n, version=4)) for n in (1, 2, 3, 4))

SOURCE = f"""
create table coupons (code text primary key, org_id text not null references "Organization", body text);
create table old_refs (id int primary key, code text references coupons (code));
insert into coupons values ('SALE', 'o2', 'of two'), ('OLD', 'o2', 'of two, refused');
insert into old_refs values (1, 'OLD');
create table lines (id text primary key, coupon text not null references coupons (code), body text);
create table projects (id text primary key, org_id text not null references "Organization", name text);
create table tasks (id text primary key, project text not null references projects (id) on delete cascade, body text);
insert into projects values ('{SAME}', 'o2', 'of two');
create table docs (id text primary key, org_id text not null references "Organization", kind text not null, body text);
insert into docs values ('{HIDDEN}', 'o2', 'draft', 'secret of two'), ('{QUOTE}', 'o2', 'quote', 'quote of two'),
    ('{MOVED}', 'o2', 'invoice', 'moves');
"""
TARGET = (
    target_table("coupons", ", code text not null, body text", "unique (org_id, code)")
    + target_table(
        "lines",
        ", coupon_id uuid not null, body text",
        "foreign key (org_id, coupon_id) references coupons (org_id, id) on delete cascade deferrable",
    )
    + target_table("projects", ", name text")
    + target_table(
        "tasks",
        ", project_id uuid not null, body text",
        "foreign key (org_id, project_id) references projects (org_id, id) on delete cascade deferrable",
    )
    + target_table("invoices", ", kind text not null, body text")
    + target_table("quotes", ", kind text not null, body text")
)
TABLES = """
[tables.coupons]
from = "coupons"
access = "tenant"
[tables.lines]
from = "lines"
tenant = ["coupon"]
access = "tenant"
columns = { coupon_id = { from = "coupon", ref = "coupons" } }
[tables.projects]
from = "projects"
access = "tenant"
[tables.tasks]
from = "tasks"
tenant = ["project"]
access = "tenant"
columns = { project_id = { from = "project", ref = "projects" } }
[tables.invoices]
from = "docs"
where = "s.kind = 'invoice'"
access = "tenant"
[tables.quotes]
from = "docs"
part = "quote"
where = "s.kind = 'quote'"
access = "tenant"
"""


def _insert(table: str, tenant: str, **values: str) -> str:
    names = ", ".join(values)
    given = ", ".join(f"'{value}'" for value in values.values())
    return f"insert into app.{table} (org_id, {names}) select id, {given} from app.orgs where legacy_id = '{tenant}'"


def _line(tenant: str, code: str, body: str) -> str:
    return (
        "insert into app.lines (org_id, coupon_id, body) select c.org_id, c.id, "
        f"'{body}' from app.coupons c join app.orgs o on o.id = c.org_id where o.legacy_id = '{tenant}' and c.code = '{code}'"
    )


def _of_tenants(app: Small, table: str, text: str = "body") -> list[tuple[object, ...]]:
    return app.rows(f"select o.legacy_id, t.{text} from app.{table} t join app.orgs o on o.id = t.org_id order by 1, 2")


def _agrees(app: Small) -> None:
    """Both sides agree, but for the row that the source refuses to delete."""
    said = app.run("verify", code=1).out
    assert [line.strip() for line in said.splitlines() if "expected" in line] == [
        "coupons OLD: expected a row, found none",
        "coupons all rows: expected 3 in coupons, found 2 carried over, 0 in quarantine, 0 merged",
    ]


def test_place_of_another_tenants_row_is_not_taken(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES, section='ignore = ["old_refs"]')
    app.migrate()
    app.cut_over()
    low, high = "00000000-2222-4333-8444-555555555555", "ffffffff-2222-4333-8444-555555555555"
    app.as_owner(
        _insert("coupons", "o2", id=high, code="NEW", body="of two"), _line("o2", "NEW", "private line of two")
    )
    app.as_owner("delete from app.coupons where code = 'OLD'")
    app.run("replay", "--until-idle", code=0)
    # By a code: a living row, one that was born in the target, one whose deletion was refused; with children.
    app.as_owner(
        _insert("coupons", "o1", code="SALE", body="of one"),
        _insert("coupons", "o1", id=low, code="NEW", body="of one"),
        _insert("coupons", "o1", code="OLD", body="of one"),
        _line("o1", "SALE", "INJECTED"),
        _line("o1", "NEW", "INJECTED"),
    )
    # By an id: with a child, of a row that the conditions leave out, of a row of another part. One's own row moves, though.
    app.as_owner(
        _insert("projects", "o1", id=SAME, name="of one"),
        _insert("tasks", "o1", project_id=SAME, body="INJECTED"),
        _insert("invoices", "o1", id=HIDDEN, kind="invoice", body="of one"),
        _insert("invoices", "o1", id=QUOTE, kind="invoice", body="of one"),
        f"update app.invoices set org_id = (select id from app.orgs where legacy_id = 'o1') where legacy_id = '{MOVED}'",
    )
    app.run("replay", "--until-idle", code=0)
    coupons = [("NEW", "o2", "of two"), ("OLD", "o2", "of two, refused"), ("SALE", "o2", "of two")]
    docs = [
        (HIDDEN, "o2", "draft", "secret of two"),
        (QUOTE, "o2", "quote", "quote of two"),
        (MOVED, "o1", "invoice", "moves"),
    ]

    def check() -> None:
        assert app.rows("select * from coupons order by 1") == coupons
        assert app.rows("select coupon, body from lines") == [("NEW", "private line of two")]
        assert app.rows("select id, org_id, name from projects") == [(SAME, "o2", "of two")]
        assert app.rows("select * from tasks") == []
        assert app.rows("select * from docs order by id") == docs

    check()
    listed = (
        "select table_name, count(*) from tenantry.conflict where 'of one' in (loser ->> 'body', loser ->> 'name')"
        " group by 1 order by 1"
    )
    assert app.rows(listed) == [("coupons", 3), ("invoices", 2), ("projects", 1)]
    assert app.rows(
        "select table_name, count(*) from tenantry.kept where column_name = '' and reason like 'its row of%' group by 1 order by 1"
    ) == [
        ("lines", 2),
        ("tasks", 1),
    ]
    assert app.rows("select * from tenantry.tenant_move") == []
    _agrees(app)
    # They change and go, and take nothing along; a place that was given up is taken.
    app.as_owner(
        "delete from app.invoices where body = 'of one'",
        "delete from app.coupons where code = 'SALE' and body = 'of two'",
        "update app.coupons set body = 'of one still' where code = 'NEW' and body = 'of one'",
    )
    app.run("replay", "--until-idle", code=0)
    coupons[2] = ("SALE", "o1", "of one")
    check_lines = app.rows("select coupon, body from lines order by 1")
    assert check_lines == [("NEW", "private line of two"), ("SALE", "INJECTED")]
    assert app.rows("select * from coupons order by 1") == coupons
    assert app.rows("select * from docs order by id") == docs
    _agrees(app)
    app.roll_back()
    app.run("replay", "--until-idle", code=0)
    assert _of_tenants(app, "coupons") == [
        ("o1", "of one"),
        ("o1", "of one"),
        ("o1", "of one still"),
        ("o2", "of two"),
        ("o2", "of two, refused"),
    ]
    assert _of_tenants(app, "lines") == [("o1", "INJECTED"), ("o1", "INJECTED"), ("o2", "private line of two")]
    assert _of_tenants(app, "tasks") == [("o1", "INJECTED")]
    assert _of_tenants(app, "projects", "name") == [("o1", "of one"), ("o2", "of two")]
    app.run("verify", code=0)


def test_two_tenants_rows_with_one_id_in_the_dual_write_window(small: MakeSmall) -> None:
    app = small(
        source=f"""
create table notes (id text primary key, org_id text not null references "Organization", title text);
create table lines (id text primary key, note text not null references notes (id), body text);
insert into notes values ('{SAME}', 'o2', 'of two'), ('{QUOTE}', 'o2', 'to be deleted'), ('{MOVED}', 'o2', 'moves');
insert into lines values ('l1', '{SAME}', 'line of two');
""",
        target=target_table("notes", ", title text")
        + target_table(
            "lines",
            ", note_id uuid not null, body text",
            "foreign key (org_id, note_id) references notes (org_id, id) on delete cascade deferrable",
        ),
        tables="""
[tables.notes]
from = "notes"
access = "tenant"
[tables.lines]
from = "lines"
tenant = ["note"]
access = "tenant"
columns = { note_id = { from = "note", ref = "notes" } }
""",
    )
    app.migrate()
    app.run("cutover", "--grace", "1h", code=0)
    app.as_owner(
        _insert("notes", "o1", id=SAME, title="of one"),
        _insert("notes", "o1", id=QUOTE, title="of one"),
        f"update app.notes set org_id = (select id from app.orgs where legacy_id = 'o1') where legacy_id = '{MOVED}'",
    )
    app.run("replay", "--until-idle", code=0)
    # The source's rows change and are deleted, next to rows of another tenant with their ids; in one round both sides make one.
    app.write(
        f"update notes set title = 'two by the source' where id = '{SAME}'",
        "update lines set body = 'line by the source'",
        f"delete from notes where id = '{QUOTE}'",
        f"insert into notes values ('{HIDDEN}', 'o2', 'secret of two')",
    )
    app.as_owner(
        "update app.notes set title = 'of one, again' where title = 'of one'",
        _insert("notes", "o1", id=HIDDEN, title="of one"),
    )
    app.run("replay", "--until-idle", code=0)
    assert app.rows("select * from notes order by id") == [
        (HIDDEN, "o2", "secret of two"),
        (MOVED, "o1", "moves"),
        (SAME, "o2", "two by the source"),
    ]
    assert _of_tenants(app, "notes", "title") == [
        ("o1", "moves"),
        ("o1", "of one"),
        ("o1", "of one, again"),
        ("o1", "of one, again"),
        ("o2", "secret of two"),
        ("o2", "two by the source"),
    ]
    assert _of_tenants(app, "lines") == [("o2", "line by the source")]
    app.run("cutover", code=0)
    app.roll_back()
    app.run("verify", code=0)
