"""Rows that are born in the target get numbers of the source's own sequences on the way back, and no application draws them too."""

from __future__ import annotations

from tests.small import MakeSmall, target_table

SOURCE = """
create table orders (id bigserial primary key, org_id text not null references "Organization" (id), total int);
create table lines (order_id bigint not null references orders (id), id int not null generated always as identity,
    primary key (order_id, id));
create sequence shared;
create table tasks (id int primary key default nextval('shared'), org_id text not null references "Organization" (id), name text);
create table jobs (id int primary key default nextval('shared'), org_id text not null references "Organization" (id), task_id int
    references tasks (id), about jsonb);
insert into orders (org_id, total) values ('o1', 1), ('o2', 2);
insert into lines (order_id) values (1), (2);
insert into tasks (org_id, name) values ('o1', 'one');
insert into jobs (org_id, task_id, about) values ('o1', 1, '{"task": 1}');
"""
TARGET = (
    target_table("orders", ", total int")
    + target_table(
        "lines",
        ", order_id uuid not null",
        "foreign key (org_id, order_id) references orders (org_id, id) deferrable initially immediate",
    )
    + target_table("tasks", ", name text")
    + target_table(
        "jobs",
        ", task_id uuid, about jsonb",
        "foreign key (org_id, task_id) references tasks (org_id, id) deferrable initially immediate",
    )
    + "create index on lines (org_id, order_id); create index on jobs (org_id, task_id);"
)
TABLES = """
[tables.orders]
from = "orders"
access = "tenant"
[tables.lines]
from = "lines"
tenant = ["order_id"]
access = "tenant"
[tables.tasks]
from = "tasks"
access = "tenant"
[tables.jobs]
from = "jobs"
access = "tenant"
columns = { about = { as = "json_ids", ids = { task = "tasks" } } }
"""
ORG = "(select id from app.orgs where legacy_id = 'o1')"


def test_new_rows_get_numbers_that_nobody_else_draws(small: MakeSmall) -> None:
    app = small(source=SOURCE, target=TARGET, tables=TABLES)
    found = [each["table"] for each in app.run("analyze", "--json").json["findings"] if each["code"] == "TA-142"]
    assert not {"orders", "lines", "tasks", "jobs"} & set(found)
    app.migrate()
    app.cut_over()
    app.as_owner(
        f"insert into app.orders (org_id, total) values ({ORG}, 10), ({ORG}, 11)",
        f"insert into app.lines (org_id, order_id) select {ORG}, id from app.orders where total in (1, 10)",
        f"insert into app.tasks (org_id, name) values ({ORG}, 'new')",
        f"insert into app.jobs (org_id, task_id, about) select {ORG}, id, jsonb_build_object('task', id) from app.tasks where name = 'new'",
    )
    app.run("replay", "--until-idle", code=0)
    app.run("verify", code=0)
    app.as_owner(
        "update app.orders set total = 12 where total = 11",
        f"insert into app.orders (org_id, total) values ({ORG}, 13)",
        "delete from app.orders where total = 13",
    )
    app.run("replay", "--until-idle", code=0)
    app.roll_back()
    orders = app.rows("select id, total from public.orders order by id")
    assert [total for _, total in orders] == [1, 2, 10, 12]
    assert [number for number, _ in orders[:4]] == [1, 2, 3, 4]
    lines = app.rows("select order_id, id from public.lines order by id")
    assert lines in ([(1, 1), (2, 2), (1, 3), (3, 4)], [(1, 1), (2, 2), (3, 3), (1, 4)])
    ((task, job, named, about),) = app.rows(
        "select t.id, j.id, j.task_id, j.about from public.tasks t join public.jobs j on j.task_id = t.id where t.name = 'new'"
    )
    assert {task, job} == {3, 4}
    assert (named, about) == (task, {"task": task})
    assert app.rows("select * from tenantry.conflict") == []
    # The application goes on behind them; the target's rows have the ids that the source gives them.
    app.write(
        "insert into orders (org_id, total) values ('o1', 20)", "insert into tasks (org_id, name) values ('o1', 'next')"
    )
    app.run("replay", "--until-idle", code=0)
    assert app.one("select max(id) from tasks") == 5
    assert app.rows("select legacy_id from app.orders where total in (10, 12) order by 1") == [("3",), ("4",)]
    assert app.rows("select * from tenantry.kept") == []
    app.run("verify", code=0)
    app.cut_over()
    app.run("verify", code=0)
    app.roll_back()
