"""What stands in the target only after a rollback, when the source goes on: no round is stopped by it, and none of it goes without
a word."""

from __future__ import annotations

from tests.small import MakeSmall, Small, target_table
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

SOURCE = """
create table projects (id text primary key, org text not null references "Organization" (id), title text, size int,
    code text not null unique deferrable);
insert into projects select 'p' || n, 'o1', 'Title', n, 'c' || n from generate_series(1, 6) n;
"""
TARGET = (
    target_table(
        "projects", ", title text, size int, code text not null unique, colour text, twin_id uuid, first_id uuid"
    )
    + "alter table projects add foreign key (org_id, twin_id) references projects (org_id, id);"
    + "alter table projects add foreign key (org_id, first_id) references projects (org_id, id) on delete set null (first_id);"
    + """
create table remarks (id int primary key, org_id uuid not null references orgs (id), project_id uuid, loud boolean,
    foreign key (org_id, project_id) references projects (org_id, id), check (not loud or project_id is not null));
create table stars (id int primary key, org_id uuid not null references orgs (id), project_id uuid not null,
    foreign key (org_id, project_id) references projects (org_id, id) on update restrict);
create table points (id int primary key, star_id int not null references stars (id),
    by uuid references auth.users (id) on delete restrict);
create table pins (id int primary key, org_id uuid not null references orgs (id), project_id uuid, at point, list int[],
    twice int generated always as (id * 2) stored, above int references pins (id) on delete cascade,
    foreign key (org_id, project_id) references projects (org_id, id) on delete cascade);
create table marks (id int generated always as identity primary key, pin_id int references pins (id) on delete set null);
"""
)
TABLES = """
[tables.projects]
from = "projects"
tenant = ["org"]
access = "tenant"
columns = { title = { up = "upper(s.title)" } }
[tables.remarks]
access = "tenant"
[tables.stars]
access = "tenant"
[tables.points]
access = "service"
[tables.pins]
access = "tenant"
[tables.marks]
access = "service"
"""
OF = "(select id from projects where legacy_id = 'p{}')"


def back(app: Small) -> None:
    app.migrate()
    app.cut_over()
    with app.connect("postgres") as connection:
        connection.execute("set role service_role; set search_path = app")
        org = "(select id from orgs where legacy_id = 'o1')"
        for n in (1, 2, 3):
            of = OF.format(n)
            connection.execute(
                f"insert into remarks values ({n}, {org}, {of}, false), (1{n}, {org}, {of}, true)".encode()
            )
            connection.execute(
                f"insert into stars values ({n}, {org}, {of}); insert into points values ({n}, {n})".encode()
            )
        for n, twin in ((4, 1), (5, 3)):
            connection.execute(f"update projects set twin_id = {OF.format(twin)} where legacy_id = 'p{n}'".encode())
        connection.execute("update projects set title = 'New', colour = 'red' where legacy_id in ('p5', 'p6')")
    app.roll_back()


def conflicts(app: Small, table: str) -> list[tuple[str, str]]:
    found = app.rows(
        "select loser ->> 'id', reason from tenantry.conflict where direction = 'forward' and table_name = %s order by id",
        [table],
    )
    return [(str(key), str(reason).rpartition("; ")[2]) for key, reason in found]


