"""References in a cycle, and paths to the tenant that lead through it."""

from __future__ import annotations

from tenantry.manifest import load_manifest
from tenantry.migrate.replay.round import Replayer, replay_round
from tenantry.migrate.session.prepare import prepare
from tests.small import MIGRATOR, OWNER, MakeSmall, small, target_table  # noqa: F401


def test_analysis_reads_a_circle_of_references_that_a_way_to_the_tenant_leads_through(
    small: MakeSmall,  # noqa: F811
) -> None:
    """rooms → boxes (the tenant's) → visits → boxes: what is read of a parent must not need what is read behind it."""
    made = small(
        source="""
            create table boxes (id text primary key, org text not null references "Organization" (id));
            create table visits (id text primary key, after text references visits (id), box text references boxes (id));
            alter table boxes add column last text references visits (id);
            create table rooms (id text primary key, org text references "Organization" (id), box text references boxes (id));
            insert into boxes values ('b1', 'o1'), ('b2', 'o2');
            insert into visits values ('v1', null, 'b1'), ('v2', 'v1', null);
            update boxes set last = 'v1' where id = 'b1';
            insert into rooms values ('r1', 'o1', 'b1'), ('r2', 'o1', 'b2');
        """,
        target=target_table("boxes", ", last uuid")
        + target_table("visits", ", after uuid, box uuid")
        + target_table("rooms", ", box uuid", "foreign key (org_id, box) references boxes (org_id, id)"),
        tables="""
            [tables.boxes]
            from = "boxes"
            tenant = ["org"]
            access = "tenant"
            [tables.visits]
            from = "visits"
            tenant = ["box"]
            access = "tenant"
            [tables.rooms]
            from = "rooms"
            tenant = ["org", "box"]
            access = "tenant"
        """,
    )
    said = made.run("analyze", "--json", code=0)
    found = {
        (each["code"], tuple(each["keys"])) for each in said.json["findings"] if each["code"] in ("TA-202", "TA-203")
    }
    assert found == {("TA-202", ("v2",)), ("TA-203", ("r2",))}


def test_rows_of_a_tenant_that_a_circle_puts_into_the_quarantine_follow_it(small: MakeSmall) -> None:  # noqa: F811
    """organizations → their main project → its organization: the tenant's row is copied first, and taken out when its project is missing."""
    made = small(
        source="""
            create table projects (id text primary key, org text not null references "Organization" (id), size integer);
            create table tasks (id text primary key, project text not null references projects (id));
            alter table "Organization" add column main text references projects (id);
            insert into projects values ('p1', 'o1', 1), ('p2', 'o1', null), ('p3', 'o2', null), ('p4', 'o2', 4);
            insert into tasks values ('t1', 'p1'), ('t4', 'p4');
            update "Organization" set main = case id when 'o1' then 'p1' else 'p3' end;
        """,
        target="alter table orgs add column main uuid;"
        + target_table("projects", ", size integer not null")
        + target_table(
            "tasks", ", project uuid not null", "foreign key (org_id, project) references projects (org_id, id)"
        ),
        tables="""
            [tables.orgs.columns]
            main = { ref = "projects" }
            [tables.projects]
            from = "projects"
            tenant = ["org"]
            access = "tenant"
            [tables.tasks]
            from = "tasks"
            tenant = ["project"]
            access = "tenant"
        """,
    )
    made.migrate()
    assert made.rows("select legacy_id from app.projects order by 1") == [("p1",)]
    quarantined = made.rows(
        "select source_table, source_key, reason, parent_table, parent_key from tenantry.quarantine where state = 'open' and"
        " source_table <> 'User' order by 1, 2"
    )
    assert quarantined == [
        ("Organization", "o2", "parent_quarantined", "projects", "p3"),
        ("projects", "p2", "value_missing", None, None),
        ("projects", "p3", "value_missing", None, None),
        ("projects", "p4", "parent_quarantined", "Organization", "o2"),
        ("tasks", "t4", "parent_quarantined", "projects", "p4"),
    ]
    made.write("update projects set size = 3 where id = 'p3'")
    made.run("replay", "--until-idle")
    assert made.rows("select legacy_id from app.projects order by 1") == [("p1",), ("p3",), ("p4",)]
    made.run("verify", code=0)
    # The same while changes are replayed: everything of the tenant goes, and nothing stops.
    made.write("update projects set size = null where id = 'p1'")
    made.run("replay", "--until-idle", code=0)
    assert made.rows("select legacy_id from app.projects order by 1") == [("p3",), ("p4",)]
    assert made.rows("select legacy_id from app.tasks order by 1") == [("t4",)]


