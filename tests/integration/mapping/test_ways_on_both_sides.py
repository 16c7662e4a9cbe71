"""Every way to a tenant at once: rehearsed, and written on both sides in a dual-write window."""

from __future__ import annotations

from tests.integration.mapping.test_tenants_from_values import values_application
from tests.integration.mapping.test_ways_to_tenants import HEAD, PEOPLE, PERSON, ROLES, SCOPED
from tests.small import MakeSmall, Small

SOURCE = (
    ROLES
    + """
create table orgs (id text primary key, name text not null);
create table people (id text primary key, email text not null);
create table mailboxes (id text primary key default gen_random_uuid()::text, user_id text not null references people (id), address text not null);
create table staff (id text primary key default gen_random_uuid()::text, org_id text not null references orgs (id),
    person_id text not null unique references people (id), mailbox_id text unique references mailboxes (id));
create table invoices (id text primary key default gen_random_uuid()::text, org_id text references orgs (id),
    person_id text not null references people (id), total int not null);
create table brands (id text primary key, org_id text not null references orgs (id), name text not null);
create table products (id text primary key, brand_id text references brands (id), name text not null);
create table lines (id text primary key default gen_random_uuid()::text, product_id text not null references products (id), pieces int not null);
create table comments (id text primary key default gen_random_uuid()::text, author_id text not null references people (id), body text not null);
insert into orgs select 'o' || i, 'Org ' || i from generate_series(1, 2) i;
insert into people select 'p' || i, 'p' || i || '@example.org' from generate_series(1, 4) i;
insert into mailboxes select 'b' || i, 'p' || i, 'B' || i from generate_series(1, 4) i;
insert into staff select 'm' || i, 'o' || 1 + i % 2, 'p' || i, 'b' || i from generate_series(1, 2) i;
insert into invoices select 'i' || i, case when i % 2 = 0 then 'o' || 1 + (i % 4) / 2 end, 'p' || 1 + (i - 1) % 4, i from generate_series(1, 8) i;
insert into brands select 'r' || i, 'o' || 1 + i % 2, 'R' || i from generate_series(1, 2) i;
insert into products select 'q' || i, 'r' || 1 + i % 2, 'Q' || i from generate_series(1, 4) i;
insert into lines select 'l' || i, 'q' || 1 + i % 4, i from generate_series(1, 8) i;
insert into comments select 'c' || i, 'p' || 1 + i % 2, 'C' || i from generate_series(1, 4) i;
"""
)
IN_PRODUCT = "product_id uuid not null references products (id) deferrable initially immediate, pieces int not null"
TARGET = (
    PEOPLE
    + f"create table staff {SCOPED.format(PERSON + ', role text not null', ', unique (org_id, person_id)')};"
    + f"create table mailboxes {SCOPED.format('user_id uuid not null references people (id), address text not null', '')};"
    + f"create table invoices {SCOPED.format(PERSON + ', total int not null', '')};"
    + f"create table brands {SCOPED.format('name text not null', '')};"
    + "create table products (id uuid not null default gen_random_uuid() primary key, legacy_id text not null unique, name text not null);"
    + f"create table lines {SCOPED.format(IN_PRODUCT, '')};"
    + f"create table comments {SCOPED.format('author_id uuid not null references people (id), body text not null', '')};"
    + "create index on staff (person_id); create index on invoices (person_id); create index on mailboxes (user_id);"
    + "create index on lines (product_id); create index on comments (author_id);"
)
MANIFEST = (
    HEAD
    + """
[tables.staff]
access = "managed"
[tables.staff.sources.org]
from = "staff"
columns = { role = { up = "'member'" } }
[tables.staff.sources.personal]
from = "people"
part = "membership"
tenant = ["id -> orgs"]
columns = { person_id = { from = "id", ref = "people" }, role = { up = "'owner'" } }
[tables.invoices]
from = "invoices"
tenant = ["org_id"]
fallback = ["person_id -> orgs"]
access = "tenant"
[tables.mailboxes]
from = "mailboxes"
tenant = ["id <- staff.mailbox_id"]
fallback = ["user_id -> orgs"]
access = "tenant"
[tables.brands]
from = "brands"
tenant = ["org_id"]
access = "tenant"
[tables.products]
from = "products"
access = { select = "signed_in", insert = "service", update = "service", delete = "service" }
[tables.lines]
from = "lines"
tenant = ["product_id -> products.brand_id"]
access = "tenant"
[tables.comments]
from = "comments"
tenant = ["author_id -> people.id <- staff.person_id"]
fallback = ["author_id -> orgs"]
access = "tenant"
"""
)
ORG = "(select id from app.orgs where legacy_id = '{}')"
PERSON_OF = "(select id from app.people where legacy_id = '{}')"
PLACES = "select coalesce(t.legacy_id, ''), o.legacy_id from app.{0} t join app.orgs o on o.id = t.org_id where t.legacy_id <> t.id::text"


