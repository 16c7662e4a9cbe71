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