def test_rows_of_new_tables_release_references_to_deleted_or_moved_rows(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    back(app)
    app.write("delete from projects where id = 'p1'", "update projects set org = 'o2' where id = 'p2'")
    app.run("replay", "--until-idle", code=0)
    # A nullable reference is set to null; if it is required, the row is deleted with its dependents.
    assert app.rows("select id, project_id is null from app.remarks order by 1") == [
        (1, True),
        (2, True),
        (3, False),
        (13, False),
    ]
    assert app.rows("select id from app.stars order by 1") == [(3,)]
    assert app.rows("select id from app.points order by 1") == [(3,)]
    assert app.one("select twin_id is null from app.projects where legacy_id = 'p4'")
    emptied, out = "its reference was emptied", "it was taken out"
    assert sorted(conflicts(app, "remarks")) == [("1", emptied), ("11", out), ("12", out), ("2", emptied)]
    assert sorted(conflicts(app, "stars")) == [("1", out), ("2", out)]
    assert sorted(conflicts(app, "points")) == [("1", out), ("2", out)]
    assert len(conflicts(app, "projects")) == 1
    app.run("verify", code=0)
    app.cut_over()


def test_lost_target_only_values_are_listed_when_their_row_is_replayed(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    back(app)
    assert app.rows("select legacy_id, column_name from tenantry.kept order by 1, 2") == [
        ("p4", "twin_id"),
        ("p5", "colour"),
        ("p5", "title"),
        ("p5", "twin_id"),
        ("p6", "colour"),
        ("p6", "title"),
    ]
    app.write("update projects set size = 50 where id = 'p5'", "delete from projects where id = 'p6'")
    app.run("replay", "--until-idle", code=0)
    found = app.rows(
        "select legacy_id, loser ->> 'title', loser ->> 'colour', reason from tenantry.conflict order by legacy_id, id"
    )
    assert [each[:3] for each in found] == [("p5", "New", "red"), ("p6", "New", "red")]
    assert str(found[0][3]).endswith("only the target held title")
    assert str(found[1][3]).endswith("only the target held colour, title")
    # What no source column feeds is there as before, and is still listed.
    assert app.rows("select title, size, colour, twin_id is null from app.projects where legacy_id = 'p5'") == [
        ("TITLE", 50, "red", False)
    ]
    assert app.rows("select legacy_id, column_name from tenantry.kept order by 1, 2") == [
        ("p4", "twin_id"),
        ("p5", "colour"),
        ("p5", "twin_id"),
    ]
    app.run("verify", code=0)


def test_rows_that_are_taken_out_and_made_again_take_nothing_of_the_target_along(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    back(app)
    # Under a cut-over of its own, so that rollback has nothing to carry back for them.
    app.cut_over()
    with app.connect("postgres") as connection:
        connection.execute("set role service_role; set search_path = app")
        org = "(select id from orgs where legacy_id = 'o1')"
        connection.execute(
            f"insert into pins (id, org_id, project_id, at, list) values (1, {org}, {OF.format(5)}, '(1,2)', '[0:1]={{7,8}}');"
            f" insert into pins (id, org_id, above) values (2, {org}, 1); insert into marks (pin_id) values (1), (2);"
            f" update projects set first_id = {OF.format(5)} where legacy_id in ('p3', 'p4')".encode()
        )
    app.roll_back()
    hers = (
        "select (select json_agg(p order by id)::text from app.pins p), (select json_agg(m order by id)::text from app.marks m),"
        " (select array_agg(legacy_id order by 1) from app.projects where first_id is not null),"
        " (select colour from app.projects where legacy_id = 'p5')"
    )
    before = app.rows(hers)
    assert before[0][2] == ["p3", "p4"]
    with app.connect() as connection, connection.transaction():
        connection.execute("set constraints all deferred")
        connection.execute(
            "update projects set code = case id when 'p5' then 'c3' else 'c5' end where id in ('p3', 'p5')"
        )
    app.run("replay", "--until-idle", code=0)
    assert app.rows("select legacy_id, code from app.projects where legacy_id in ('p3', 'p5') order by 1") == [
        ("p3", "c5"),
        ("p5", "c3"),
    ]
    assert app.rows(hers) == before
    app.run("verify", code=0)
    # One that is really deleted takes along what its keys say, and that is listed.
    app.write("delete from projects where id = 'p5'")
    app.run("replay", "--until-idle", code=0)
    assert app.one("select count(*) from app.pins") == 0
    assert app.one("select count(*) from app.marks where pin_id is null") == 2
    assert app.one("select count(*) from app.projects where first_id is not null") == 0
    assert len(conflicts(app, "pins")) == 2
    app.run("verify", code=0)
    app.cut_over()
