"""What does not fit in a manifest is said with file, line, key and the nearest right name; all of it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tenantry.catalog import Catalog, Column
from tenantry.errors import ManifestError
from tenantry.manifest import Problem, load_manifest
from tests.unit.manifest.manifest_case import (
    COLUMNS,
    IDS,
    MANIFEST,
    SOURCE,
    SOURCE_WITHOUT_HEAP,
    TABLES,
    TARGET,
    Case,
    assert_reads_well,
    case,
    changed,
    column,
    problems,
    resolved,
    table,
    written,
)


def assert_only(found: Sequence[Problem], want: Case, text: str, file: Path) -> None:
    lines = [number for number, line in enumerate(text.split("\n"), start=1) if want.at in line]
    assert len(lines) == 1, f"{want.at!r} stands on lines {lines}"
    assert [(each.file, each.line, each.key) for each in found] == [(str(file), lines[0], want.key)], [*map(str, found)]
    for words in want.says:
        assert words in found[0].message


# -- what is right --------------------------------------------------------------------------------------------------------


def test_the_manifest_of_these_tests_is_right(tmp_path: Path) -> None:
    project = resolved(tmp_path, MANIFEST)
    assert [mapping.name for mapping in project] == ["orgs", "persons", "members", "notes"]
    assert project.root.name == "orgs"
    notes = project.mapping("notes")
    assert [path.parent for path in notes.tenant_paths] == ["members", "orgs"]
    assert notes.column("day").zoned
    assert not notes.column("title").zoned
    assert notes.column("author_id").kind == "reference"
    assert "length" not in {each.name for each in notes.columns}


@pytest.mark.parametrize(
    "text",
    [
        'amount = { as = "number", missing = ["N/A"], null = { default = 0 }, invalid = { correct = "tenant.name" } }',
        "amount = { up = \"case when s.amount ~ '^x' then 1 end\" }",
        'amount = { up = "(select max(n) from generate_series(1, 3) as g (n))" }',
        'extra = { as = "json_ids", ids = { "rows[*].id" = "notes", "a.b[*][*]" = "members" }, stale = "drop" }',
        'share = { from = "amount", as = "percent", null = { default = 0.5 } }',
        'ok = { from = "size" }',
        'flags = { up = "array[s.title]" }',
        'status = { from = "state", map = { "1" = "open" }, invalid = { default = "closed" } }',
        'mark = { from = "title", null = { default = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" } }',
        'made_at = { as = "local_time", zone = "Europe/Berlin" }',
        'made_at = { from = "seen_at", as = "utc" }',
        'title = { python = { up = "my_app.text:up", down = "my_app.text:down" } }',
        'extra = { up = "to_jsonb(s)" }',
    ],
)
def test_a_right_rule_is_taken(tmp_path: Path, text: str) -> None:
    name = text.split(" ", maxsplit=1)[0]
    lines = [line for line in MANIFEST.split("\n") if not line.startswith(f"{name} = {{")]
    resolved(tmp_path, "\n".join(lines).replace("# more", text))


# -- one wrong thing at a time --------------------------------------------------------------------------------------------

MODEL = (
    case("an unknown section", "[ids]", "[idz]", "idz", "unknown key; did you mean 'ids'?"),
    case("an unknown key", 'active = "is_open"', 'actve = "is_open"', "tenant.actve", "unknown key; did you mean 'active'?"),
    case("a key of the code, not of the file", 'email = { as =', 'email = { transform =',
         "tables.persons.columns.email.transform", "unknown key; known here: from, ref, as, zone"),
    case("an unknown key of a table called as a key", "[tables.orgs]\n", "[tables.columns]\nfrm = 1\n[tables.orgs]\n",
         "tables.columns.frm", "did you mean 'from'?", at="frm = 1",
         and_=(('[[rules]]', '[tables.columns.access]\nselect = "super"\ninsert = "super"\nupdate = "super"\ndelete = "super"\n[[rules]]'),)),
    case("a missing key", 'namespace = "app"', "", "ids.namespace", "is missing", at="[ids]"),
    case("a missing cell", 'insert = "super", ', "", "tables.orgs.access.insert", "is missing",
         at='access = { select = "guest", update'),
    case("a table without access", 'access = { select = "guest", insert = "super", update = "boss", delete = "super" }', "",
         "tables.orgs.access", "is missing", at="[tables.orgs]"),
    case("a text where a list belongs", 'files = ["*.sql"]', 'files = "*.sql"', "target.files", 'must be a list: ["…"]'),
    case("a number where a text belongs", 'schema = "old"', "schema = 5", "source.schema", "must be a text"),
    case("a text where a table belongs", '[tables.orgs]\nfrom = "orgs"', '[tables]\norgs = "orgs"\n[tables.zzz]\nfrom = "orgs"',
         "tables.orgs", "must be a table", at='orgs = "orgs"'),
    case("an empty name", 'schema = "old"', 'schema = ""', "source.schema", "must not be empty"),
    case("an empty expression", 'active = "is_open"', 'active = ""', "tenant.active", "must not be empty"),
    case("an unknown treatment", 'empty = "quarantine"', 'empty = "quarantin"', "tables.persons.columns.email.empty",
         "'quarantin' is not one of carry, quarantine", "did you mean 'quarantine'?"),
    case("an unknown key of a treatment", 'empty = "quarantine"', "empty = { defualt = 0 }",
         "tables.persons.columns.email.empty.defualt", "did you mean 'default'?"),
    case("a treatment of another kind", 'empty = "quarantine"', "empty = 5", "tables.persons.columns.email.empty",
         "must be one of carry, quarantine"),
    case("a default that is no value", 'empty = "quarantine"', "empty = { default = [1] }",
         "tables.persons.columns.email.empty.default", "must be a text, a number, true or false"),
    case("a default that is no number", 'empty = "quarantine"', "empty = { default = nan }",
         "tables.persons.columns.email.empty.default", "must be a text, a number, true or false"),
    case("an unknown key of a cell", 'own = "id" }, insert', 'ownn = "id" }, insert', "tables.persons.access.select.ownn",
         "did you mean 'own'?", at="access = { select = { colleagues"),
    case("a cell of another kind", 'select = "staff"', "select = 1", "tables.members.access.select", "must be a text"),
    case("roles twice", '"staff", "boss"]', '"staff", "staff"]', "roles.order", "each once"),
    case("a role with a meaning of its own", '"staff", "boss"]', '"staff", "super"]', "roles.order", "'super' is a reserved word"),
    case("no part of a merge", 'by = ["title"]', "by = []", "tables.notes.merge.by", "name at least one target column"),
    case("two ways to a value", 'as = "number" }', 'as = "number", up = "1" }', "tables.notes.columns.amount",
         "as and up exclude each other"),
    case("down without up", 'as = "number" }', 'as = "number", down = "1" }', "tables.notes.columns.amount", "down needs up"),
    case("a treatment that up passes over", 'down = "t.title" }', 'down = "t.title", empty = "carry" }',
         "tables.notes.columns.title", "empty has no effect together with up"),
    case("treatments that ref passes over", 'ref = "members" }', 'ref = "members", null = "carry", invalid = "quarantine" }',
         "tables.notes.columns.author_id", "null and invalid have no effect together with ref"),
    case("an empty map", 'map = { user = "guest", admin = "boss" }', "map = {}", "tables.members.columns.level", "map is empty"),
    case("a function without its module", 'as = "number" }', 'python = { up = "up", down = "m:down" } }',
         "tables.notes.columns.amount.python.up", '"package.module:function"'),
    case("sources beside from", "# more\n", '# more\n[tables.notes.sources.a]\nfrom = "notes"\n', "tables.notes",
         "into each source", at="[tables.notes]"),
    case("columns without from", 'from = "notes"\n', "", "tables.notes", "tenant, columns and merge say how", at="[tables.notes]"),
    case("part without from", 'from = "orgs"\naccess', 'part = "x"\naccess', "tables.orgs", "part says how", at="[tables.orgs]"),
    case("kept ids of a part", 'part = "membership"', 'part = "membership"\nids = "keep"', "tables.members", "one source and without part",
         at="[tables.members]"),
    case("a part that is no word", 'part = "membership"', 'part = "a/b"', "tables.members.part", "must be a word"),
    case("the part of accounts", 'part = "membership"', 'part = "account"', "tables.members.part", "choose another word"),
    case("a namespace with a control character", 'namespace = "app"', 'namespace = "a\\u001f"', "ids.namespace", "printable"),
    case("an arrow to nowhere", 'tenant = ["org_id"]', 'tenant = ["org_id ->"]', "tables.members.tenant[0]",
         '"column -> target table"'),
    case("NUL", 'namespace = "app"', 'namespace = "a\\u0000"', "ids.namespace", "NUL character"),
    case("source and target in one schema", 'schema = "app"', 'schema = "old"', "target.schema", "schema name of its own",
         at='schema = "old" # target', and_=(('files = ["*', '# target\nfiles = ["*'),)),
    case("a schema that is taken", 'schema = "app"', 'schema = "tenantry"', "target.schema", "is taken"),
    case("no files", 'files = ["*.sql"]', "files = []", "target.files", "name the SQL files"),
    case("an absolute pattern", '"*.sql"', '"/tmp/*.sql"', "target.files[0]", "next to the manifest"),
    case("an empty pattern", '"*.sql"', '""', "target.files[0]", "next to the manifest"),
)  # fmt: skip


@pytest.mark.parametrize("want", MODEL, ids=str)
def test_model_errors_name_their_place(tmp_path: Path, want: Case) -> None:
    text = changed(*want.change)
    if want.name == "source and target in one schema":
        text = text.replace('schema = "old"\n# target', 'schema = "old" # target')
    path = written(tmp_path, text)
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    found = [each for each in caught.value.problems if isinstance(each, Problem)]
    for problem in found:
        assert_reads_well(problem)
    assert_only(found, want, text, path)


TRANSFORMS = (
    case("an unknown transform", 'as = "number"', 'as = "nmber"', "tables.notes.columns.amount.as",
         "'nmber' is not one of boolean, email, integer, json_ids, local_day", "did you mean 'number'?"),
    case("a day without its zone", ', zone = "tenant.time_zone"', "", "tables.notes.columns.day", "needs zone = ",
         at='day = { as = "local_day" }'),
    case("a zone that nobody reads", 'as = "number" }', 'as = "number", zone = "UTC" }', "tables.notes.columns.amount",
         "zone belongs to"),
    case("ids without json_ids", 'as = "number" }', 'ids = { a = "notes" } }', "tables.notes.columns.amount", "ids belongs to"),
    case("json_ids without ids", 'as = "number" }', 'as = "json_ids" }', "tables.notes.columns.amount", "needs ids"),
    case("stale without json_ids", 'as = "number" }', 'as = "number", stale = "drop" }', "tables.notes.columns.amount",
         "stale belongs to"),
    case("a transform without a name", 'as = "number"', 'as = ""', "tables.notes.columns.amount.as", "'' is not one of boolean"),
    *(case(f"a path of ids: {path}", 'as = "number" }', f'as = "json_ids", ids = {{ "{path}" = "notes" }} }}',
           "tables.notes.columns.amount", "is not a path; write keys with dots, [*] for lists and * for members")
      for path in ("$.a", "[*]id", "a..b", "a[0]", "a[*", "a.b-c", ".a", "a.", "a b", "")),
    case("a pattern without a group", 'as = "number" }', """as = "text_ids", ids = { '/notes/' = "notes" } }""",
         "tables.notes.columns.amount", "'/notes/' has no groups for ids, but 1 target table"),
    case("a pattern that is none", 'as = "number" }', """as = "text_ids", ids = { '(' = "notes" } }""",
         "tables.notes.columns.amount", "'(' is not a regular expression"),
    case("two tables of one path", 'as = "number" }', 'as = "json_ids", ids = { a = ["notes", "members"] } }',
         "tables.notes.columns.amount", "'a' leads to one table"),
    case("a pair without its type", 'as = "number" }', 'as = "polymorphic", ids = { a = "notes" } }', "tables.notes.columns.amount",
         "needs type"),
    case("treatments that json_ids passes over", 'as = "number" }', 'as = "json_ids", ids = { a = "notes" }, empty = "carry" }',
         "tables.notes.columns.amount", 'empty has no effect together with as = "json_ids"'),
    case("a zone beside a map", 'map = { user = "guest", admin = "boss" }', 'map = { user = "guest" }, zone = "UTC"',
         "tables.members.columns.level", "zone belongs to as = \"local_day\" and as = \"local_time\""),
    case("a transform of one of several sources", 'amount = { as = "number" }', "", "tables.notes.sources.a.columns.amount.as",
         "did you mean 'number'?", at='amount = { as = "nmber" }', and_=(
             ('from = "notes"\ntenant = ["author_id -> members", "org_id"]\n', ""),
             ("[tables.notes.columns]", '[tables.notes.sources.a]\nfrom = "notes"\ntenant = ["org_id"]\n'
              '[tables.notes.sources.a.columns]\namount = { as = "nmber" }'))),
)  # fmt: skip

NAMES = (
    case("an unknown tenant table", 'table = "orgs"', 'table = "org"', "tenant.table",
         "the target schema app has no table 'org'; did you mean 'orgs'?"),
    case("an unknown tenant column", 'column = "org_id"', 'column = "orgid"', "tenant.column",
         "members has no column 'orgid'; did you mean 'org_id'?"),
    case("an unknown membership table", 'table = "members"', 'table = "membrs"', "membership.table", "did you mean 'members'?"),
    case("an unknown membership column", 'profile = "person_id"', 'profile = "persn_id"', "membership.profile",
         "did you mean 'person_id'?"),
    case("a role that is no label", '"staff", "boss"]', '"staf", "boss"]', "roles.order[1]",
         "'staf' is not a value of members.level; did you mean 'staff'?"),
    case("a role that is no label, on its own line", '["guest", "staff", "boss"]', '[\n  "guest",\n  "staf",\n  "boss"]',
         "roles.order[1]", "did you mean 'staff'?", at='"staf"'),
    case("an unknown users table", 'from = "people"\nemail', 'from = "peple"\nemail', "users.from",
         "the source schema old has no table 'peple'; did you mean 'people'?"),
    case("an unknown e-mail column", 'email = "email"', 'email = "emial"', "users.email", "did you mean 'email'?"),
    case("an unknown account column", 'account = "account_id"', 'account = "acount_id"', "users.account",
         "did you mean 'account_id'?"),
    case("an unknown super column", '"s.is_root"', '"s.isroot"', "users.super", "people has no column 'isroot'",
         "did you mean 'is_root'?"),
    case("a super column without its alias", '"s.is_root"', '"is_root"', "users.super", "write s.is_root for the column of people"),
    case("an unknown secret", '["token"]', '["tokn"]', "source.secrets.people[0]", "did you mean 'token'?"),
    case("secrets of an unknown table", 'people = ["token"]', 'peopel = ["token"]', "source.secrets.peopel",
         "did you mean 'people'?"),
    case("an unknown table to ignore", '["migrations"]', '["migrations", "migratons"]', "source.ignore[1]",
         "did you mean 'migrations'?"),
    case("a condition over an unknown column", 'active = "is_open"', 'active = "is_opn"', "tenant.active",
         "orgs has no column 'is_opn'", "did you mean 'is_open'?"),
    case("a condition with a table's name", 'active = "is_open"', 'active = "orgs.is_open"', "tenant.active",
         "here columns are written without a table's name"),
    case("a rule that is no query", "select id from notes where title = ''", "selec id", "rules[0].sql", "this is not an SQL query"),
    case("a rule that writes", "select id from notes where title = ''", "delete from notes", "rules[0].sql", "must be one SELECT"),
    case("a rule of two queries", "select id from notes where title = ''", "select 1; select 2", "rules[0].sql", "one SELECT"),
)  # fmt: skip


def extra_target() -> Catalog:
    return replace(TARGET, tables=(*TARGET.tables, table("app", "extra", *IDS)))


@pytest.mark.parametrize("want", [*TRANSFORMS, *NAMES, *TABLES, *COLUMNS], ids=str)
def test_resolution_names_the_place_of_what_does_not_fit(tmp_path: Path, want: Case) -> None:
    text = changed(*want.change)
    target = extra_target() if "is not decided" in want.name else TARGET
    assert_only(problems(tmp_path, text, target=target), want, text, tmp_path / "tenantry.toml")


def test_a_required_column_without_a_source_is_asked_for(tmp_path: Path) -> None:
    text = changed(('title = { up = "upper(s.title)", down = "t.title" }\n', ""))
    source = Catalog("old", server_version=180000, tables=tuple(
        replace(each, columns=tuple(c if c.name != "title" else replace(c, name="headline") for c in each.columns))
        for each in SOURCE_WITHOUT_HEAP.tables
    ))  # fmt: skip
    (problem,) = problems(tmp_path, text, source)
    assert problem.key == "tables.notes.columns.title"
    assert "notes has no column 'title', and notes.title is NOT NULL without a default" in problem.message
    assert text.split("\n")[problem.line - 1] == "[tables.notes.columns]"


def test_a_source_table_without_a_key_is_refused_with_what_to_do(tmp_path: Path) -> None:
    text = changed(("# more\n", '# more\n[tables.heap]\nfrom = "heap"\naccess = { select = "super", insert = "super",'
                   ' update = "super", delete = "super" }\n'))  # fmt: skip
    target = replace(TARGET, tables=(*TARGET.tables, table("app", "heap", *IDS, column("line", "text"))))
    (problem,) = problems(tmp_path, text, SOURCE, target)
    assert (problem.key, text.split("\n")[problem.line - 1]) == ("tables.heap.from", 'from = "heap"')
    assert "neither a primary key nor a unique key over columns that are never null" in problem.message
    assert "ALTER TABLE heap ADD PRIMARY KEY (…)" in problem.message


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (column("id", "uuid"), "the target table notes has no column id; every table with a source needs id uuid"),
        (column("legacy_id", "text"), "the target table notes has no column legacy_id"),
    ],
)
def test_a_target_table_needs_its_columns_of_ids(tmp_path: Path, lost: Column, words: str) -> None:
    def without(columns: tuple[Column, ...]) -> tuple[Column, ...]:
        return tuple(each for each in columns if each.name != lost.name)

    target = replace(TARGET, tables=tuple(
        replace(each, columns=without(each.columns)) if each.name == "notes" else each for each in TARGET.tables
    ))  # fmt: skip
    (problem,) = problems(tmp_path, MANIFEST, target=target)
    assert words in problem.message
    assert problem.key == "tables.notes"


def test_no_word_on_the_tenant_is_asked_for_once(tmp_path: Path) -> None:
    source = replace(SOURCE_WITHOUT_HEAP, tables=tuple(
        replace(each, constraints=tuple(c for c in each.constraints if c.kind == "primary")) if each.name == "notes" else each
        for each in SOURCE_WITHOUT_HEAP.tables
    ))  # fmt: skip
    (problem,) = problems(tmp_path, changed(('tenant = ["author_id -> members", "org_id"]\n', "")), source)
    assert problem.key == "tables.notes.tenant"
    assert "how do rows of notes reach their tenant?" in problem.message


def test_two_tables_may_not_share_source_and_part(tmp_path: Path) -> None:
    text = changed(("# more\n", '# more\n[tables.extra]\nfrom = "people"\npart = "membership" # again\naccess = { select ='
                   ' "super", insert = "super", update = "super", delete = "super" }\n'))  # fmt: skip
    (problem,) = problems(tmp_path, text, target=extra_target())
    assert (problem.key, "again" in text.split("\n")[problem.line - 1]) == ("tables.extra.part", True)
    assert "people has a part 'membership' already, in members" in problem.message


def test_patterns_without_files_are_reported_with_their_lines(tmp_path: Path) -> None:
    text = changed(('files = ["*.sql"]', 'files = [\n  "*.sql",\n  "none/*.sql",\n  "no.sql",\n]'))
    found = problems(tmp_path, text)
    lines = text.split("\n")
    assert [lines[problem.line - 1].strip() for problem in found] == ['"none/*.sql",', '"no.sql",']
    assert [problem.key for problem in found] == ["target.files[1]", "target.files[2]"]
    assert "no file matches 'none/*.sql' next to the manifest" in found[0].message
