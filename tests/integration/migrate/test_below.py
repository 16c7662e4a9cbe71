"""Tables whose rows a source table shows without holding them: children by inheritance, and partitions that come and go."""

from __future__ import annotations

import pytest
from psycopg import errors as pg

from tenantry.migrate.follow import follow
from tests.small import APPLICATION, OWNER, MakeSmall, Small, target_table
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

READINGS = f"""
create schema old authorization {OWNER};
create table readings (id text primary key default gen_random_uuid()::text,
    org_id text not null references "Organization" (id), at date not null, v numeric);
create table readings_1 (primary key (id), check (at < '2024-01-01')) inherits (readings);
create table old.readings_2 (note text, primary key (id), check (at >= '2024-01-01')) inherits (readings);
create table old.readings_3 (primary key (id)) inherits (old.readings_2);
create function route() returns trigger language plpgsql as $$ begin
    if new.at < '2024-01-01' then insert into readings_1 values (new.*); else insert into old.readings_2 values (new.*); end if;
    return null;
end $$;
create trigger route before insert on readings for each row execute function route();
insert into readings (org_id, at, v) select 'o' || (1 + n % 2), date '2023-06-01' + n * 30, n from generate_series(1, 12) n;
insert into old.readings_3 (org_id, at, v) values ('o1', '2025-01-01', 100);
grant usage on schema old to {APPLICATION};
grant all on all tables in schema old to {APPLICATION};
"""
READINGS_TABLES = """
[tables.readings]
from = "readings"
tenant = ["org_id"]
access = "tenant"
"""


def values(made: Small, table: str = "app.readings") -> list[int]:
    return [int(row[0]) for row in made.rows(f"select v from {table} order by v")]


def test_children_are_captured_and_fenced_like_the_table_itself(small: MakeSmall) -> None:
    made = small(
        before=f"do $$ begin execute format('grant create on database %I to {OWNER}', current_database()); end $$",
        source=READINGS,
        target=target_table("readings", ", at date not null, v numeric"),
        tables=READINGS_TABLES,
        section='ignore = ["readings_1"]',
    )
    found = {
        (each["code"], each["table"], each["column"]) for each in made.run("analyze", "--json", code=0).json["findings"]
    }
    assert {("TA-127", "readings_1", ""), ("TA-128", "readings", "")} <= found
    made.migrate()
    assert values(made) == [*range(1, 13), 100]
    made.write(
        "insert into readings (org_id, at, v) values ('o1', '2023-02-02', 99)",
        "update readings set v = 1000 where v = 1",
        "delete from readings where v = 2",
        "update old.readings_3 set v = 200",
    )
    made.run("replay", "--until-idle", code=0)
    made.run("verify", code=0)
    assert values(made) == [*range(3, 13), 99, 200, 1000]
    # A child that is made while the run is under way.
    made.as_owner(
        "create table readings_4 (primary key (id)) inherits (readings)",
        "insert into readings_4 (org_id, at, v) values ('o2', '2026-01-01', 300)",
    )
    said = made.run("replay", "--until-idle", code=0)
    assert "readings_4 is a new part of readings" in said.out + said.err
    made.write("update readings_4 set v = 301")
    made.cut_over()
    assert values(made) == [*range(3, 13), 99, 200, 301, 1000]
    for statement in (
        "update readings set v = 777 where v = 200",
        "delete from readings_1",
        "truncate old.readings_2",
        "insert into readings_4 (org_id, at, v) values ('o2', '2026-01-01', 300)",
    ):
        with pytest.raises(pg.ReadOnlySqlTransaction):
            made.write(statement)
    # Back: what is changed in the target reaches the row in its child; what is born there stands in the table itself.
    made.write(
        "update app.readings set v = 201 where v = 200",
        "delete from app.readings where v = 301",
        "insert into app.readings (org_id, at, v) select id, '2024-05-05', 400 from app.orgs where legacy_id = 'o1'",
        user="postgres",
    )
    made.roll_back()
    assert values(made, "old.readings_3") == [201] and values(made, "readings_4") == []
    before = values(made, "readings")
    made.write("delete from old.readings_3")
    made.run("verify", code=0)
    made.cut_over()
    assert values(made) == [each for each in before if each != 201]
    made.run("contract", "--yes", "--watch-for", "0", code=0)
    assert made.one("select to_regclass('readings') is null and to_regclass('old.readings_3') is null")


@pytest.mark.parametrize(
    "more, said",
    [
        ("create table both_ways (primary key (id)) inherits (readings, other)", "holds rows of it and of"),
        ("alter table other inherit readings", "is also a source table itself"),
    ],
)
def test_children_that_would_be_migrated_twice_are_a_blocker(small: MakeSmall, more: str, said: str) -> None:
    made = small(
        source=f"""
            create table readings (id bigint primary key, org_id text not null references "Organization" (id), at date, v numeric);
            create table other (id bigint primary key, org_id text not null references "Organization" (id), at date, v numeric);
            {more};
        """,
        target=target_table("readings", ", at date, v numeric") + target_table("other", ", at date, v numeric"),
        tables=READINGS_TABLES + READINGS_TABLES.replace("readings", "other"),
    )
    found = made.run("analyze", "--json", code=1).json["findings"]
    assert any(each["code"] == "TA-126" and said in each["title"] for each in found)
    error = made.run("migrate", "--json", code=2).json["error"]
    assert error["code"] == "TN-218" and said in error["message"]


