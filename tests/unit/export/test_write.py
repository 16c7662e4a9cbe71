"""An export writes over its own files only, and keeps the time in the name of a migration."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tenantry.errors import ExportInTheWay
from tenantry.export.form import all_forms
from tenantry.export.python_text import raw_text
from tenantry.export.write import write_export

NOW, LATER = datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
FILES = {"a/{stamp}_one.sql": "select 1;\n", "a/{stamp}_two.sql": "select 2;\n", "b.py": "x = 1\n"}
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "export-to-other-tools.md"


def test_the_next_export_replaces_its_files_under_their_names(tmp_path: Path) -> None:
    first = write_export(tmp_path, "sql", FILES, now=NOW)
    assert [path.relative_to(tmp_path).as_posix() for path in first.written] == [
        "a/20260131120000_one.sql", "a/20260131120001_two.sql", "b.py",
    ]  # fmt: skip
    assert write_export(tmp_path, "sql", FILES, now=LATER).unchanged == first.written
    changed = write_export(tmp_path, "sql", {**FILES, "b.py": "x = 2\n"}, now=LATER)
    assert changed.written == (tmp_path / "b.py",)
    assert (tmp_path / "b.py").read_text().endswith("\nx = 2\n")


@pytest.mark.parametrize("how", ["edited", "foreign", "a folder", "a file where a folder belongs"])
def test_what_others_wrote_stays_unless_forced(tmp_path: Path, how: str) -> None:
    if how == "edited":
        write_export(tmp_path, "sql", FILES, now=NOW)
        with (tmp_path / "b.py").open("a") as file:
            file.write("y = 2\n")
    elif how == "a folder":
        (tmp_path / "b.py").mkdir()
    else:
        (tmp_path / ("b.py" if how == "foreign" else "a")).write_text("mine\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ExportInTheWay) as caught:
        write_export(tmp_path, "sql", {**FILES, "c.py": ""}, now=LATER)
    assert "Nothing was written" in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    if how in ("edited", "foreign"):
        write_export(tmp_path, "sql", FILES, now=NOW, force=True)
        assert (tmp_path / "b.py").read_text().endswith("\nx = 1\n")
    else:
        with pytest.raises(ExportInTheWay, match="cannot be written"):
            write_export(tmp_path, "sql", FILES, now=NOW, force=True)


def test_every_form_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for form in all_forms().values():
        assert f"| `{form.name}` |" in text
        for each in form.left_out:
            assert each in " ".join(text.split())


@pytest.mark.parametrize(
    "text", ["plain", 'a """ b', 'ends with "', "back\\slash", "ends with \\", "two\r\nlines", "'"]
)
def test_a_text_survives_python_source(text: str) -> None:
    assert ast.literal_eval(raw_text(text)) == text
