"""Changes of a target with keys, trees, circles and parts of other kinds are carried back into its source."""

from __future__ import annotations

import pytest

from tenantry.errors import ManifestError
from tenantry.manifest import load_manifest
from tenantry.mapping import Project, resolve
from tenantry.migrate.replay.reverse import Counts, Reverser
from tests.integration.migrate.reverse_sides import LAB_MANIFEST, LAB_OWNER, Sides, lab, lab_each, lab_project
from tests.migrate_support import (
    engine,
)

__all__ = ["lab", "lab_each", "lab_project"]


def test_nothing_of_the_other_schema_is_written_without_a_change(lab_each: Sides) -> None:
    lab = lab_each
    before = lab.source()
    done = lab.back({table: list(found) for table, found in lab.target().items()})
    assert lab.disagreements() == []
    assert lab.kept() == {}
    assert lab.changes(before) == {}
    assert (done.written, done.conflicts) == (0, 0)


def test_each_kind_of_value_goes_back_in_a_form_that_is_read_as_the_same(lab_each: Sides) -> None:
    lab = lab_each
    before = lab.source()
    lab.write(
        "update nodes set label = 'new', shout = 'NEW', grade = 1, seen = '2024-05-06 07:08:09.123+00', local_at = '2024-11-03 06:30:00+00',"
        " day = '2024-03-31', \"isOpen\" = false, price = -0.07, ratio = 2.5, share = 0.125, wait = '30 days', tags = '{x,NULL}', size = 'XL',"
        " extra = jsonb_build_object('kin', jsonb_build_array((select id from nodes where legacy_id = 'n1'), 'free')) where legacy_id = 'n1'",
        "update nodes set price = 0, ratio = 0.25, \"isOpen\" = true where legacy_id = 'n3'",
    )
    lab.back()
    assert lab.changes(before) == {
        ("nodes", "n1"): {
            "label": "new", "generated": "new!", "Grade": "low", "seen": "2024-05-06 07:08:09.123", "local_at": "2024-11-03 01:30:00",
            "day": "2024-03-31 04:00:00+00", "isOpen": "false", "price": "-0.07", "ratio": "2.5", "wait": "30 days",
            "tags": "{x,NULL}", "size": "XL", "extra": '{"kin": ["n1", "free"]}',
        },
        ("nodes", "n3"): {"price": "0", "ratio": "0.25", "isOpen": "true"},
    }  # fmt: skip
    # The source's domain wants a percent sign, which a plain number does not have.
    assert set(lab.kept()) == {("nodes", "n1", "share")}
    lab.assert_in_line()


def test_a_value_that_the_source_cannot_hold_is_kept_in_the_target_only(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update nodes set label = 'longer than ten', shout = 'LONGER THAN TEN', size = 'XXXL', ratio = 0.1234567890123, grade = 9,"
        " local_at = '2024-11-03 05:30:00+00' where legacy_id = 'n1'"
    )
    lab.back()
    assert lab.changes(before) == {}
    assert {column for _, _, column in lab.kept()} == {"label", "shout", "size", "ratio", "grade", "local_at"}
    lab.assert_in_line()


def test_a_tree_is_made_and_taken_down_whatever_the_order(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "insert into nodes (site_id, id, label, shout, grade, \"isOpen\", parent_id) select s.id, ('00000000-0000-4000-8000-00000000000' || n)::uuid,"
        " 'tree ' || n, 'TREE ' || n, 1, true, nullif('00000000-0000-4000-8000-00000000000' || n + 1, '00000000-0000-4000-8000-000000000006')::uuid"
        " from generate_series(1, 5) n, sites s where code = 'north'",
        "update nodes set parent_id = '00000000-0000-4000-8000-000000000001' where legacy_id = 'n2'",
    )
    done = lab.back()
    assert done.tables == {"nodes": Counts(inserted=5, updated=1)}
    made = lab.source()["nodes"]
    key = "00000000-0000-4000-8000-00000000000"
    assert [made[f"{key}{n}"]["parent_id"] for n in range(1, 6)] == [*(f"{key}{n}" for n in range(2, 6)), None]
    assert made["n2"]["parent_id"] == f"{key}1"
    lab.assert_in_line()
    lab.write("update nodes set parent_id = (select id from nodes where legacy_id = 'n1') where legacy_id = 'n2'",
              f"delete from nodes where legacy_id like '{key}%'")  # fmt: skip
    done = lab.back()
    assert done.tables == {"nodes": Counts(updated=1, deleted=5)}
    assert lab.changes(before) == {}
    lab.assert_in_line()


