"""Documents that name rows in quarantine: whether they may is the source's to say, and is looked at again when it changes."""

from __future__ import annotations

from tests.small import MakeSmall, target_table

SOURCE = """
insert into "User" (id, email, name, "organizationId") values ('u4', 'no address', 'Dee', 'o1');
create table boards (id text primary key, user_id text not null references "User" (id));
create table widgets (id text primary key, board_id text not null references boards (id));
create table pages (id text primary key, org_id text not null references "Organization" (id), shows jsonb not null);
insert into boards values ('b1', 'u1'), ('b4', 'u4');
insert into widgets values ('w1', 'b1'), ('w4', 'b4');
insert into pages values ('p1', 'o1', '{"widgets": ["w1", "w4"]}');
"""
HOSTILE = """
create table files (id text primary key, user_id text not null references "User" (id), body jsonb not null);
insert into files values ('f1', 'u1', '{"n": 1}'), ('f4', 'u4',
    ('{"n": 1e10000, "m": -1e400, "é\\"[": ' || repeat('[', 3000) || repeat(']', 3000) || ', "z": ["a", {"b": 2}]}')::jsonb);
"""
FILES = """
[tables.files]
from = "files"
tenant = ["user_id -> members"]
access = "tenant"
"""
TARGET = (
    target_table("boards")
    + target_table(
        "widgets",
        ", board_id uuid not null",
        "foreign key (org_id, board_id) references boards (org_id, id) on delete cascade deferrable initially immediate",
    )
    + "create index on widgets (org_id, board_id);\n"
    + target_table("pages", ", shows jsonb not null")
)
TABLES = """
[tables.boards]
from = "boards"
tenant = ["user_id -> members"]
access = "tenant"
[tables.widgets]
from = "widgets"
tenant = ["board_id"]
access = "tenant"
[tables.pages]
from = "pages"
tenant = ["org_id"]
access = "tenant"
columns = { shows = { as = "json_ids", ids = { "widgets[*]" = "widgets" }, stale = "drop" } }
"""


def test_a_row_in_quarantine_that_changes_its_tenant_leaves_the_documents_of_the_old_one(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    app.migrate()
    shown = "select jsonb_array_length(shows -> 'widgets') from app.pages"
    assert app.one("select count(*) from tenantry.quarantine where mapping = 'widgets' and source_key = 'w4'") == 1
    assert app.one(shown) == 2
    app.write("""update "User" set "organizationId" = 'o2' where id = 'u4'""")
    app.run("replay", "--until-idle", code=0)
    assert app.one(shown) == 1
    app.run("verify", code=0)


def test_a_document_that_python_refuses_ends_no_command(small: MakeSmall) -> None:
    app = small(
        source=SOURCE + HOSTILE, target=TARGET + target_table("files", ", body jsonb not null"), tables=TABLES + FILES
    )
    app.migrate()
    app.run("verify", code=0)
    listed = app.run("quarantine", "list", "--json", code=0).json
    assert {"f4", "w4"} <= {entry["source_key"] for entry in listed["entries"]}
    entry = next(entry for entry in listed["entries"] if entry["source_key"] == "f4")
    app.run("quarantine", "list", code=0)
    app.run("quarantine", "show", str(entry["id"]), code=0)
    with app.database.connect(user="small_mig") as migrator:
        migrator.execute("update app.files set body = (select body from public.files where id = 'f4')")
    assert "files" in app.run("verify", code=1).everything
