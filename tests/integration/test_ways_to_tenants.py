"""Ways to the tenant that are not a key of the row itself: there, live, back, and there again."""

from __future__ import annotations

from tests.small import MakeSmall, Small

ROLES = 'drop table "User", "Organization"; drop type "Role";\n'

PERSONAL = """
create table orgs (id text primary key, name text not null);
create table people (id text primary key, email text not null);
create table staff (id text primary key, org_id text not null references orgs (id), person_id text not null references people (id));
create table invoices (id text primary key default gen_random_uuid()::text, org_id text references orgs (id),
    person_id text not null references people (id), total int not null);
create table lines (id text primary key default gen_random_uuid()::text, invoice_id text not null references invoices on delete cascade,
    what text not null);
insert into orgs select 'o' || i, 'Org ' || i from generate_series(1, 2) i;
insert into people select 'p' || i, 'p' || i || '@example.org' from generate_series(1, 4) i;
insert into staff select 'm' || i, 'o' || 1 + i % 2, 'p' || i from generate_series(1, 4) i;
insert into invoices select 'i' || i, case when i % 2 = 0 then 'o' || 1 + (i % 4) / 2 end, 'p' || 1 + (i - 1) % 4, i from generate_series(1, 8) i;
insert into lines select 'l' || i, 'i' || i, 'line' from generate_series(1, 8) i;
"""
SCOPED = """(org_id uuid not null references orgs (id) deferrable initially immediate, id uuid not null default gen_random_uuid(),
    legacy_id text not null, {}, primary key (org_id, id), unique (org_id, legacy_id){})"""
PEOPLE = """
create table orgs (id uuid not null default gen_random_uuid() primary key, legacy_id text not null unique, name text not null);
create table people (id uuid not null default gen_random_uuid() primary key, legacy_id text not null unique,
    account_id uuid unique references auth.users (id) on delete set null deferrable initially immediate, email text not null unique);
"""
PERSON = "person_id uuid not null references people (id) deferrable initially immediate"
PERSONAL_TARGET = (
    PEOPLE
    + f"create table staff {SCOPED.format(PERSON + ', role text not null', ', unique (org_id, person_id)')};"
    + f"create table invoices {SCOPED.format(PERSON + ', total int not null', '')};"
    + "create table lines "
    + SCOPED.format(
        "invoice_id uuid not null, what text not null",
        ", foreign key (org_id, invoice_id) references invoices (org_id, id) on delete cascade deferrable initially immediate",
    )
    + ";create index on staff (person_id); create index on invoices (person_id); create index on lines (org_id, invoice_id);"
)
HEAD = """
name = "ways"
[source]
schema = "public"
[target]
schema = "app"
files = ["target.sql"]
[ids]
namespace = "ways"
[tenant]
table = "orgs"
column = "org_id"
[membership]
table = "staff"
profile = "person_id"
role = "role"
[roles]
order = ["member", "owner"]
[users]
from = "people"
email = "email"
profile = "people"
account = "account_id"
[tables.people]
from = "people"
access = { select = { colleagues = "member", own = "id" }, insert = "service", update = { own = "id" }, delete = "service" }
[tables.orgs]
access = { select = "member", insert = "super", update = "owner", delete = "super" }
[tables.orgs.sources.org]
from = "orgs"
[tables.orgs.sources.personal]
from = "people"
part = "tenant"
columns = { name = { from = "email" } }
"""
PERSONAL_MANIFEST = (
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
[tables.lines]
from = "lines"
tenant = ["invoice_id"]
access = "tenant"
"""
)
OF = "select i.legacy_id, o.legacy_id from app.invoices i join app.orgs o on o.id = i.org_id order by 1"


def _application(small: MakeSmall, source: str, target: str, manifest: str) -> Small:
    app = small(source=ROLES + source)
    app.path.write_text(manifest, encoding="utf-8")
    (app.folder / "target.sql").write_text(target, encoding="utf-8")
    return app


def test_an_invoice_is_its_organizations_or_else_the_persons_own(small: MakeSmall) -> None:
    app = _application(small, PERSONAL, PERSONAL_TARGET, PERSONAL_MANIFEST)
    found = app.run("analyze", "--json", code=0).json["findings"]
    assert not [each for each in found if each["code"] in ("TA-203", "TA-302", "TA-303", "TA-304")], found
    app.migrate()
    assert app.rows(OF) == [
        ("i1", "personal:p1"), ("i2", "org:o2"), ("i3", "personal:p3"), ("i4", "org:o1"),
        ("i5", "personal:p1"), ("i6", "org:o2"), ("i7", "personal:p3"), ("i8", "org:o1"),
    ]  # fmt: skip
    assert app.one("select count(*) from tenantry.quarantine") == 0
    # Live: from the organization to the person and back, and to another person.
    app.write(
        "update invoices set org_id = null where id = 'i2'",
        "update invoices set org_id = 'o1' where id = 'i1'",
        "update invoices set person_id = 'p4' where id = 'i3'",
        "insert into invoices values ('i9', null, 'p2', 9)",
    )
    app.run("replay", "--until-idle", code=0)
    assert app.rows(OF) == [
        ("i1", "org:o1"), ("i2", "personal:p2"), ("i3", "personal:p4"), ("i4", "org:o1"), ("i5", "personal:p1"),
        ("i6", "org:o2"), ("i7", "personal:p3"), ("i8", "org:o1"), ("i9", "personal:p2"),
    ]  # fmt: skip
    app.run("verify", code=0)
    app.cut_over()
    app.run("prove", code=0)
    person = "select o.id, p.id, {} from app.orgs o, app.people p where o.legacy_id = '{}' and p.legacy_id = '{}'"
    insert = "insert into app.invoices (org_id, person_id, total) "
    app.as_owner(
        insert + person.format(20, "org:o1", "p1"),
        insert + person.format(21, "personal:p1", "p1"),
        # A tenant that nobody's own is: the source has no way to say it.
        insert + person.format(22, "personal:p2", "p1"),
        "insert into app.lines (org_id, invoice_id, what) select org_id, id, 'born' from app.invoices where total in (20, 21)",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    assert app.rows("select org_id, person_id, total from invoices where total >= 20 order by total") == [
        ("o1", "p1", 20),
        (None, "p1", 21),
    ]
    app.roll_back()
    app.run("verify", code=0)
    app.cut_over()
    app.run("verify", code=0)
    assert app.one("select o.legacy_id from app.invoices i join app.orgs o on o.id = i.org_id where total = 22") == (
        "personal:p2"
    )
