"""Ways to the tenant that are not a key of the row itself: there, live, back, and there again."""

from __future__ import annotations

import pytest

from tests.small import MakeSmall, Small, target_table

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
JOINED = """
create table orgs (id text primary key, name text not null);
create table people (id text primary key, email text not null);
create table mailboxes (id text primary key, user_id text not null references people (id), address text not null);
create table memberships (id text primary key default gen_random_uuid()::text, org_id text not null references orgs (id),
    user_id text not null references people (id), mailbox_id text references mailboxes (id){}, role text not null);
create table rules (id text primary key, mailbox_id text not null references mailboxes (id), name text not null);
insert into orgs values ('o1', 'One'), ('o2', 'Two');
insert into people select 'u' || i, 'u' || i || '@example.org' from generate_series(1, 4) i;
insert into mailboxes select 'b' || i, 'u' || i, 'u' || i || '@example.org' from generate_series(1, 4) i;
insert into memberships (id, org_id, user_id, mailbox_id, role) values ('m1', 'o1', 'u1', 'b1', 'owner'), ('m2', 'o2', 'u2', 'b2', 'owner'),
    ('m4', 'o2', 'u4', 'b4', '?');
insert into rules select 'r' || i, 'b' || i, 'R' || i from generate_series(1, 4) i;
"""
JOINED_TARGET = (
    PEOPLE
    + "create table staff "
    + SCOPED.format(PERSON + ", mailbox_id uuid, role text not null", ", unique (org_id, person_id)")
    + f"; create table mailboxes {SCOPED.format('user_id uuid not null references people (id), address text not null', '')};"
    + "create table rules "
    + SCOPED.format(
        "mailbox_id uuid not null, name text not null",
        ", foreign key (org_id, mailbox_id) references mailboxes (org_id, id) deferrable initially immediate",
    )
    + ";alter table staff add foreign key (org_id, mailbox_id) references mailboxes (org_id, id) deferrable initially immediate;"
    + "create index on staff (person_id); create index on staff (org_id, mailbox_id); create index on mailboxes (user_id);"
    + "create index on rules (org_id, mailbox_id);"
)
JOINED_MANIFEST = (
    HEAD
    + """
[tables.staff]
from = "memberships"
tenant = ["org_id"]
access = "managed"
[tables.staff.columns]
person_id = { from = "user_id", ref = "people" }
role = { map = { owner = "owner", member = "member" } }
[tables.mailboxes]
from = "mailboxes"
tenant = ["id <- staff.mailbox_id"]
fallback = ["user_id -> orgs"]
access = "tenant"
columns = { user_id = { ref = "people" } }
[tables.rules]
from = "rules"
tenant = ["mailbox_id"]
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
        # A tenant that no source row names: the source cannot represent it.
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


WHERE = (
    "select m.legacy_id, o.legacy_id, (select count(*) from app.rules r where r.org_id = m.org_id and r.mailbox_id = m.id)"
    " from app.mailboxes m join app.orgs o on o.id = m.org_id order by 1"
)


@pytest.mark.parametrize("unique", [" unique", ""])
def test_a_mailbox_belongs_to_the_organization_whose_membership_names_it(small: MakeSmall, unique: str) -> None:
    target = JOINED_TARGET
    if not unique:
        # Memberships of the target do not name mailboxes, so that the references make no circle.
        target = (
            target.replace(" mailbox_id uuid, role", " role")
            .replace(
                "alter table staff add foreign key (org_id, mailbox_id) references mailboxes (org_id, id) deferrable initially immediate;",
                "",
            )
            .replace("create index on staff (org_id, mailbox_id);", "")
        )
    app = _application(small, JOINED.format(unique), target, JOINED_MANIFEST)
    if unique:
        drafted = app.run("init", str(app.folder / "draft"), "--tenant", "orgs", "--json").json
        assert drafted["valid"], drafted["problem"]
        text = (app.folder / "draft" / "tenantry.toml").read_text(encoding="utf-8")
        assert 'tenant = ["id <- memberships.mailbox_id"]' in text, text
        assert 'tenant = ["mailbox_id"]' in text, text
    app.run("analyze", code=0)
    app.migrate()
    quarantined = app.rows("select mapping, source_key from tenantry.quarantine where state = 'open' order by 1")
    found = app.rows(WHERE)
    assert found[:3] == [("b1", "org:o1", 1), ("b2", "org:o2", 1), ("b3", "personal:u3", 1)]
    # A membership in quarantine never lets its mailbox fall back to another tenant.
    if unique:
        assert (quarantined, found[3:]) == ([("staff", "m4")], [("b4", "org:o2", 1)])
    else:
        assert (quarantined, found[3:]) == ([("mailboxes", "b4"), ("rules", "r4"), ("staff", "m4")], [])
    app.run("verify", code=0)
    app.write(
        "update memberships set role = 'owner' where id = 'm4'",
        "delete from memberships where id = 'm1'",
        "insert into memberships values ('m3', 'o1', 'u3', 'b3', 'member')",
    )
    app.run("replay", "--until-idle", code=0)
    assert app.rows(WHERE) == [
        ("b1", "personal:u1", 1), ("b2", "org:o2", 1), ("b3", "org:o1", 1), ("b4", "org:o2", 1),
    ]  # fmt: skip
    # The naming column alone changes: one mailbox comes, another goes.
    app.write("update memberships set mailbox_id = 'b1' where id = 'm3'")
    app.run("replay", "--until-idle", code=0)
    assert app.rows(WHERE)[:3] == [("b1", "org:o1", 1), ("b2", "org:o2", 1), ("b3", "personal:u3", 1)]
    app.run("verify", code=0)
    if not unique:
        # Two organizations name one mailbox.
        app.write("insert into memberships values ('m5', 'o2', 'u1', 'b1', 'member')")
        app.run("replay", "--until-idle", code=0)
        assert "tenant_conflict" in app.one("select problems::text from tenantry.quarantine where source_key = 'b1'")
        app.write("delete from memberships where id = 'm5'")
        app.run("replay", "--until-idle", code=0)
        assert app.rows(WHERE)[0] == ("b1", "org:o1", 1)
        app.run("verify", code=0)
        return
    app.cut_over()
    app.as_owner(
        *(
            f"insert into app.mailboxes (org_id, user_id, address) select o.id, p.id, '{name}' from app.orgs o, app.people p"
            " where o.legacy_id = 'org:o1' and p.legacy_id = 'u4'"
            for name in ("born", "lost")
        ),
        "insert into app.staff (org_id, person_id, mailbox_id, role) select org_id, user_id, id, 'member' from app.mailboxes"
        " where address = 'born'",
        "insert into app.rules (org_id, mailbox_id, name) select org_id, id, address from app.mailboxes where address in ('born', 'lost')",
        "update app.rules set name = 'changed' where legacy_id = 'r2'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    assert app.rows(
        "select m.org_id, b.user_id from memberships m join mailboxes b on b.id = m.mailbox_id where address = 'born'"
    ) == [("o1", "u4")]
    assert app.rows("select name from rules where name in ('born', 'lost', 'changed') order by 1") == [
        ("born",),
        ("changed",),
    ]
    # What no membership names would be the person's own in the source: it stays in the target.
    assert app.one("select count(*) from mailboxes where address = 'lost'") == 0
    refused = (
        "select table_name from tenantry.conflict where reason like 'it would belong to another tenant%' order by 1"
    )
    assert app.rows(refused) == [("mailboxes",), ("rules",)]
    app.run("rollback", "--yes", code=1)
    assert "it would belong to another tenant there" in app.run("verify", code=1).everything
    app.write("delete from memberships where id = 'm2'")
    app.run("cutover", code=0)
    app.run("verify", code=0)
    assert ("b2", "personal:u2", 1) in app.rows(WHERE)
    of = "select m.address, o.legacy_id from app.mailboxes m join app.orgs o on o.id = m.org_id where address in ('born', 'lost')"
    assert app.rows(of + " order by 1") == [("born", "org:o1"), ("lost", "org:o1")]


# Brands have a tenant; products do not, and neither do the people who write comments.
THROUGH = """
create table orgs (id text primary key, name text not null);
create table people (id text primary key, email text not null);
create table staff (id text primary key, org_id text not null references orgs (id), person_id text not null references people (id){});
create table brands (id int primary key, org_id text not null references orgs (id), name text not null);
create table products (id int primary key, brand_id int references brands (id), name text not null);
create table lines (id text primary key default gen_random_uuid()::text, product_id int not null references products (id), pieces int not null);
create table comments (id text primary key default gen_random_uuid()::text, author_id text not null references people (id), body text not null);
insert into orgs select 'o' || i, 'Org ' || i from generate_series(1, 3) i;
insert into people select 'p' || i, 'p' || i || '@example.org' from generate_series(1, 4) i;
insert into staff select 'm' || i, 'o' || 1 + i % 2, 'p' || i from generate_series(1, 3) i;
insert into brands select i, 'o' || 1 + i % 2, 'B' || i from generate_series(1, 3) i;
insert into products select i, 1 + i % 3, 'P' || i from generate_series(1, 6) i;
insert into lines select i, 1 + i % 6, i from generate_series(1, 12) i;
insert into comments select 'c' || i, 'p' || 1 + i % 3, 'C' || i from generate_series(1, 6) i;
"""
THROUGH_TARGET = (
    PEOPLE
    + f"create table staff {SCOPED.format(PERSON + ', role text not null', ', unique (org_id, person_id)')};"
    + f"create table brands {SCOPED.format('name text not null', '')};"
    + """create table products (id uuid not null default gen_random_uuid() primary key, legacy_id text not null unique, name text not null,
        brand int);"""
    + "create table lines "
    + SCOPED.format(
        "product_id uuid not null references products (id) deferrable initially immediate, pieces int not null", ""
    )
    + "; create table comments "
    + SCOPED.format(
        "author_id uuid not null references people (id) deferrable initially immediate, body text not null", ""
    )
    + "; create index on staff (person_id); create index on lines (product_id); create index on comments (author_id);"
)
THROUGH_MANIFEST = (
    HEAD.replace(
        '[tables.orgs.sources.personal]\nfrom = "people"\npart = "tenant"\ncolumns = { name = { from = "email" } }\n',
        "",
    )
    + """
[tables.staff]
from = "staff"
access = "managed"
columns = { role = { up = "'member'" } }
[tables.brands]
from = "brands"
tenant = ["org_id"]
access = "tenant"
[tables.products]
from = "products"
columns = { brand = { from = "brand_id", ref = false } }
access = { select = "signed_in", insert = "service", update = "service", delete = "service" }
[tables.lines]
from = "lines"
tenant = ["product_id -> products.brand_id"]
access = "tenant"
[tables.comments]
from = "comments"
tenant = ["author_id -> people.id <- staff.person_id"]
access = "tenant"
"""
)
PLACES = (
    "select t.legacy_id, o.legacy_id from app.{0} t join app.orgs o on o.id = t.org_id order by length(t.legacy_id), 1"
)


@pytest.mark.parametrize("unique", [" unique", ""])
def test_a_path_leads_through_rows_that_have_no_tenant(small: MakeSmall, unique: str) -> None:
    app = _application(small, THROUGH.format(unique), THROUGH_TARGET, THROUGH_MANIFEST)
    app.run("analyze", code=0)
    app.migrate()

    def lines() -> dict[str, str]:
        return dict(app.rows(PLACES.format("lines")))

    def comments() -> dict[str, str]:
        return dict(app.rows(PLACES.format("comments")))

    def org(brand: int) -> str:
        return f"org:o{1 + brand % 2}"

    # Line i has product 1 + i % 6, whose brand is 1 + product % 3.
    assert lines() == {str(i): org(1 + (1 + i % 6) % 3) for i in range(1, 13)}
    assert comments() == {f"c{i}": f"org:o{1 + (1 + i % 3) % 2}" for i in range(1, 7)}
    app.write(
        "update products set brand_id = 1 where id = 1",  # its lines follow
        "update brands set org_id = 'o3' where id = 3",  # and those of all its products
        "insert into products values (7, 3, 'P7')",
        "insert into lines values ('13', 7, 77)",
        "insert into comments values ('c7', 'p4', 'waits for a membership')",
    )
    app.run("replay", "--until-idle", code=0)
    brands = {1: 1, 2: 3, 3: 1, 4: 2, 5: 3, 6: 1, 7: 3}
    orgs = {1: "org:o2", 2: "org:o1", 3: "org:o3"}
    assert lines() == {str(i): orgs[brands[1 + i % 6]] for i in range(1, 13)} | {"13": "org:o3"}
    quarantined = "select mapping, source_key, reason from tenantry.quarantine where state = 'open' order by 2"
    assert app.rows(quarantined) == [("comments", "c7", "tenant_missing")]
    app.write(
        "insert into staff values ('m4', 'o3', 'p4')",
        "update staff set org_id = 'o3' where id = 'm1'",
        "update products set brand_id = null where id = 2",
    )
    app.run("replay", "--until-idle", code=0)
    assert comments()["c7"] == "org:o3"
    assert comments()["c3"] == "org:o3"
    assert [row[:2] for row in app.rows(quarantined)] == [("lines", "1"), ("lines", "7")]
    app.run("verify", code=0)
    if not unique:
        # Somebody works for two organizations: nothing says to which one their comments belong.
        app.write("insert into staff values ('m5', 'o1', 'p4')")
        app.run("replay", "--until-idle", code=0)
        assert ("comments", "c7", "tenant_conflict") in app.rows(quarantined)
        app.write("delete from staff where id = 'm4'")
        app.run("replay", "--until-idle", code=0)
        assert comments()["c7"] == "org:o1"
        app.run("verify", code=0)
        return
    app.write(
        "update products set brand_id = 2 where id = 2", "update staff set person_id = 'p4', id = 'm4' where id = 'm4'"
    )
    app.run("replay", "--until-idle", code=0)
    app.cut_over()
    app.run("prove", code=0)
    app.as_owner(
        *(
            f"insert into app.lines (org_id, product_id, pieces) select o.id, p.id, {pieces} from app.orgs o, app.products p"
            f" where o.legacy_id = '{org}' and p.legacy_id = '3'"
            for pieces, org in ((500, "org:o2"), (600, "org:o3"))
        ),
        "insert into app.comments (org_id, author_id, body) select s.org_id, s.person_id, 'born' from app.staff s where s.legacy_id = 'm2'",
        "update app.products set brand = 3 where legacy_id = '3'",
    )
    app.run("replay", "--until-idle", code=0)
    assert app.rows("select brand_id from products where id = 3") == [(3,)]
    assert app.rows("select author_id from comments where body = 'born'") == [("p2",)]
    # A product leads to one organization: the line of another one has no place in the source.
    assert app.rows("select pieces from lines where pieces in (500, 600)") == [(600,)]
    app.run("verify", code=1)  # lines of that product belong to another organization there
    app.as_owner(
        "delete from app.lines where product_id in (select id from app.products where legacy_id = '3') and pieces <> 600"
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    app.roll_back()
    app.run("verify", code=0)
    app.write("update products set brand_id = 1 where id = 3")
    app.cut_over()
    app.run("verify", code=0)
    of = "select o.legacy_id from app.lines l join app.orgs o on o.id = l.org_id where pieces = 600"
    assert app.one(of) == "org:o2"


PAIRS = """
create table posts (id bigserial primary key, org_id text not null references "Organization" (id), title text not null);
create table photos (id text primary key, org_id text not null references "Organization" (id));
insert into posts (id, org_id, title) values (1, 'o1', 'a'), (2, 'o2', 'b'), (3, 'o1', 'bad');
insert into photos values ('1', 'o2'), ('2', 'o1');
create table notes (id text primary key default gen_random_uuid()::text, about_type text not null, about_id varchar(20) not null, body text);
insert into notes values ('n1', 'Post', '1', 'x'), ('n2', 'Photo', '1', 'x'), ('n3', 'Post', '2', 'x'), ('n4', 'Org', 'o2', 'x'),
    ('n5', 'Post', '3', 'x'), ('n6', 'Photo', '9', 'x'), ('n7', 'User', 'u1', 'x');
create table marks (id text primary key, note_id text not null references notes (id) on delete cascade);
insert into marks select 'k' || i, 'n' || i from generate_series(1, 4) i;
"""
PAIRS_TABLES = """
[tables.posts]
from = "posts"
access = "tenant"
columns = { title = { map = { a = "a", b = "b" } } }
[tables.photos]
from = "photos"
access = "tenant"
[tables.notes]
from = "notes"
tenant = ["about_id"]
access = "tenant"
[tables.notes.columns.about]
from = "about_id"
as = "polymorphic"
type = "about_type"
ids = { Post = "posts", Photo = "photos", Org = "orgs", User = "people" }
[tables.marks]
from = "marks"
tenant = ["note_id"]
access = "tenant"
"""


def test_the_tenant_of_a_polymorphic_pair(small: MakeSmall) -> None:
    app = small(
        source=PAIRS,
        target=target_table("posts", ", title text not null")
        + target_table("photos")
        + target_table("notes", ", about_type text not null, about uuid not null, body text")
        + target_table(
            "marks", ", note_id uuid not null", "foreign key (org_id, note_id) references notes (org_id, id) deferrable"
        )
        + "create index on marks (org_id, note_id);",
        tables=PAIRS_TABLES,
    )
    where = "select n.legacy_id, o.legacy_id from app.{} n join app.orgs o on o.id = n.org_id order by 1"
    (said,) = [
        each
        for each in app.run("analyze", "--json").json["findings"]
        if each["code"] == "TA-201" and each["table"] == "notes"
    ]
    assert "about_id → posts where about_type is Post" in said["title"]
    app.run("migrate", "--only", "\"Organization\".id = 'o2'", code=0)
    assert app.rows(where.format("notes")) == [("n2", "o2"), ("n3", "o2"), ("n4", "o2")]
    app.run("migrate", "--rest", code=0)
    assert app.rows(where.format("notes")) == [("n1", "o1"), ("n2", "o2"), ("n3", "o2"), ("n4", "o2")]
    quarantined = (
        "select source_key, problems from tenantry.quarantine where mapping = 'notes' and state = 'open' order by 1"
    )
    assert app.rows(quarantined) == [
        ("n5", "reference_missing:about_id"), ("n6", "reference_missing:about_id;reference_missing:about"), ("n7", "tenant_missing"),
    ]  # fmt: skip
    app.run("verify", code=0)

    # The type decides, a row on the way moves, and the missing ones are there.
    app.write(
        "update notes set about_type = 'Photo' where id = 'n1'",
        "update photos set org_id = 'o1' where id = '1'",
        "update posts set title = 'a' where id = 3",
        "insert into photos values ('9', 'o2')",
        "insert into notes values ('n8', 'Post', '2', 'y')",
    )
    app.run("replay", "--until-idle", code=0)
    moved = [("n1", "o1"), ("n2", "o1"), ("n3", "o2"), ("n4", "o2"), ("n5", "o1"), ("n6", "o2"), ("n8", "o2")]
    assert app.rows(where.format("notes")) == moved
    assert app.rows(where.format("marks")) == [("k1", "o1"), ("k2", "o1"), ("k3", "o2"), ("k4", "o2")]
    app.run("verify", code=0)

    app.run("cutover", "--accept-quarantined", code=0)
    ids: dict[str, str] = dict(
        app.rows("select legacy_id, id::text from app.posts union all select legacy_id, id::text from app.orgs")
    )
    app.as_superuser(
        f"insert into app.notes (org_id, about_type, about, body) values ('{ids['o1']}', 'Post', '{ids['3']}', 'new')",
        f"insert into app.notes (org_id, about_type, about, body) values ('{ids['o2']}', 'Post', '{ids['3']}', 'elsewhere')",
        "update app.notes set body = 'z' where legacy_id = 'n4'",
    )
    app.run("replay", "--until-idle", code=0)
    app.roll_back()
    assert app.rows("select about_type, about_id, body from notes where body <> 'x' order by body") == [
        ("Post", "3", "new"), ("Post", "2", "y"), ("Org", "o2", "z"),
    ]  # fmt: skip
    app.run("verify", code=0)
    app.run("cutover", "--accept-quarantined", code=0)
    app.run("verify", code=0)
