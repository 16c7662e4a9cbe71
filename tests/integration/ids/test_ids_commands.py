"""The commands of ids: export, translate, find and usage."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from psycopg import errors

from tests.conftest import Database
from tests.integration.ids.id_lookup_world import WHERE, Members, ask, map_of, members
from tests.integration.migrate.test_generic_schema import (
    shop,  # noqa: F401 - a fixture
)
from tests.migrate_support import (
    OWNER,
    Rows,
    cli,
    copy_of_clinic,
    rows,
    tenantry,
)

__all__ = ["members"]


@pytest.fixture
def clinic_18(members: Members) -> Database:
    """What is said on the command line is the same on every version."""
    return members.database


def csv_rows(text: str) -> Rows:
    return [tuple(row) for row in csv.reader(io.StringIO(text))]


def test_export_writes_the_whole_map_or_one_table(clinic_18: Database, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="the extra tenantry[parquet] is not installed")
    where = ("--dsn", clinic_18.dsn_as(OWNER), *WHERE)
    want = rows(
        clinic_18,
        "select source_table, target_table, old_id, coalesce(new_id::text, ''), state from tenantry.id_map order by 1, 2, 3",
    )
    said = cli("ids", "export", "--out", str(tmp_path / "map.csv"), "--json", *where)
    assert said.code == 0, said.everything
    assert said.json["rows"] == len(want)
    header, *got = csv_rows((tmp_path / "map.csv").read_text())
    assert header == ("source_table", "target_table", "old_id", "new_id", "state")
    assert sorted(got) == sorted(want)

    said = cli("ids", "export", "--out", str(tmp_path / "map.parquet"), *where)
    assert f"{len(want):,} ids written" in said.everything
    table = pyarrow.read_table(tmp_path / "map.parquet")
    assert table.column_names == list(header)
    assert sorted(tuple(row[name] or "" for name in header) for row in table.to_pylist()) == sorted(want)

    said = tenantry("ids", "export", "--out", "-", "--table", "clinics", *where)
    assert sorted(csv_rows(said.out)[1:]) == sorted(row for row in want if row[1] == "clinics")
    said = cli("ids", "export", "--out", str(tmp_path / "none.csv"), "--table", "clinic", *where)
    assert (said.code, list(tmp_path.glob("none*"))) == (2, [])
    assert "clinics" in said.everything


def test_parquet_without_its_library_names_what_to_install(
    clinic_18: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    said = cli("ids", "export", "-o", str(tmp_path / "map.parquet"), "--dsn", clinic_18.dsn_as(OWNER), *WHERE)
    assert said.code == 2
    assert "tenantry[parquet]" in said.everything
    assert list(tmp_path.iterdir()) == []


def test_a_column_is_translated_and_back(clinic_18: Database, tmp_path: Path) -> None:
    listed = {old: str(new) for old, (new, state) in map_of(clinic_18, "clinics").items() if state == "carried"}
    source, there, back = (tmp_path / name for name in ("in.csv", "new.csv", "back.csv"))
    lines = [f'"{old}","a ""quoted"", ö",{n}' for n, old in enumerate(listed)]
    source.write_bytes("\r\n".join(["Clinic Id,words,n", *lines, ',"none",9', ""]).encode("utf-8-sig"))
    where = ("--table", "clinics", "--column", "Clinic Id", "--dsn", clinic_18.dsn_as(OWNER), *WHERE)
    said = cli("ids", "translate", str(source), "--out", str(there), "--json", *where)
    assert said.code == 0, said.everything
    assert said.json == {
        "table": "clinics", "back": False, "derived": False, "rows": len(listed) + 1, "translated": len(listed), "same": 0,
        "empty": 1, "unknown": 0, "first_unknown": [],
    }  # fmt: skip
    text = there.read_bytes().decode()
    assert text.count("\r\n") == len(listed) + 2
    assert csv_rows(text)[1:-1] == [(new, 'a "quoted", ö', str(n)) for n, new in enumerate(listed.values())]
    said = cli("ids", "translate", str(there), "--reverse", "--out", str(back), *where)
    assert csv_rows(back.read_text("utf-8")) == csv_rows(source.read_text("utf-8-sig"))
    said = cli("ids", "translate", str(there), "--out", str(back), *where)
    assert f"{len(listed)} had that form already" in said.everything


def test_unknown_ids_stop_the_work_or_are_counted(clinic_18: Database, tmp_path: Path) -> None:
    old = next(iter(map_of(clinic_18, "clinics")))
    new = str(map_of(clinic_18, "clinics")[old][0])
    source, to = tmp_path / "ids", tmp_path / "out"
    source.write_text(f"{old}\nnobody\n\n{old}")
    where = ("translate", str(source), "--table", "clinics", "-o", str(to), "--dsn", clinic_18.dsn_as(OWNER), *WHERE)
    said = cli("ids", *where)
    assert said.code == 1
    assert "'nobody' (row 2)" in said.everything
    assert not to.exists()
    for how, want in (("keep", f"{new}\nnobody\n\n{new}\n"), ("empty", f"{new}\n\n\n{new}\n")):
        said = cli("ids", *where, "--on-unknown", how)
        assert said.code == 1
        assert "1 unknown" in said.everything
        assert to.read_text() == want


def test_computed_ids_need_no_database(tmp_path: Path) -> None:
    source = tmp_path / "ids"
    source.write_text("cla6wu2oc68muf4tfnss4x2oy\n")
    nowhere = {"TENANTRY_DSN": "postgresql://nobody@127.0.0.1:1/none"}
    to = tmp_path / "out"
    for table, old, new in (
        ("clinics", "cla6wu2oc68muf4tfnss4x2oy", "9fb450d8-36bf-80d6-80b1-5677ff5a0f39"),
        ("user_clinic_roles", "1000031", "47ba9632-f28a-80f0-806d-71d29b838da7"),
    ):
        source.write_text(f"{old}\n")
        derive = ("--table", table, "--derive", "-o", str(to), *WHERE)
        said = cli("ids", "translate", str(source), *derive, environment=nowhere)
        assert "not looked up" in said.everything
        assert to.read_text() == f"{new}\n"
    for more, words in ((("--reverse",), "cannot be computed"), (("--table", "clinic"), "clinics")):
        said = cli("ids", "translate", str(source), "--table", "clinics", "--derive", *more, *WHERE)
        assert said.code == 2
        assert words in said.everything


def test_unreadable_files_are_reported(clinic_18: Database, tmp_path: Path) -> None:
    where = ("--table", "clinics", "--dsn", clinic_18.dsn_as(OWNER), *WHERE)
    bad = {"latin.csv": "id\nGr\xf6\xdfe\n".encode("latin-1"), "other.csv": b"no,nope\n1,2\n", "open.csv": b'id\n"a\n'}
    words = {"latin.csv": "not UTF-8", "other.csv": "no column 'id'", "open.csv": "not valid CSV"}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        said = cli(
            "ids",
            "translate",
            str(tmp_path / name),
            "--column",
            "id",
            "--on-unknown",
            "keep",
            "-o",
            str(tmp_path / "o"),
            *where,
        )
        assert said.code == 2, said.everything
        assert words[name] in said.everything
    said = cli("ids", "translate", str(tmp_path / "gone"), "-o", str(tmp_path / "o"), *where)
    assert (said.code, (tmp_path / "o").exists()) == (2, False)


def test_look_finds_an_id_in_any_form(clinic_18: Database) -> None:
    where = ("--dsn", clinic_18.dsn_as(OWNER), *WHERE)
    people = rows(
        clinic_18, "select old_id, profile_id, account_id, state from tenantry.person where account_id is not null"
    )
    merged = next(row for row in people if row[3] == "merged")
    for given in (merged[0], str(merged[1]), str(merged[2])):
        said = cli("ids", "find", given, "--json", *where)
        assert said.code == 0, said.everything
        people_found = [each for each in said.json["found"] if each["target_table"] == "profiles"]
        assert people_found, given
        assert all((each["new_id"], each["account"]) == (str(merged[1]), str(merged[2])) for each in people_found)
    said = cli("ids", "find", merged[0], *where)
    assert "merged" in said.out
    held = rows(
        clinic_18,
        "select source_key from tenantry.quarantine where mapping = 'metric_values' and state = 'open' limit 1",
    )
    said = cli("ids", "find", held[0][0], "--json", *where)
    assert [each["state"] for each in said.json["found"]] == ["quarantined"]
    said = cli("ids", "find", "nobody has it", *where)
    assert said.code == 1


def test_use_says_since_when_the_old_form_is_not_used_and_apply_ends_it(finished: Database, tmp_path: Path) -> None:
    manifest = copy_of_clinic(tmp_path)
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace('namespace = "clinic"', 'namespace = "clinic"\nboth = ["clinics", "profiles"]'))
    where = ("--dsn", finished.dsn_as(OWNER), "--manifest", str(manifest))
    assert "No table accepts both" in cli("ids", "usage", *where).everything
    said = cli("ids", "apply", *where)
    assert said.code == 0, said.everything
    assert "clinics, profiles" in said.everything
    old = next(iter(map_of(finished, "clinics")))
    ask(finished, "to_id", "clinics", old)
    said = cli("ids", "usage", *where)
    assert "clinics: old ids are still used" in said.everything
    assert "profiles: no old id has been used since counting began" in said.everything
    month = 30 * 86400 + 60
    with finished.connect() as admin:
        # A month goes by.
        admin.execute(
            "select setval('tenantry.id_times_old_clinics', v - (%s::bigint << 32) - %s) from (select last_value as v"
            " from tenantry.id_times_old_clinics) s",
            [month, month],
        )
    assert "clinics: no old id has been used for 30 days" in cli("ids", "usage", *where).everything
    (clinics, profiles) = cli("ids", "usage", "--json", *where).json["tables"]
    assert clinics["old"]["uses"] == 1
    assert clinics["old_unused_since"] == clinics["old"]["last"]
    assert profiles["old_unused_since"] == profiles["counted_since"]
    manifest.write_text(text)
    assert cli("ids", "apply", "--json", *where).json == {"both": []}
    assert "clinics: old ids are no longer accepted" in cli("ids", "usage", *where).everything
    with pytest.raises(errors.InvalidTextRepresentation):
        ask(finished, "to_id", "clinics", old)