def test_a_row_in_quarantine_that_changes_its_tenant_is_read_again_by_the_rows_of_its_circle(
    small: MakeSmall,  # noqa: F811
) -> None:
    """boxes ⇄ lines: the source decides the tenant of a parent in a circle, also of one in quarantine. That a foreign key forbids
    references to later rows says nothing about such a parent, either: it is not new."""
    made = small(
        source="""
            create table boxes (id text primary key, org text not null references "Organization" (id), size text);
            create table lines (id text primary key, org text not null references "Organization" (id), size text,
                box text references boxes (id));
            alter table boxes add column last text references lines (id);
            insert into boxes values ('b1', 'o2', 'much'), ('b2', 'o1', '2');
            insert into lines values ('l1', 'o1', '1', 'b1'), ('l2', 'o2', 'many', null);
            update boxes set last = 'l2' where id = 'b2';
        """,
        target=target_table("boxes", ", size integer, last uuid") + target_table("lines", ", size integer, box uuid"),
        tables="""
            [tables.boxes]
            from = "boxes"
            tenant = ["org"]
            access = "tenant"
            columns = { last = { ref = "lines" } }
            [tables.lines]
            from = "lines"
            tenant = ["org"]
            access = "tenant"
            columns = { box = { ref = "boxes" } }
        """,
    )
    made.migrate()
    reasons = "select source_key, reason from tenantry.quarantine where state = 'open' order by 1"
    first: dict[str, str] = dict(made.rows(reasons))
    assert "tenant_conflict" in (first["b2"], first["l1"])
    with made.database.connect(user=MIGRATOR) as connection:
        connection.execute(f"set role {OWNER}".encode())
        replayer = Replayer(prepare(connection, load_manifest(made.path)).project)
        replayer.begin(connection)
        for _ in range(2):  # after rounds that left no entries, a round relies on the foreign keys
            replay_round(connection, replayer)
        made.write("update boxes set org = 'o1' where id = 'b1'", "update lines set org = 'o1' where id = 'l2'")
        replay_round(connection, replayer)
    then: dict[str, str] = dict(made.rows(reasons))
    assert then == {
        "b1": "value_invalid",
        "b2": "parent_quarantined",
        "l1": "parent_quarantined",
        "l2": "value_invalid",
    }


def test_rows_of_a_circle_that_lack_a_third_do_not_come_and_go_forever(small: MakeSmall) -> None:  # noqa: F811
    """boxes ⇄ lines, where l1 is behind the quarantined l0: from the source alone l1 may come in, and then b1; without l0 neither stays."""
    made = small(
        source="""
            create table boxes (id text primary key, org text not null references "Organization" (id), size text);
            create table lines (id text primary key, org text not null references "Organization" (id), size text,
                box text references boxes (id), after text references lines (id));
            alter table boxes add column last text references lines (id);
            insert into boxes values ('b1', 'o1', '2');
            insert into lines values ('l0', 'o1', 'much', null, null), ('l1', 'o1', '1', 'b1', 'l0');
            update boxes set last = 'l1' where id = 'b1';
        """,
        target=target_table("boxes", ", size integer, last uuid")
        + target_table("lines", ", size integer, box uuid, after uuid"),
        tables="""
            [tables.boxes]
            from = "boxes"
            tenant = ["org"]
            access = "tenant"
            columns = { last = { ref = "lines" } }
            [tables.lines]
            from = "lines"
            tenant = ["org"]
            access = "tenant"
            columns = { box = { ref = "boxes" }, after = { ref = "lines" } }
        """,
    )
    made.migrate()
    made.write("update boxes set size = '3' where id = 'b1'")
    assert made.process("replay", "--until-idle", timeout=120).code == 0  # it ends
    assert made.one("select count(*) from tenantry.quarantine where state = 'open' and mapping <> 'members'") == 3
    made.write("update lines set size = '0' where id = 'l0'")
    made.run("replay", "--until-idle", code=0)
    assert made.rows("select legacy_id from app.lines order by 1") == [("l0",), ("l1",)]
    assert made.rows("select legacy_id, size from app.boxes") == [("b1", 3)]
