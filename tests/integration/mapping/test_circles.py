"""References in a cycle, and paths to the tenant that lead through it."""

from __future__ import annotations

from tests.small import MakeSmall, small, target_table  # noqa: F401


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