EVENTS = """
create table ev (id text not null, org_id text not null references "Organization" (id), at date not null, v integer,
    primary key (id, at)) partition by range (at);
create table ev_1 partition of ev for values from ('2024-01-01') to ('2024-02-01');
create table ev_2 partition of ev for values from ('2024-02-01') to ('2024-03-01') partition by range (at);
create table ev_2a partition of ev_2 for values from ('2024-02-01') to ('2024-02-15');
create table ev_2b partition of ev_2 for values from ('2024-02-15') to ('2024-03-01');
create table ev_3 (id text not null, org_id text not null, at date not null, v integer, primary key (id, at));
insert into ev select 'e' || n, 'o' || (1 + n % 2), date '2024-01-01' + n * 3, n from generate_series(1, 15) n;
insert into ev_3 values ('x1', 'o1', '2024-03-05', 100), ('x2', 'o2', '2024-03-06', 200);
"""
EVENTS_TABLES = READINGS_TABLES.replace("readings", "ev")


def partitioned(small: MakeSmall) -> Small:
    return small(
        source=EVENTS,
        target=target_table("ev", ", at date not null, v integer"),
        tables=EVENTS_TABLES,
        section='ignore = ["ev_3"]',
    )


def test_rows_of_partitions_that_go_leave_the_target_like_deleted_ones(small: MakeSmall) -> None:
    made = partitioned(small)
    made.migrate()
    attach = "alter table ev attach partition ev_3 for values from ('2024-03-01') to ('2024-04-01')"
    made.as_owner(attach, "drop table ev_1", "alter table ev_2 detach partition ev_2b")
    said = made.run("replay", "--until-idle", code=0)
    assert "ev_1 is no longer a part of ev" in said.out + said.err and "ev_3 is a new part of ev" in said.out + said.err
    left = made.rows("select id from ev order by id")
    assert made.rows("select legacy_id::jsonb ->> 0 from app.ev order by 1") == left and ("x1",) in left
    # What was detached lives on by itself, and notes nothing for us.
    assert (
        made.one("select count(*) from pg_trigger where tgrelid = 'ev_2b'::regclass and tgname like 'tenantry%'") == 0
    )
    # Attached in the moment before the cut-over it is fenced all the same.
    made.as_owner("alter table ev_2 attach partition ev_2b for values from ('2024-02-15') to ('2024-03-01')")
    made.cut_over()
    assert made.one("select count(*) from app.ev") == made.one("select count(*) from ev")
    with pytest.raises(pg.ReadOnlySqlTransaction):
        made.write("update ev_2b set v = 0")
    made.roll_back("--everything")
    assert made.one("select count(*) from pg_trigger where tgname like 'tenantry%'") == 0


def test_replay_notices_attached_and_dropped_partitions_without_writes(small: MakeSmall) -> None:
    made = partitioned(small)
    made.migrate()
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            made.as_owner(
                "drop table ev_1",
                "alter table ev attach partition ev_3 for values from ('2024-03-01') to ('2024-04-01')",
            )
        carried = made.rows("select legacy_id::jsonb ->> 0 from app.ev order by 1")
        return looks > 2 and carried == made.rows("select id from ev order by id")

    follow(made.dsn, made.manifest, stopped=stopped)
    assert ("x1",) in made.rows("select legacy_id::jsonb ->> 0 from app.ev")


def test_a_partition_that_goes_after_the_cut_over_takes_no_row_of_the_target(small: MakeSmall) -> None:
    made = partitioned(small)
    made.migrate()
    made.cut_over()
    made.as_owner("create table ev_d partition of ev default", "drop table ev_1", "drop table ev_2b")
    before = made.one("select count(*) from app.ev")
    made.run("replay", "--until-idle", code=0)
    made.run("verify", code=0)
    # The default partition has room for those of the one; nothing has for the other's, which the target alone keeps, and says so.
    assert made.one("select count(*) from ev") == before - 1 and made.one("select count(*) from app.ev") == before
    assert made.rows("select table_name, reason from tenantry.kept") != []
    # What was attached refuses writes too.
    with pytest.raises(pg.ReadOnlySqlTransaction):
        made.write("update ev_d set v = 0")
    said = made.run("rollback", "--yes", code=1)
    assert "e15" in said.out + said.err
    made.run("replay", "--until-idle")
    assert made.one("select count(*) from ev") == before - 1 and made.one("select count(*) from app.ev") == before
    assert [check for check in made.run("verify", "--json").json["checks"] if not check["passed"]] == []