def test_rows_that_refer_to_each_other_in_a_circle_are_made_and_taken_down(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "insert into teams (site_id, name) select id, 'born' from sites where code = 'south'",
        "insert into members (site_id, team, name) select site_id, id, 'first' from teams where name = 'born'",
        "update teams set lead = (select id from members where name = 'first') where name = 'born'",
    )
    done = lab.back()
    assert done.tables == {"teams": Counts(inserted=1), "members": Counts(inserted=1)}
    (team,) = [row for (table, _), row in lab.changes(before).items() if table == "teams"]
    (member,) = [row for (table, _), row in lab.changes(before).items() if table == "members"]
    assert team is not None
    assert member is not None
    assert (team["lead"], member["team"]) == (member["id"], team["id"])
    lab.assert_in_line()
    lab.write("delete from members", "delete from teams")
    done = lab.back()
    assert (done.deleted, done.conflicts) == (5, 0)
    assert lab.source()["teams"] == {}
    lab.assert_in_line()


def test_references_to_keys_of_several_columns_and_to_other_unique_columns(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update boxes set shelf_id = (select id from shelves where title = 'two') where legacy_id = 'b1'",
        "update boxes set shelf_id = null where legacy_id = 'b2'",
        "update shelves set title = 'III' where title = 'three'",
        "insert into boxes (site_id, shelf_id) select site_id, id from shelves where title = 'III'",
        "update sites set code = 'polar' where code = 'north'",
    )
    done = lab.back()
    assert done.conflicts == 0
    changes = lab.changes(before)
    ((_, born),) = [item for item in changes.items() if item[0][0] == "boxes" and item[0][1] not in before["boxes"]]
    assert born is not None
    assert {name: born[name] for name in ("room", "no", "site_code")} == {
        "room": 'B "x"',
        "no": "1",
        "site_code": "south",
    }
    assert {key: row for key, row in changes.items() if row is not born} == {
        ("Site", "s1"): {"siteCode": "polar"},
        ("boxes", "b1"): {"no": "2", "site_code": "polar"},
        ("boxes", "b2"): {"no": None, "site_code": "polar"},
        ("boxes", "b4"): {"site_code": "polar"},
        ("shelves", 'B "x"|1'): {"title": "III"},
    }
    lab.assert_in_line()


def test_rows_whose_id_cannot_be_a_key_of_the_source_are_in_the_target_only(lab: Sides) -> None:
    before = lab.source()
    made = lab.write(
        "insert into counters (site_id, n) select id, 5 from sites where code = 'north'",
        "insert into shelves (site_id, room, no, title) select id, 'C', 1, 'born' from sites where code = 'north'",
        "insert into visits (site_id, guest) select id, 'Cem' from sites where code = 'north'",
        "insert into boxes (site_id, shelf_id) select site_id, id from shelves where title = 'born'",
        "update shelves set room = 'Z' where title = 'one'",
        "update counters set n = 11 where n = 1",
        "select (select legacy_id from counters where n = 5), (select legacy_id from shelves where title = 'born'),"
        " (select legacy_id from visits where guest = 'Cem'),"
        " (select b.legacy_id from boxes b join shelves s on s.id = b.shelf_id where s.title = 'born')",
    )
    counter, shelf, visit, box = made[0]
    lab.back()
    changes = lab.changes(before)
    # The key of a shelf is its room and number, which stand in the target: it has a place in the source.
    assert changes.pop(("shelves", "C|1")) == {"room": "C", "no": "1", "siteId": "s1", "title": "born"}
    assert changes.pop(("boxes", box)) == {"id": box, "room": "C", "no": "1", "site_code": "north"}
    # The source's own sequence numbers the counter.
    assert changes.pop(("counters", "3")) == {"id": "3", "n": "5", "siteId": "s1"}
    assert changes == {("counters", "1"): {"n": "11"}}
    assert set(lab.kept()) == {
        ("counters", "3", ""), ("counters", counter, "id"), ("visits", visit, ""), ("shelves", '["A", "1"]', "room"),
        ("shelves", shelf, "id"), ("shelves", '["C", "1"]', ""), ("boxes", box, "shelf_id"),
    }  # fmt: skip
    lab.assert_in_line()


def test_a_cascade_of_the_source_never_takes_along_what_only_the_source_has(lab: Sides) -> None:
    with engine(lab.database, LAB_OWNER) as connection:
        connection.execute("""insert into "Old Lab".boxes values ('only here', 'A', 1, 'north')""")
    before = lab.source()
    lab.write(
        "delete from boxes where legacy_id in ('b1', 'b2')",
        "delete from shelves where title in ('one', 'two')",
    )
    done = lab.back()
    assert lab.changes(before) == {("boxes", "b1"): None, ("boxes", "b2"): None, ("shelves", "A|2"): None}
    assert (done.tables["shelves"].deleted, done.tables["shelves"].conflicts) == (1, 1)
    assert lab.conflicts() == [
        (
            "shelves",
            '["A", "1"]',
            '["A", "1"]',
            "source",
            {"deleted": True},
            "rows of boxes that stay in the source refer to it",
        )
    ]
    with engine(lab.database, LAB_OWNER) as connection:
        connection.execute("""delete from "Old Lab".boxes where id = 'only here'""")
    assert lab.back().deleted == 1


