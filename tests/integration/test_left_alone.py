"""What stands in the target only after a rollback, when the source goes on: no round is stopped by it, and none of it goes without
a word."""

from __future__ import annotations

from tests.small import MakeSmall, Small, target_table
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

SOURCE = """
create table projects (id text primary key, org text not null references "Organization" (id), title text, size int);
insert into projects select 'p' || n, 'o1', 'Title', n from generate_series(1, 6) n;
"""
TARGET = (
    target_table("projects", ", title text, size int, colour text, twin_id uuid")
    + "alter table projects add foreign key (org_id, twin_id) references projects (org_id, id);"
    + """
create table remarks (id int primary key, org_id uuid not null references orgs (id), project_id uuid, loud boolean,
    foreign key (org_id, project_id) references projects (org_id, id), check (not loud or project_id is not null));
create table stars (id int primary key, org_id uuid not null references orgs (id), project_id uuid not null,
    foreign key (org_id, project_id) references projects (org_id, id) on update restrict);
create table points (id int primary key, star_id int not null references stars (id),
    by uuid references auth.users (id) on delete restrict);
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


def test_rows_of_new_tables_let_go_of_what_the_source_deletes_or_moves(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    back(app)
    app.write("delete from projects where id = 'p1'", "update projects set org = 'o2' where id = 'p2'")
    app.run("replay", "--until-idle", code=0)
    # A reference that may be null is emptied; where it may not, or a check wants it, the row goes, and what hangs on it.
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


def test_cells_of_the_target_alone_are_listed_when_their_row_is_carried_over_again(small: MakeSmall) -> None:
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
    assert str(found[0][3]).endswith("the target alone held title")
    assert str(found[1][3]).endswith("the target alone held colour, title")
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
