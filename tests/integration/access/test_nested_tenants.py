"""Groups over organizations over sites: a membership gives its role below, and neither above nor beside."""

from __future__ import annotations

from tests.small import MakeSmall, Small

SOURCE = """
drop table "User", "Organization";
drop type "Role";
create table groups (id text primary key, name text not null);
create table companies (id text primary key, name text not null, group_id text references groups (id));
create table sites (id text primary key, name text not null, company_id text not null references companies (id),
    closed boolean not null default false);
create table users (id text primary key, email text not null unique);
create table members (id text primary key default gen_random_uuid()::text, user_id text not null references users (id), role text not null,
    group_id text references groups (id), company_id text references companies (id), site_id text references sites (id));
create table visits (id text primary key default gen_random_uuid()::text, site_id text not null references sites (id), note text not null);
insert into groups values ('g1', 'Group');
insert into companies values ('c1', 'In the group', 'g1'), ('c2', 'Alone', null);
insert into sites values ('s1', 'North', 'c1'), ('s2', 'South', 'c1'), ('s3', 'Elsewhere', 'c2');
insert into users select 'u' || i, 'u' || i || '@example.org' from generate_series(1, 4) i;
insert into members (id, user_id, role, group_id, company_id, site_id) values ('m1', 'u1', 'admin', 'g1', null, null),
    ('m2', 'u2', 'viewer', null, 'c1', null), ('m3', 'u3', 'admin', null, null, 's1'), ('m4', 'u4', 'viewer', null, null, 's3');
insert into visits select 'v' || i, 's' || 1 + i % 3, 'V' || i from generate_series(1, 9) i;
"""
TARGET = """
create table places (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, name text not null,
    above_id uuid references places (id) deferrable initially immediate, is_open boolean not null default true);
create index on places (above_id);
create table people (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    account_id uuid unique references auth.users (id) on delete set null deferrable initially immediate, email text not null unique);
create table members (place_id uuid not null references places (id) deferrable initially immediate,
    id uuid not null default gen_random_uuid(), legacy_id text not null,
    person_id uuid not null references people (id) deferrable initially immediate, role text not null,
    primary key (place_id, id), unique (place_id, legacy_id), unique (place_id, person_id));
create table visits (place_id uuid not null references places (id) deferrable initially immediate,
    id uuid not null default gen_random_uuid(), legacy_id text not null, note text not null, primary key (place_id, id),
    unique (place_id, legacy_id));
create index on members (person_id);
"""
MANIFEST = """
name = "nested"
[source]
schema = "public"
[target]
schema = "app"
files = ["target.sql"]
[ids]
namespace = "nested"
[tenant]
table = "places"
column = "place_id"
active = "is_open"
parent = "above_id"
[membership]
table = "members"
profile = "person_id"
role = "role"
[roles]
order = ["viewer", "admin"]
[users]
from = "users"
email = "email"
profile = "people"
account = "account_id"
[tables.places]
access = { select = "viewer", insert = "super", update = "admin", delete = "super" }
[tables.places.sources.group]
from = "groups"
[tables.places.sources.company]
from = "companies"
columns = { above_id = { from = "group_id", ref = "places" } }
[tables.places.sources.site]
from = "sites"
columns = { above_id = { from = "company_id", ref = "places" }, is_open = { up = "not s.closed", down = "not t.is_open" } }
[tables.people]
from = "users"
access = { select = { colleagues = "viewer", own = "id" }, insert = "service", update = { own = "id" }, delete = "service" }
[tables.members]
from = "members"
tenant = ["site_id -> places", "company_id -> places", "group_id -> places"]
access = "managed"
columns = { person_id = { from = "user_id", ref = "people" } }
[tables.visits]
from = "visits"
tenant = ["site_id -> places"]
access = { select = "viewer", insert = "admin", update = "admin", delete = "admin" }
"""


def _sees(app: Small, user: str) -> dict[str, int]:
    """By the old id of a place: the number of visits that a user reads there."""
    account = app.one(f"select account_id from app.people where legacy_id = '{user}'")
    with app.connect("postgres") as connection:
        connection.execute("create temporary table seen (place uuid, visits bigint)")
        connection.execute("grant all on seen to authenticated")
        connection.execute("select set_config('test.account', %s, false)", [str(account)])
        connection.execute("set role authenticated")
        connection.execute(
            "insert into seen select p.id, (select count(*) from app.visits v where v.place_id = p.id) from app.places p"
        )
        connection.execute("reset role")
        rows = connection.execute(
            "select p.legacy_id, s.visits from seen s join app.places p on p.id = s.place"
        ).fetchall()
        return {str(place): int(visits) for place, visits in rows}