def test_parts_of_a_row_follow_the_manifests_conditions(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update device_notes set body = 'another note'", "update devices set serial = 'y-2' where legacy_id = 'd2'"
    )
    lab.back()
    assert lab.changes(before) == {
        ("devices", "d1"): {"note": "another note"} | {"noteKind": "of x-1"},
        ("devices", "d2"): {"serial": "y-2"},
    }
    lab.assert_in_line()
    lab.write(
        "insert into device_notes (site_id, device_id, body) select site_id, id, 'late' from devices where legacy_id = 'd2'"
    )
    lab.back()
    assert lab.source()["devices"]["d2"]["note"] == "late"
    assert lab.source()["devices"]["d2"]["noteKind"] == "of y-2"
    lab.assert_in_line()
    lab.write("delete from device_notes")
    lab.back()
    assert {key: (row["note"], row["noteKind"]) for key, row in lab.source()["devices"].items()} == {
        "d1": (None, None),
        "d2": (None, None),
    }
    assert lab.kept() == {}
    lab.write("delete from devices where legacy_id = 'd1'")
    assert lab.back().tables["devices"] == Counts(deleted=1)
    lab.assert_in_line()


def test_a_source_row_goes_with_the_part_that_its_filter_puts_it_in(lab: Sides) -> None:
    before = lab.source()
    lab.write("update visits set note = 'x' where client = 'Bob'", "delete from visits where guest = 'Ann'")
    lab.back()
    assert lab.changes(before) == {("visits", "1"): None, ("visits", "2"): {"note": "x"}}
    lab.write("delete from visits")
    lab.back()
    assert lab.source()["visits"] == {}
    lab.assert_in_line()


def test_conflicts_contain_no_secrets(lab: Sides) -> None:
    with lab.database.connect() as admin:
        admin.execute("""alter table "Old Lab".devices add constraint odd check (serial !~ 'odd')""")
    before = lab.source()
    lab.write(
        "update devices set serial = 'odd one', password = 'new pass' where legacy_id = 'd1'",
        "update devices set password = 'other pass' where legacy_id = 'd2'",
    )
    done = lab.back()
    assert lab.changes(before) == {("devices", "d2"): {"secret": "other pass"}}
    assert done.tables["devices"] == Counts(updated=1, kept=2, conflicts=1)
    assert "pass" not in str([row[4:] for row in lab.conflicts()]).replace("password", "")
    ((_, _, _, _, loser, reason),) = lab.conflicts()
    assert loser["password"] == "(secret)"
    assert "withheld" in reason


def test_sql_of_the_manifest_that_fails_on_a_row_is_a_conflict_of_that_row_alone(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update devices set serial = '1/0' where legacy_id = 'd1'",
        "update devices set serial = 'fine' where legacy_id = 'd2'",
    )
    text = lab.project.manifest.path.read_text().replace(
        "'of ' || t.serial", "'of ' || (10 / length(replace(t.serial, '1/0', '')))"
    )
    lab.project.manifest.path.write_text(text)
    manifest = load_manifest(lab.project.manifest.path)
    lab.reverser = Reverser(resolve(manifest, lab.project.source, lab.project.target))
    done = lab.back()
    assert lab.changes(before) == {("devices", "d2"): {"serial": "fine"}}
    assert done.tables["devices"].conflicts == 1
    assert [row[:4] for row in lab.conflicts()] == [("devices", "d1", "d1", "source")]
    assert lab.kept()["devices", "d1", ""] == "refused: see tenantry.conflict"


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ("device = { note = \"t.serial\" }", "did you mean 'devices'?"),
        ("devices = { noted = \"t.serial\" }", "did you mean 'note'?"),
        ("devices = { id = \"t.serial\" }", "part of the key"),
        ("devices = { note = \"t.serials\" }", "no column 'serials'"),
        ("devices = { note = \"s.serial\" }", "only t and device_notes can be named here"),
        ("devices = { note = \"t.serial from x\" }", "without FROM"),
        ("nodes = { generated = \"t.label\" }", "generated column"),
    ],
)  # fmt: skip
def test_an_unsuitable_down_expression_is_refused_by_name(lab_project: Project, given: str, want: str) -> None:
    file = lab_project.manifest.path
    start, end = LAB_MANIFEST.index("[source.down.devices]"), LAB_MANIFEST.index("[target]")
    file.write_text(LAB_MANIFEST[:start] + f"[source.down]\n{given}\n" + LAB_MANIFEST[end:])
    with pytest.raises(ManifestError) as refused:
        Reverser(resolve(load_manifest(file), lab_project.source, lab_project.target))
    assert want in refused.value.message
    assert "source.down." in refused.value.message
