"""The manifest's file: what cannot be read, several problems at once, their lines, and the digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.errors import ManifestError, SettingsError
from tenantry.manifest import Problem, load_manifest, manifest_digest
from tests.unit.manifest.manifest_case import (
    COLUMNS,
    JARGON,
    MANIFEST,
    TABLES,
    assert_reads_well,
    changed,
    problems,
    resolved,
    written,
)

# -- the file itself ------------------------------------------------------------------------------------------------------


def test_an_unreadable_file_is_reported_in_plain_words(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.toml", "There is no manifest at"),
        (tmp_path, "cannot be read: is a directory."),
        (
            written(tmp_path, MANIFEST.encode().replace(b"# more", b"# m\xf6re")),
            "line 70 contains bytes that are not UTF-8",
        ),
    ):
        with pytest.raises(SettingsError) as caught:
            load_manifest(path)
        assert words in caught.value.message
        assert str(path) in caught.value.message
        assert caught.value.hint
        assert not JARGON.search(caught.value.message)


@pytest.mark.parametrize("text", [b"", b"\n\n# nothing\n", b"\xef\xbb\xbf"])
def test_an_empty_file_lacks_every_section(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ManifestError) as caught:
        load_manifest(written(tmp_path, text))
    got = [(each.line, each.key, each.message) for each in caught.value.problems if isinstance(each, Problem)]
    sections = ("ids", "membership", "roles", "source", "target", "tenant")
    assert got == sorted(
        [(1, "name", "is missing"), (1, "tables", "is missing: add [tables.…]")]
        + [(1, name, f"is missing: add [{name}]") for name in sections]
    )


def test_a_mark_before_the_text_and_lines_of_windows_are_taken(tmp_path: Path) -> None:
    text = "\ufeff" + MANIFEST.replace("\n", "\r\n").replace("as = ", "az = ", 1)
    with pytest.raises(ManifestError) as caught:
        load_manifest(written(tmp_path, text.encode()))
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    assert MANIFEST.split("\n")[problem.line - 1].startswith("email = { as")


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ('table = "orgs"', "table =", "table =", "invalid value, at the end of the line"),
        ('table = "orgs"', 'table = "orgs', 'table = "orgs', "illegal character"),
        ('table = "orgs"', 'table "orgs"', 'table "orgs"', "expected '='"),
        ('table = "orgs"', 'table = "orgs"\ntable = "x"', 'table = "x"', "this name is already defined above"),
        ("[ids]", "[tenant]\n[ids]", "[tenant] # again", "[tenant] is already defined above"),
        ('own = "id" }', 'own = "id", own = "id" }', "[tables.persons]", "own is defined twice"),
        ("[tables.orgs]", "[tables.orgs", "[tables.orgs", "expected ']'"),
        ("[ids]", "[ids]\nx = [1,\n2", "[[rules]]", "unclosed array"),
    ],
)
def test_a_toml_error_is_reported_with_its_line(tmp_path: Path, old: str, new: str, at: str, words: str) -> None:
    text = MANIFEST.replace(old, new, 1)
    if "again" in at:
        text = text.replace("[tenant]\ntable", "[tenant] # again\ntable")
    if "persons" in at:
        at = "access = { select = { colleagues"
    with pytest.raises(ManifestError) as caught:
        load_manifest(written(tmp_path, text))
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    assert words in problem.message
    assert problem.key == "TOML"
    assert_reads_well(problem)
    if words != "unclosed array":  # its end is where the next thing was expected
        assert at in text.split("\n")[problem.line - 1]


# -- several, and where they stand ----------------------------------------------------------------------------------------


def test_problems_are_reported_together_by_line(tmp_path: Path) -> None:
    changes = [one.change[0] for one in (*TABLES, *COLUMNS)
               if one.name in ("an unknown column of a merge", "a role that is none", "a label of a map", "an order that is no SQL",
                               "an unknown hidden column")]  # fmt: skip
    found = problems(tmp_path, changed(*changes, ('as = "number"', 'as = "utc"')))
    assert len(found) == len(changes) + 1
    assert [problem.line for problem in found] == sorted(problem.line for problem in found)
    with pytest.raises(ManifestError) as caught:
        resolved(tmp_path, tmp_path.joinpath("tenantry.toml").read_text(encoding="utf-8"))
    assert caught.value.message == "\n".join(str(problem) for problem in found)
    assert "these 6 entries" in caught.value.hint


def test_an_unknown_table_hides_nothing_and_makes_no_echo(tmp_path: Path) -> None:
    """What is wrong elsewhere is said too; what is wrong only because of it is not."""
    text = changed(('from = "notes"', 'from = "notez"'), ('select = "staff"', 'select = "staf"'))
    assert [problem.key for problem in problems(tmp_path, text)] == [
        "source",
        "tables.members.access.select",
        "tables.notes.from",
    ]


def test_a_keys_line_is_found_in_any_layout(tmp_path: Path) -> None:
    text = changed(
        ("[[rules]]", '''[[rules]]
name = "first"
sql = """
[tables.notes.columns]
amount = 'no key, but SQL'
"""
[[rules]] # {'''),
        ("title = { up", 'columns."title" = { up'),
        ("amount = {", "'columns' . amount = {"),
        ("day = {", "columns.day={"),
        ("status = {", "columns.status = {"),
        ("author_id = {", "columns.author_id = {"),
        ("t.title\" }\n", "t.titel\" }\n"),
        ('as = "number"', 'as = "utc"'),
        ("select id from notes where title = ''", "select"),
    )  # fmt: skip
    text = text.replace('sql = "select"', 'sql = "selec"').replace("[tables.notes.columns]\ncolumns", "columns")
    found = problems(tmp_path, text)
    lines = text.split("\n")
    assert [(problem.key, lines[problem.line - 1].split("=")[0].strip()) for problem in found] == [
        ("tables.notes.columns.title.down", 'columns."title"'),
        ("tables.notes.columns.amount.as", "'columns' . amount"),
        ("rules[0].sql", "sql"),
        ("rules[1].sql", "sql"),
    ]


def test_names_that_need_quotes_are_quoted_in_keys(tmp_path: Path) -> None:
    text = changed(("# more\n", '# more\n[tables."my table".access]\nselect = "super"\n'))
    with pytest.raises(ManifestError) as caught:
        load_manifest(written(tmp_path, text))
    keys = [each.key for each in caught.value.problems if isinstance(each, Problem)]
    assert keys == [f'tables."my table".access.{command}' for command in ("delete", "insert", "update")]


# -- the digest -----------------------------------------------------------------------------------------------------------


def test_the_digest_ignores_formatting(tmp_path: Path) -> None:
    digest = manifest_digest(load_manifest(written(tmp_path, MANIFEST)))
    spaced = MANIFEST.replace('" }', '"   }').replace("# more", "# another comment\n\n")
    assert manifest_digest(load_manifest(written(tmp_path, spaced))) == digest
    assert manifest_digest(load_manifest(written(tmp_path, changed(('"twice"', '"thrice"'))))) != digest
    # Who may do what can change while a run goes on: `tenantry access apply`.
    loosened = changed(('insert = "super", update = "boss"', 'insert = "super", update = "guest"'))
    assert manifest_digest(load_manifest(written(tmp_path, loosened))) == digest
    path = written(tmp_path, MANIFEST)
    tmp_path.joinpath("app.sql").write_text("create table other ();", encoding="utf-8")
    assert manifest_digest(load_manifest(path)) != digest