def _application(small: MakeSmall) -> Small:
    app = small(source=SOURCE)
    app.path.write_text(MANIFEST, encoding="utf-8")
    (app.folder / "target.sql").write_text(TARGET, encoding="utf-8")
    return app


def _rehearsed(app: Small) -> None:
    found = app.run("rehearse", "--no-proof", "--dsn", app.database.dsn, "--json", code=0).json
    assert found["passed"], found


def test_ways_over_other_rows(small: MakeSmall) -> None:
    app = _application(small)
    _rehearsed(app)
    app.migrate()
    app.run("cutover", "--dual-write", "1h", code=0)
    # Each side changes what the other one reads.
    app.write(
        "update invoices set org_id = null where id = 'i2'",
        "update staff set mailbox_id = 'b3' where id = 'm1'",
        "update products set brand_id = 'r2' where id = 'q1'",
        "insert into staff values ('m4', 'o1', 'p4', 'b4')",
        "insert into comments values ('c9', 'p4', 'C9'), ('c10', 'p3', 'C10')",
    )
    app.as_owner(
        f"insert into app.invoices (org_id, person_id, total) values ({ORG.format('org:o1')}, {PERSON_OF.format('p3')}, 100),"
        f" ({ORG.format('personal:p3')}, {PERSON_OF.format('p3')}, 200)",
        f"insert into app.lines (org_id, product_id, pieces) select {ORG.format('org:o2')}, id, 300 from app.products where legacy_id = 'q4'",
        f"insert into app.comments (org_id, author_id, body) values ({ORG.format('org:o1')}, {PERSON_OF.format('p2')}, 'born')",
        "update app.mailboxes set address = 'changed' where legacy_id = 'b2'",
        "delete from app.lines where legacy_id = 'l5'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    invoices: dict[str, str] = dict(app.rows(PLACES.format("invoices")))
    assert (invoices["i2"], invoices["i4"]) == ("personal:p2", "org:o1")
    assert dict(app.rows(PLACES.format("mailboxes"))) == {
        "b1": "personal:p1", "b2": "org:o1", "b3": "org:o2", "b4": "org:o1",
    }  # fmt: skip
    lines: dict[str, str] = dict(app.rows(PLACES.format("lines")))
    assert lines == {f"l{i}": f"org:o{1 + i % 2}" for i in range(1, 9) if i != 5} | {"l4": "org:o1", "l8": "org:o1"}
    comments: dict[str, str] = dict(app.rows(PLACES.format("comments")))
    assert (comments["c9"], comments["c10"], comments["c1"]) == ("org:o1", "personal:p3", "org:o1")
    assert app.rows("select org_id, total from invoices where total >= 100 order by 2") == [("o1", 100), (None, 200)]
    assert app.rows("select product_id, pieces from lines where pieces = 300") == [("q4", 300)]
    assert app.rows("select author_id from comments where body = 'born'") == [("p2",)]
    assert app.one("select address from mailboxes where id = 'b2'") == "changed"
    app.cut_over()
    app.run("verify", code=0)
    app.roll_back()
    app.run("verify", code=0)


def test_ways_by_value(small: MakeSmall) -> None:
    app = values_application(small)
    app.write("update invoices set company = 'Acme' where company is null")
    _rehearsed(app)
    app.migrate()
    app.run("cutover", "--dual-write", "1h", code=0)
    app.write(
        "insert into projects (id, company, title) values ('s1', 'Left', 'new in the source')",
        "insert into tasks values ('s2', 's1', 'new in the source')",
        "update projects set company = 'acme' where id = 'p2'",
    )
    app.as_owner(
        "insert into app.companies (name) values ('Right')",
        "insert into app.projects (company_id, title) select id, 'new in the target' from app.companies where name in ('Right', 'Acme')",
        "insert into app.tasks (company_id, project_id, what) select company_id, id, title from app.projects where title like '%target'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    of = "select t.legacy_id, c.name from app.{} t join app.companies c on c.id = t.company_id where t.legacy_id in ('s1', 's2', 'p2')"
    assert dict(app.rows(of.format("projects"))) == {"s1": "Left", "p2": "Acme"}
    assert dict(app.rows(of.format("tasks"))) == {"s2": "Left"}
    assert app.rows("select company from projects where title like '%target' order by 1") == [("Acme",), ("Right",)]
    # The application of the source names the new tenant.
    app.write("insert into projects (id, company, title) values ('s3', ' right', 'new in the source')")
    app.run("replay", "--until-idle", code=0)
    assert (
        app.one(
            "select c.name from app.projects p join app.companies c on c.id = p.company_id where p.legacy_id = 's3'"
        )
        == "Right"
    )
    app.cut_over()
    app.run("verify", code=0)
