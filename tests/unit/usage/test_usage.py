"""What code and queries touch of what changes: precision and recall over a sample application, languages, queries. No server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tenantry.errors import SettingsError
from tenantry.usage.changes import ChangedColumn, SchemaChanges, schema_changes
from tenantry.usage.queries import read_queries, search_queries
from tenantry.usage.scan import LANGUAGES, scan
from tenantry.usage.search import search_code
from tenantry.usage.sql import placeholders_filled, touches
from tests.fixtures import project

APPLICATION = Path(__file__).parent / "application"
KNOWN = {
    "notes": frozenset(("id", "title", "authorId", "createdAt", "status")),
    "lines": frozenset(("id", "note_id", "text")),
}
COLUMNS = (("notes", "id"), ("notes", "authorId"), ("lines", "id"), ("lines", "note_id"))
CHANGES = SchemaChanges(
    "public", "app", {each: ChangedColumn(*each, "changes") for each in COLUMNS}, dict.fromkeys(KNOWN, "moves"), KNOWN
)


def expected() -> set[tuple[str, int, str]]:
    """The lines that the sample marks itself."""
    found = set()
    for file in sorted(APPLICATION.iterdir()):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            marked = re.search(r"HIT ([\w. ]+)", line)
            if marked is not None and not line.startswith('"""'):
                found |= {(file.name, number, name) for name in marked[1].split()}
    return found


def test_lines_of_an_application_are_found_with_precision() -> None:
    lines = search_code(APPLICATION, CHANGES)
    got = {(each.file, each.line, f"{each.table}.{each.column}".rstrip(".")) for each in lines}
    want = expected()
    print(f"precision {len(got & want) / len(got):.2f}, recall {len(got & want) / len(want):.2f}")  # noqa: T201 - the suite shows it
    assert got - want == set()
    assert want - got == set()
    assert {each.certainty for each in lines} == {"sure"}


def test_a_distinctive_name_is_likely_where_its_table_is_meant(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('row = run("select title from notes")\nprint(authorId, id, createdAt)\n')
    (tmp_path / "b.py").write_text("print(authorId)\n")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "c.js").write_text("run('select id from notes')")
    found = search_code(tmp_path, CHANGES)
    assert [(each.file, each.line, each.column, each.certainty) for each in found] == [
        ("a.py", 1, "", "sure"), ("a.py", 2, "authorId", "likely")
    ]  # fmt: skip
    with pytest.raises(SettingsError):
        search_code(tmp_path / "nothing", CHANGES)


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        ("select n.id from notes n", {"notes", "notes.id"}),
        ('select "authorId" from public.notes', {"notes", "notes.authorId"}),
        ("select authorid from notes", {"notes"}),
        ("select l.id from other l", set()),
        ("select id from other.notes", set()),
        ("with notes as (select 1 as id) select id from notes", set()),
        ("select x.id from notes n join lines x on true", {"notes", "lines", "lines.id"}),
        ("insert into lines (id, text) values (?, ?)", {"lines", "lines.id"}),
        ("update lines set note_id = :note where text = 'id'", {"lines", "lines.note_id"}),
        ("delete from notes where id = any($1)", {"notes", "notes.id"}),
        ("select id::text, '{a}', ':x' from notes where id = ${a.b({c: 1})}", {"notes", "notes.id"}),
        # No whole SQL: by words, and only beside its table.
        ("select id from notes where ${filter} order by", {"notes", "notes.id"}),
        ("where id = 1 and from elsewhere", set()),
    ],
)
def test_tables_and_columns_of_a_statement(sql: str, want: set[str]) -> None:
    assert {f"{each.table}.{each.column}".rstrip(".") for each in touches(sql, CHANGES)} == want


def test_placeholders_keep_the_lines() -> None:
    text = "select %s,\n ':no', ${a\n}, -- ?\n :b::text from t"
    assert placeholders_filled(text).count("\n") == text.count("\n")
    assert "':no'" in placeholders_filled(text) and "::text" in placeholders_filled(text)


@pytest.mark.parametrize(
    ("suffix", "text", "strings"),
    [
        (".py", "a = 'x' # 'no'\nb = '''y\nz'''", ["x", "y\nz"]),
        (".py", "f('a '\n  'b')", ["a  \nb"]),
        (".ts", "f(`a\nb`) // `no`\n/* 'no' */ g('it\\'s')", ["a\nb", "it\\'s"]),
        (".js", "'open\nnext'", ["open", ""]),
        (".go", 'q := `a` + "b"', ["a b"]),
        (".rb", "q = <<~SQL.strip\n  a\nSQL\nputs 'b'", ["  a\n", "b"]),
        (".php", "$q = 'a' . 'b'; // 'no'", ["a b"]),
        (".java", '"""a\nb""" + "c"', ["a\nb c"]),
    ],
)
def test_strings_of_languages(suffix: str, text: str, strings: list[str]) -> None:
    found = scan(text, LANGUAGES[suffix])
    assert [each.body for each in found.texts] == strings
    assert len(found.code) == len(text) and found.code.count("\n") == text.count("\n")
    assert "no" not in found.code


def test_queries_are_read_from_sql_and_exports(tmp_path: Path) -> None:
    files = {
        "q.sql": "select 1; -- ;\nselect id from notes where title = ';';\n",
        "q.csv": 'calls,query\n7,"select id from notes"\n,select 1\n',
        "q.json": json.dumps([{"query": "select id from notes", "calls": 7}, "select 1"]),
    }
    read = {}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        read[name] = read_queries(tmp_path / name)
    assert [query for query, _ in read["q.sql"]][1].endswith("title = ';'")
    assert read["q.csv"] == (("select id from notes", 7), ("select 1", None)) == read["q.json"]
    for name, text in {"a.csv": "a,b\n1,2\n", "a.json": "3", "b.json": "{"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(SettingsError):
            read_queries(tmp_path / name)
    (found,) = search_queries(read["q.csv"], CHANGES)
    assert (found.number, found.calls, found.tables, found.columns) == (1, 7, ("notes",), ("notes.id: changes",))


def test_what_changes_follows_from_the_mappings() -> None:
    found = schema_changes(project("clinic"))
    assert found.columns["users", "id"].what.startswith("id: text becomes uuid")
    assert "reference: text becomes uuid" in found.columns["providers", "clinic_id"].what
    assert "tenant" in found.tables["providers"]
    assert ("clinics", "name") not in found.columns