def test_a_membership_gives_its_role_in_the_tenants_below(small: MakeSmall) -> None:
    app = small(source=SOURCE)
    app.path.write_text(MANIFEST, encoding="utf-8")
    (app.folder / "target.sql").write_text(TARGET, encoding="utf-8")
    app.run("analyze", code=0)
    app.migrate()
    app.cut_over()
    said = app.run("prove", "--json").json
    relations = {
        (each["role"], each["relation"], each["expected"])
        for each in said["matrix"]["cells"]
        if each["table"] == "visits"
    }
    assert ("viewer of the tenant above", "tenant below", "allow") in relations
    assert ("viewer of the tenant above", "inactive tenant: tenant below", "refuse") in relations
    assert {
        expected for caller, relation, expected in relations if caller == "admin" and relation == "tenant above"
    } == {"refuse"}
    assert {
        expected for caller, relation, expected in relations if relation == "other tenant" and caller == "viewer"
    } == {"refuse"}

    # In place of opening a context for each.
    app.as_superuser(
        "create or replace function tenantry.uid() returns uuid language sql stable as"
        " $$ select current_setting('test.account', true)::uuid $$"
    )
    assert _sees(app, "u1") == {"group:g1": 0, "company:c1": 0, "site:s1": 3, "site:s2": 3}
    assert _sees(app, "u2") == {"company:c1": 0, "site:s1": 3, "site:s2": 3}
    assert _sees(app, "u3") == {"site:s1": 3}
    assert _sees(app, "u4") == {"site:s3": 3}
    # A site moves to another company, and a company is closed: what is below it is not reached from above.
    app.as_owner(
        "update app.places set above_id = (select id from app.places where legacy_id = 'company:c2') where legacy_id = 'site:s2'",
        "update app.places set is_open = false where legacy_id = 'company:c1'",
    )
    assert _sees(app, "u1") == {"group:g1": 0}
    assert _sees(app, "u2") == {}
    assert _sees(app, "u3") == {"site:s1": 3}
    app.as_owner("update app.places set is_open = true where legacy_id = 'company:c1'")
    # A circle of tenants ends, and opens nothing beside it.
    app.as_owner(
        "update app.places set above_id = (select id from app.places where legacy_id = 'site:s1') where legacy_id = 'group:g1'"
    )
    assert _sees(app, "u3").keys() == {"site:s1", "group:g1", "company:c1"}
    assert _sees(app, "u4") == {"site:s3": 3}
    app.as_owner("update app.places set above_id = null where legacy_id = 'group:g1'")

    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    app.roll_back()
    app.run("verify", code=0)
    assert app.one("select company_id from sites where id = 's2'") == "c2"
    app.write("update sites set company_id = 'c1' where id = 's3'", "update sites set closed = true where id = 's1'")
    app.cut_over()
    assert _sees(app, "u1") == {"group:g1": 0, "company:c1": 0, "site:s3": 3}

    # Each statement looks down once, along the index, however many tenants there are.
    app.as_superuser(
        "insert into app.places (id, name, legacy_id) select md5('c' || i)::uuid, 'C' || i, 'c' || i from generate_series(1, 200) i",
        "insert into app.places (name, legacy_id, above_id) select 'P' || i, 'x' || i, md5('c' || (1 + i % 200))::uuid"
        " from generate_series(1, 20000) i",
        "analyze app.places",
    )
    body = app.one("select prosrc from pg_proc where oid = 'tenantry.tenants(text)'::regprocedure")
    query = body[body.index("with recursive") : body.rindex(");")]
    query = query.replace("context.caller", f"'{app.one('''select id from app.people where legacy_id = 'u2' ''')}'")
    plan = "\n".join(
        row[0] for row in app.rows("explain " + query.replace("context.enough", "'{viewer,admin}'::text[]"))
    )
    assert "places_above_id_idx" in plan, plan
    assert "Seq Scan on places" not in plan, plan


def _nested(small: MakeSmall) -> Small:
    app = small(source=SOURCE)
    app.path.write_text(MANIFEST, encoding="utf-8")
    (app.folder / "target.sql").write_text(TARGET, encoding="utf-8")
    return app


def test_both_sides_write_nested_tenants(small: MakeSmall) -> None:
    app = _nested(small)
    app.migrate()
    app.run("cutover", "--dual-write", "1h", code=0)
    above = "select p.legacy_id, q.legacy_id from app.places p left join app.places q on q.id = p.above_id order by 1"
    # A site and a company move in the source; the target gets a site with visits, and closes one.
    app.write(
        "update sites set company_id = 'c2' where id = 's2'",
        "update companies set group_id = 'g1' where id = 'c2'",
        "insert into visits values ('v10', 's3', 'late')",
    )
    app.as_superuser(
        "insert into app.places (name, above_id) select 'New', p.id from app.places p where p.legacy_id = 'company:c2'",
        "update app.places set is_open = false where legacy_id = 'site:s1'",
        "update app.visits set note = 'changed' where legacy_id = 'v1'",
    )
    app.run("replay", "--until-idle", code=0)
    assert [each for each in app.rows(above) if ":" in each[0]] == [
        ("company:c1", "group:g1"), ("company:c2", "group:g1"), ("group:g1", None), ("site:s1", "company:c1"),
        ("site:s2", "company:c2"), ("site:s3", "company:c2"),
    ]  # fmt: skip
    assert app.rows("select closed from sites where id = 's1'") == [(True,)]
    assert app.rows("select note from visits where id = 'v1'") == [("changed",)]
    app.run("verify", code=0)
    app.run("cutover", code=0)
    app.as_superuser("update app.places set above_id = null where legacy_id = 'company:c2'")
    app.run("replay", "--until-idle", code=0)
    app.roll_back()
    # Which of the three tables a new place would belong to, nobody can tell.
    assert app.one("select count(*) from tenantry.kept where table_name = 'places' and column_name = ''") == 1
    assert app.rows("select id, group_id from companies order by 1") == [("c1", "g1"), ("c2", None)]
    app.run("verify", code=0)


def test_nested_tenants_are_rehearsed(small: MakeSmall) -> None:
    app = _nested(small)
    found = app.run("rehearse", "--no-proof", "--dsn", app.database.dsn, "--json", code=0).json
    assert found["passed"], found
