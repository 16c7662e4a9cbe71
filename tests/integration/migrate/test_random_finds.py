"""What random applications (tests/fuzz) found, each as a small one."""

from __future__ import annotations

from tests.small import MakeSmall, small, target_table  # noqa: F401


def test_a_row_whose_delete_the_source_refused_is_in_the_target_again_after_a_rollback(
    small: MakeSmall,  # noqa: F811
) -> None:
    """b1 has a line that is in quarantine, so the target can delete b1 and the source cannot."""
    made = small(
        source="""
            create table boxes (id text primary key, org text not null references "Organization" (id), name text);
            create table lines (id text primary key, box text not null references boxes (id), size text);
            insert into boxes values ('b1', 'o1', 'first'), ('b2', 'o1', 'second');
            insert into lines values ('l1', 'b1', 'much'), ('l2', 'b2', '3');
        """,
        target=target_table("boxes", ", name text")
        + target_table(
            "lines", ", box uuid not null, size integer", "foreign key (org_id, box) references boxes (org_id, id)"
        ),
        tables="""
            [tables.boxes]
            from = "boxes"
            tenant = ["org"]
            access = "tenant"
            [tables.lines]
            from = "lines"
            tenant = ["box"]
            access = "tenant"
        """,
    )
    made.migrate()
    made.cut_over()
    made.as_owner("delete from app.boxes where legacy_id = 'b1'")
    made.run("replay", "--until-idle", code=0)
    assert made.rows("select table_name, legacy_id from tenantry.conflict") == [("boxes", "b1")]
    made.roll_back()
    assert made.rows("select legacy_id from app.boxes order by 1") == [("b1",), ("b2",)]
    made.write("update boxes set name = 'again' where id = 'b2'")
    made.cut_over()
    assert made.rows("select legacy_id, name from app.boxes order by 1") == [("b1", "first"), ("b2", "again")]


def test_a_negative_zero_survives_reverse_replay(small: MakeSmall) -> None:  # noqa: F811
    """It equals the other zero, but is not the same: reverse replay wrote nothing, and verification reported a permanent difference."""
    made = small(
        source="""
            create table sizes (id text primary key, org text not null references "Organization" (id), x double precision, y real);
            insert into sizes values ('s1', 'o1', 0, 0), ('s2', 'o1', 1.5, 1.5);
        """,
        target=target_table("sizes", ", x double precision, y real"),
        tables="""
            [tables.sizes]
            from = "sizes"
            tenant = ["org"]
            access = "tenant"
        """,
    )
    made.migrate()
    made.cut_over()
    made.as_owner("update app.sizes set x = '-0', y = '-0' where legacy_id = 's1'")
    made.run("verify", code=0)
    assert made.rows("select x::text, y::text from sizes order by id") == [("-0", "-0"), ("1.5", "1.5")]


def test_a_reference_is_an_orphans_only_where_its_row_is_not_in_quarantine_either(small: MakeSmall) -> None:  # noqa: F811
    """The box of l1 comes into quarantine and goes from it; each time something else stands in for the reference."""
    made = small(
        source="""
            create table boxes (id text primary key, org text not null references "Organization" (id), size text);
            create table lines (id text primary key, org text not null references "Organization" (id), box text);
            insert into boxes values ('b1', 'o1', 'much');
            insert into lines values ('l1', 'o1', 'b1'), ('l2', 'o1', 'b2');
        """,
        target=target_table("boxes", ", size integer")
        + target_table(
            "lines",
            ", box_id uuid",
            "foreign key (org_id, box_id) references boxes (org_id, id) deferrable initially immediate",
        ),
        tables="""
            [tables.boxes]
            from = "boxes"
            tenant = ["org"]
            access = "tenant"
            [tables.lines]
            from = "lines"
            tenant = ["org"]
            access = "tenant"
            columns = { box_id = { from = "box", ref = "boxes", orphan = "null" } }
        """,
    )
    made.migrate()
    there = "select legacy_id, box_id is null from app.lines order by 1"
    assert made.rows(there) == [("l2", True)]
    made.write("delete from boxes where id = 'b1'", "insert into boxes values ('b2', 'o1', 'little')")
    made.run("replay", "--until-idle", code=0)
    assert made.rows(there) == [("l1", True)]
    made.write("update boxes set size = '2' where id = 'b2'")
    made.run("replay", "--until-idle", code=0)
    assert made.rows(there) == [("l1", True), ("l2", False)]
    made.run("verify", code=0)
