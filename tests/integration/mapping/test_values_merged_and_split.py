"""Tenants from values, and paths through rows without one, where several sources fill a table, one fills two, and rows are merged."""

from __future__ import annotations

from tests.integration.mapping.test_tenants_from_values import MANIFEST, SCOPED, TARGET, values_application
from tests.small import MakeSmall, Small

SOURCE = """
create table contacts (id text primary key, company text not null, mail text not null, at int not null);
create table calls (id text primary key default gen_random_uuid()::text, contact_id text not null references contacts (id), minutes int not null);
create table receipts (id text primary key default gen_random_uuid()::text, user_id text not null references users (id), total int not null);
create table bills (id text primary key default gen_random_uuid()::text, company text not null, total int not null,
    paid boolean not null default false);
insert into contacts values ('k1', 'Acme', 'x@example.org', 1), ('k2', 'ACME ', 'x@example.org', 2), ('k3', 'Globex', 'x@example.org', 3);
insert into calls select 'l' || i, 'k' || i, i from generate_series(1, 3) i;
insert into receipts select 'r' || i, 'u' || i, i from generate_series(1, 3) i;
insert into bills select 'b' || i, (array['acme', 'Globex'])[1 + i % 2], i, i > 2 from generate_series(1, 4) i;
"""
MORE_TARGET = (
    f"create table contacts {SCOPED.format('mail text not null, at int not null', ', unique (company_id, mail)')};"
    + "create table calls "
    + SCOPED.format(
        "contact_id uuid not null, minutes int not null",
        ", foreign key (company_id, contact_id) references contacts (company_id, id) deferrable initially immediate",
    )
    + f"; create table documents {SCOPED.format('total int not null', '')};"
    + f"create table paid_bills {SCOPED.format('total int not null', '')};"
    + "create index on calls (company_id, contact_id);"
)
MORE = """
[tables.contacts]
from = "contacts"
tenant = ["company -> companies"]
merge = { by = ["company_id", "mail"], keep = "at", reason = "one person, typed twice" }
access = "tenant"
[tables.calls]
from = "calls"
tenant = ["contact_id"]
access = "tenant"
[tables.documents]
access = "tenant"
[tables.documents.sources.receipt]
from = "receipts"
tenant = ["user_id -> people.company -> companies"]
[tables.documents.sources.bill]
from = "bills"
where = "not s.paid"
tenant = ["company -> companies"]
[tables.paid_bills]
from = "bills"
part = "paid"
where = "s.paid"
tenant = ["company -> companies"]
access = "tenant"
"""


def _of(app: Small, table: str) -> list[tuple[str, str]]:
    query = f"select t.legacy_id, c.name from app.{table} t join app.companies c on c.id = t.company_id order by 1"
    return [(str(old), str(name)) for old, name in app.rows(query)]


def test_values_merge_split_and_join(small: MakeSmall) -> None:
    app = values_application(small)
    app.as_owner(*filter(str.strip, SOURCE.split(";\n")))
    app.as_owner("update invoices set company = 'Acme' where company is null")
    app.path.write_text(MANIFEST + MORE, encoding="utf-8")
    (app.folder / "target.sql").write_text(TARGET + MORE_TARGET, encoding="utf-8")
    app.run("analyze", code=0)
    app.migrate()
    assert _of(app, "contacts") == [("k1", "Acme"), ("k3", "Globex")]
    assert _of(app, "calls") == [("l1", "Acme"), ("l2", "Acme"), ("l3", "Globex")]
    assert _of(app, "documents") == [
        ("bill:b1", "Globex"), ("bill:b2", "Acme"), ("receipt:r1", "Acme"), ("receipt:r2", "Acme"), ("receipt:r3", "Globex"),
    ]  # fmt: skip
    assert _of(app, "paid_bills") == [("b3", "Globex"), ("b4", "Acme")]
    # Rows move by the value in the row, and by the one of the person they lead through; merges are decided again.
    app.write(
        "update users set company = 'Hooli' where id = 'u1'",
        "update contacts set company = 'Hooli' where id = 'k1'",
        "update contacts set company = 'globex' where id = 'k2'",
        "update bills set paid = true, company = 'Hooli' where id = 'b1'",
    )
    app.run("replay", "--until-idle", code=0)
    assert _of(app, "contacts") == [("k1", "Hooli"), ("k2", "Globex")]
    assert _of(app, "calls") == [("l1", "Hooli"), ("l2", "Globex"), ("l3", "Globex")]
    assert _of(app, "documents") == [
        ("bill:b2", "Acme"), ("receipt:r1", "Hooli"), ("receipt:r2", "Acme"), ("receipt:r3", "Globex"),
    ]  # fmt: skip
    assert _of(app, "paid_bills") == [("b1", "Hooli"), ("b3", "Globex"), ("b4", "Acme")]
    app.run("verify", code=0)
    app.cut_over()
    app.as_owner(
        "insert into app.companies (name) values ('Born')",
        "insert into app.contacts (company_id, mail, at) select id, 'new@example.org', 9 from app.companies where name in ('Born', 'Hooli')",
        "insert into app.calls (company_id, contact_id, minutes) select company_id, id, 99 from app.contacts where at = 9",
        "insert into app.paid_bills (company_id, total) select id, 77 from app.companies where name = 'Born'",
        "update app.documents set total = 500 where legacy_id = 'receipt:r3'",
        "update app.contacts set mail = 'y@example.org' where legacy_id = 'k2'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    assert app.rows("select company, mail from contacts where at = 9 order by 1") == [
        ("Born", "new@example.org"),
        ("Hooli", "new@example.org"),
    ]
    assert app.one("select count(*) from calls where minutes = 99") == 2
    assert app.one("select total from receipts where id = 'r3'") == 500
    assert app.rows("select id, company, mail from contacts where id in ('k2', 'k3') order by 1") == [
        ("k2", "globex", "y@example.org"),
        ("k3", "Globex", "x@example.org"),
    ]
    app.roll_back()
    app.run("verify", code=0)
    app.cut_over()
    app.run("verify", code=0)
