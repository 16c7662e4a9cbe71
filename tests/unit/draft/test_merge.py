"""A draft that is made again keeps what was edited, section by section."""

from __future__ import annotations

from pathlib import Path

from tenantry.draft.check import write_files
from tenantry.draft.merge import merge_files, remember, sections

FIRST = '# head\nname = "x"\n\n[tables.a]\nfrom = "a"\n\n[tables.b]\nfrom = "b"\naccess = "tenant"\n'


def drafted(folder: Path, text: str) -> None:
    write_files(folder, {"tenantry.toml": text})
    remember(folder / "base", {"tenantry.toml": text})


def test_sections_are_found_by_their_headings() -> None:
    assert list(sections(FIRST)) == ["", "[tables.a]", "[tables.b]"]
    assert sections("-- a\ncreate table a ();\n\n-- b\nx\n")["-- a"] == "-- a\ncreate table a ();"


def test_unedited_parts_follow_the_new_draft(tmp_path: Path) -> None:
    drafted(tmp_path, FIRST)
    new = FIRST.replace('from = "a"', 'from = "a2"') + '\n[tables.c]\nfrom = "c"\n'
    merged = merge_files(tmp_path, tmp_path / "base", {"tenantry.toml": new})
    assert merged.files["tenantry.toml"] == new
    assert (merged.kept, merged.conflicts) == ((), ())


def test_an_edited_section_stays_and_is_named_where_the_new_draft_differs(tmp_path: Path) -> None:
    drafted(tmp_path, FIRST)
    write_files(tmp_path, {"tenantry.toml": FIRST.replace('"tenant"', '"service"') + "\n[own]\nx = 1\n"})
    new = FIRST.replace('"tenant"', '"shared"').replace('from = "a"', 'from = "a2"')
    merged = merge_files(tmp_path, tmp_path / "base", {"tenantry.toml": new})
    text = merged.files["tenantry.toml"]
    assert 'access = "service"' in text
    assert 'from = "a2"' in text
    assert "[own]" in text
    assert merged.conflicts == ("tenantry.toml: [tables.b]",)


def test_a_section_that_was_deleted_stays_deleted(tmp_path: Path) -> None:
    drafted(tmp_path, FIRST)
    write_files(tmp_path, {"tenantry.toml": FIRST.split("[tables.b]", maxsplit=1)[0]})
    merged = merge_files(tmp_path, tmp_path / "base", {"tenantry.toml": FIRST})
    assert "tables.b" not in merged.files["tenantry.toml"]


def test_a_file_that_no_draft_wrote_is_never_replaced(tmp_path: Path) -> None:
    write_files(tmp_path, {"tenantry.toml": "mine = 1\n"})
    merged = merge_files(tmp_path, tmp_path / "base", {"tenantry.toml": FIRST})
    assert merged.files["tenantry.toml"] == "mine = 1\n"
    assert merged.conflicts == ("tenantry.toml",)
