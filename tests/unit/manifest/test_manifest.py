"""What does not fit in a manifest is said with file, line, key and the nearest right name; all of it together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tenantry.catalog import Catalog, Column, Constraint, DomainType, EnumType, Table
from tenantry.catalog.table import TypeKind
from tenantry.errors import ManifestError, SettingsError
from tenantry.manifest import Problem, load_manifest, manifest_digest
from tenantry.mapping import Project, resolve

MANIFEST = """\
name = "app"

[source]
schema = "old"
ignore = ["migrations"]

[source.secrets]
people = ["token"]

[target]
schema = "app"
files = ["*.sql"]

[ids]
namespace = "app"

[tenant]
table = "orgs"
column = "org_id"
active = "is_open"

[membership]
table = "members"
profile = "person_id"
role = "level"

[roles]
order = ["guest", "staff", "boss"]

[users]
from = "people"
email = "email"
profile = "persons"
account = "account_id"
super = "s.is_root"

[tables.orgs]
from = "orgs"
access = { select = "guest", insert = "super", update = "boss", delete = "super" }

[tables.persons]
from = "people"
access = { select = { colleagues = "staff", own = "id" }, insert = "service", update = { own = "id" }, delete = "service" }

[tables.persons.columns]
email = { as = "email", empty = "quarantine" }

[tables.members]
from = "people"
part = "membership"
tenant = ["org_id"]
access = { select = "staff", insert = "service", update = "service", delete = "service" }

[tables.members.columns]
person_id = { from = "id", ref = "persons" }
level = { from = "role", map = { user = "guest", admin = "boss" } }

[tables.notes]
from = "notes"
tenant = ["author_id -> members", "org_id"]
merge = { by = ["title"], keep = "updated_at desc", reason = "twice" }
access = { select = "guest", insert = "staff", update = "staff", delete = "boss" }

[tables.notes.columns]
title = { up = "upper(s.title)", down = "t.title" }
amount = { as = "number" }
day = { as = "local_day", zone = "tenant.time_zone" }
status = { from = "state" }
author_id = { ref = "members" }
# more

[[rules]]
name = "no note without a title"
sql = "select id from notes where title = ''"
"""


def column(name: str, kind: str, *, null: bool = True, user: TypeKind | None = None) -> Column:
    if user is None:
        return Column(name, kind, "array" if kind.endswith("[]") else "base", nullable=null)
    return Column(name, f"app.{kind}", user, "app", kind, nullable=null)


def table(
    schema: str, name: str, *columns: Column, key: Sequence[str] = ("id",), refs: Sequence[tuple[str, str]] = ()
) -> Table:
    placed = tuple(replace(each, position=place) for place, each in enumerate(columns, start=1))
    keys = [
        Constraint(f"{name}_{col}_fkey", "foreign", (col,), ref_schema=schema, ref_table=parent, ref_columns=("id",))
        for col, parent in refs
    ]
    primary = [Constraint(f"{name}_pkey", "primary", tuple(key))] if key else []
    return Table(schema, name, columns=placed, constraints=(*primary, *keys))


SOURCE = Catalog(
    "old",
    server_version=180000,
    tables=(
        table(
            "old",
            "orgs",
            column("id", "text", null=False),
            column("name", "text", null=False),
            column("time_zone", "text"),
        ),
        table(
            *("old", "people"),
            *(
                column("id", "text", null=False),
                column("email", "text"),
                column("role", "text"),
                column("token", "text"),
            ),
            *(column("org_id", "text"), column("is_root", "boolean")),
            refs=[("org_id", "orgs")],
        ),
        table(
            *("old", "notes"),
            *(
                column("id", "text", null=False),
                column("title", "text"),
                column("amount", "text"),
                column("state", "text"),
            ),
            *(column("day", "timestamp(3) without time zone"), column("made_at", "timestamp(3) without time zone")),
            *(
                column("author_id", "text"),
                column("org_id", "text"),
                column("size", "integer"),
                column("extra", "jsonb"),
            ),
            *(column("flags", "text[]"), column("seen_at", "timestamp with time zone"), column("mark", "uuid")),
            refs=[("org_id", "orgs"), ("author_id", "people")],
        ),
        table("old", "migrations", column("id", "text", null=False)),
        table("old", "heap", column("line", "text"), key=()),
    ),
)
IDS = (column("id", "uuid", null=False), column("legacy_id", "text", null=False))
TENANT = column("org_id", "uuid", null=False)
TARGET = Catalog(
    "app",
    server_version=180000,
    enums=(EnumType("app", "level", ("guest", "staff", "boss")), EnumType("app", "status", ("open", "closed"))),
    domains=(DomainType("app", "share", "numeric(5,4)"),),
    tables=(
        table(
            "app",
            "orgs",
            *IDS,
            column("name", "text", null=False),
            column("time_zone", "text"),
            column("is_open", "boolean"),
        ),
        table("app", "persons", *IDS, column("email", "text"), column("account_id", "uuid")),
        table(
            *("app", "members"),
            *(*IDS, TENANT, column("person_id", "uuid", null=False), column("level", "level", null=False, user="enum")),
            key=("org_id", "id"),
        ),
        table(
            *("app", "notes"),
            *(*IDS, TENANT, column("title", "character varying(20)", null=False), column("amount", "numeric(14,2)")),
            *(column("day", "date"), column("status", "status", user="enum"), column("author_id", "uuid")),
            *(column("made_at", "timestamp with time zone"), column("size", "bigint"), column("extra", "jsonb")),
            *(column("share", "share", user="domain"), column("mark", "uuid"), column("ok", "boolean")),
            *(column("updated_at", "timestamp with time zone"), column("flags", "text[]")),
            replace(column("length", "integer"), generated="length(title)", generated_kind="stored"),
            key=("org_id", "id"),
        ),
    ),
)
# The heap is there for the tests of tables without a key.
SOURCE_WITHOUT_HEAP = replace(SOURCE, tables=tuple(each for each in SOURCE.tables if each.name != "heap"))


@dataclass(frozen=True)
class Case:
    """A change of the manifest, and the one problem that it makes: where, under which key, in which words."""

    name: str
    change: tuple[tuple[str, str], ...]
    at: str
    key: str
    says: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


def case(
    name: str, old: str, new: str, key: str, *says: str, at: str = "", and_: tuple[tuple[str, str], ...] = ()
) -> Case:
    """`at` is a piece of the line that the problem shall name; without it the change itself."""
    return Case(name, ((old, new), *and_), at or new.strip().split("\n")[0], key, says)


NOTE = "# more\n"
"""Where further column rules of notes go."""


def rule(name: str, text: str, key: str, *says: str, **more: str) -> Case:
    """A further rule of a column of notes."""
    found = re.match(r"\w+", text)
    assert found is not None
    return case(name, NOTE, f"{text}\n{NOTE}", f"tables.notes.columns.{found[0]}{key}", *says, **more)  # type: ignore[arg-type]


def written(folder: Path, text: str | bytes) -> Path:
    folder.joinpath("app.sql").write_text("create table orgs ();", encoding="utf-8")
    path = folder / "tenantry.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def changed(*changes: tuple[str, str]) -> str:
    text = MANIFEST
    for old, new in changes:
        assert text.count(old) == 1, (text.count(old), old)
        text = text.replace(old, new)
    return text


def resolved(folder: Path, text: str, source: Catalog = SOURCE_WITHOUT_HEAP, target: Catalog = TARGET) -> Project:
    return resolve(load_manifest(written(folder, text)), source, target)


def problems(folder: Path, text: str, source: Catalog = SOURCE_WITHOUT_HEAP, target: Catalog = TARGET) -> list[Problem]:
    with pytest.raises(ManifestError) as caught:
        resolved(folder, text, source, target)
    found = [problem for problem in caught.value.problems if isinstance(problem, Problem)]
    assert len(found) == len(caught.value.problems)
    for problem in found:
        assert_reads_well(problem)
    return found


JARGON = re.compile(
    r"Input should|Rule\b|Record|[Pp]ydantic|NoneType|\bdict\b|\btuple\b|\bstr\b|Extra inputs|Field required|Traceback"
    r"|Errno|codec|Union|<(?:word|default|correct|role|own|colleagues)>|None\b|\bliteral\b|discriminator",
)


def assert_reads_well(problem: Problem) -> None:
    assert not JARGON.search(problem.message), problem.message
    assert problem.message == problem.message.strip()
    assert not problem.message.endswith((".", ";", ",", ":"))
    assert "; ;" not in problem.message
    assert "  " not in problem.message
    assert str(problem).startswith(f"{problem.file}:{problem.line}: ")


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

TABLES = (
    case("an unknown target table", "[tables.orgs]", "[tables.zebra]\naccess = { select = \"super\", insert = \"super\","
         " update = \"super\", delete = \"super\" }\n[tables.orgs]", "tables.zebra", "has no table 'zebra'"),
    case("an unknown source table", 'from = "notes"', 'from = "notez"', "tables.notes.from", "did you mean 'notes'?",
         and_=(('["migrations"]', '["migrations", "notes"]'),)),
    case("a target table that is not decided", "[tables.orgs]", "[tables.orgs]", "tables", "the target table extra is not decided",
         at="[tables.orgs]"),
    case("a source table that is not carried over", 'ignore = ["migrations"]', "", "source",
         "the source table migrations is not migrated", at="[source]"),
    case("two target tables of one source", 'part = "membership"\n', "", "tables.members.from",
         "people is already migrated into persons ; give this one a part", at='from = "people" # members',
         and_=(('[tables.members]\nfrom = "people"', '[tables.members]\nfrom = "people" # members'),)),
    case("kept ids of the tenants", 'from = "orgs"\naccess', 'from = "orgs"\nids = "keep"\naccess', "tables.orgs.ids",
         "known by uuids to every access rule", at='ids = "keep"'),
    case("ids that do not fit", 'from = "notes"\n', 'from = "notes"\nids = "keep"\n', "tables.notes.ids",
         "notes has id uuid, which cannot hold the ids of notes, id text", at='ids = "keep"'),
    case("a role that is none", 'select = "staff"', 'select = "staf"', "tables.members.access.select",
         "'staf' is not a role; did you mean 'staff'?"),
    case("a tenant's role where there is no tenant", 'insert = "service", update = { own', 'insert = "boss", update = { own',
         "tables.persons.access.insert", "'boss' is a role in a tenant, but persons has no org_id", at="access = { select = { coll"),
    case("own rows without a role", 'select = "staff"', 'select = { own = "person_id" }', "tables.members.access.select",
         "also need the least role"),
    case("an unknown own column", 'update = { own = "id" }', 'update = { own = "idd" }', "tables.persons.access.update",
         "did you mean 'id'?", at="access = { select = { coll"),
    case("an unknown table behind own", 'select = "staff"', 'select = { own = "person_id -> person", role = "staff" }',
         "tables.members.access.select", "did you mean 'persons'?"),
    case("an unknown hidden column", 'delete = "boss" }', 'delete = "boss", hidden = ["tilte"] }', "tables.notes.access.hidden[0]",
         "did you mean 'title'?"),
    case("an unknown column of a merge", 'by = ["title"]', 'by = ["tilte"]', "tables.notes.merge.by[0]", "did you mean 'title'?"),
    case("an order that is no SQL", '"updated_at desc"', '"updated_at downwards"', "tables.notes.merge.keep",
         "is not an SQL expression"),
    case("an order over an unknown column", '"updated_at desc"', '"updatd_at desc"', "tables.notes.merge.keep",
         "did you mean 'updated_at'?"),
    case("an order with a limit", '"updated_at desc"', '"updated_at limit 1"', "tables.notes.merge.keep", "must be one SQL expression"),
    case("no way to the tenant", 'tenant = ["author_id -> members", "org_id"]', 'tenant = ["title"]', "tables.notes.tenant[0]",
         "notes.title has no foreign key; say where it leads"),
    case("an unknown column to the tenant", '"org_id"]\nmerge', '"orgid"]\nmerge', "tables.notes.tenant[1]",
         "notes has no column 'orgid'; did you mean 'org_id'?"),
    case("a way to a table without tenants", '"author_id -> members"', '"author_id -> persons"', "tables.notes.tenant[0]",
         "persons has no org_id, so author_id does not lead to a tenant"),
    case("a way to an unknown table", '"author_id -> members"', '"author_id -> membrs"', "tables.notes.tenant[0]",
         "did you mean 'members'?"),
    case("a way from the tenant table itself", '[tables.orgs]\nfrom = "orgs"', '[tables.orgs]\nfrom = "orgs"\ntenant = ["id"]',
         "tables.orgs.tenant", "orgs is the tenant table", at='tenant = ["id"]'),
    case("a condition that is no SQL", 'tenant = ["org_id"]', 'tenant = ["org_id"]\nwhere = "s.role ="', "tables.members.where",
         "is not an SQL expression", at='where = "s.role ="'),
    case("merge with several sources",
         'from = "notes"\ntenant = ["author_id -> members", "org_id"]\n',
         "", "tables.notes.merge", "merge works for a table with one from, not with [sources]", at="merge = {",
         and_=(("[tables.notes.columns]", '[tables.notes.sources.a]\nfrom = "notes"\ntenant = ["org_id"]\n[tables.notes.sources.a.columns]'),
               ('"members" }\n# more', '"members" }'))),
)  # fmt: skip

COLUMNS = (
    rule("an unknown target column", 'sizee = { from = "size" }', "", "notes has no column 'sizee'; did you mean 'size'?"),
    rule("an unknown source column", 'size = { from = "sice" }', ".from", "notes has no column 'sice'; did you mean 'size'?"),
    rule("no source column of that name", "ok = { null = \"carry\" }", "", "notes has no column 'ok'; say where it comes from"),
    rule("an unknown reference", 'mark = { from = "author_id", ref = "membrs" }', ".ref", "did you mean 'members'?"),
    rule("a reference in a column that holds no id", 'size = { from = "author_id", ref = "members" }', "",
         "notes.size is bigint, but holds ids of members, which are uuid"),
    rule("a number of a number", 'size = { as = "number" }', ".as", "'number' reads text, but size is integer"),
    rule("a number into a flag", 'ok = { from = "title", as = "money" }', ".as", "'money' gives a number, but ok is boolean"),
    rule("a flag into a number", 'size = { from = "title", as = "boolean" }', ".as", "'boolean' gives true or false, but size is bigint"),
    rule("an address into a number", 'size = { from = "title", as = "email" }', ".as", "'email' gives text"),
    rule("a day of a text", 'made_at = { from = "title", as = "utc" }', ".as", "'utc' reads a date or timestamp, but title is text"),
    rule("a day into an instant", 'made_at = { as = "local_day", zone = "UTC" }', ".as", "'local_day' gives a date"),
    rule("a wall clock of an instant", 'made_at = { from = "seen_at", as = "local_time", zone = "UTC" }', ".as",
         "is an instant already"),
    rule("ids in a number", 'extra = { from = "size", as = "json_ids", ids = { a = "notes" } }', ".as", "'json_ids' reads JSON"),
    rule("a pair without its column", 'mark = { from = "title", as = "polymorphic", type = "kin", ids = { a = "notes" } }', ".type",
         "has no column 'kin'"),
    rule("ids of an unknown table", 'extra = { as = "json_ids", ids = { a = "note" } }', ".ids.a", "did you mean 'notes'?"),
    rule("a zone that is none", 'made_at = { as = "local_time", zone = "Europe/Berln" }', ".zone",
         "'Europe/Berln' is not a time zone; did you mean 'Europe/Berlin'?"),
    rule("an unknown column of the zone", 'made_at = { as = "local_time", zone = "tenant.timezone" }', ".zone",
         "orgs has no column 'timezone'; did you mean 'time_zone'?"),
    rule("an expression that is no SQL", 'size = { up = "s.size +" }', ".up", "'s.size +' is not an SQL expression: syntax error"),
    rule("an expression over an unknown column", 'size = { up = "s.sice + 1" }', ".up",
         "'s.sice + 1' names s.sice, but notes has no column 'sice'; did you mean 'size'?"),
    rule("an expression without its alias", 'size = { up = "size + 1" }', ".up", "write s.size"),
    rule("an expression over another table", 'size = { up = "people.size" }', ".up", "only s and tenant can be named here"),
    rule("an expression of two values", 'size = { up = "1, 2" }', ".up", "must be one SQL expression"),
    rule("an expression of two statements", 'size = { up = "1; drop table notes" }', ".up", "must be one SQL expression"),
    rule("an expression with FROM", 'size = { up = "count(*) from notes" }', ".up", "without FROM or WHERE"),
    rule("an expression with a comment after it", 'size = { up = "1 -- one" }', ".up", "no alias, LIMIT or comment after it"),
    rule("an expression with an alias", 'size = { up = "1 as one" }', ".up", "no alias, LIMIT or comment after it"),
    rule("an expression that closes a parenthesis", 'size = { up = "1) + (2" }', ".up", "is not an SQL expression"),
    rule("an expression of all columns", 'size = { up = "s.*" }', ".up", "must be one value, not all columns"),
    rule("a way back over an unknown column", 'size = { up = "s.size", down = "t.sice" }', ".down", "did you mean 'size'?"),
    rule("a way back over the source", 'size = { up = "s.size", down = "s.size" }', ".down", "only t can be named here"),
    rule("a label that is none", 'level_ = { from = "state" }', "", "has no column 'level_'"),
    rule("a default that is no number", 'size = { null = { default = "many" } }', ".null.default", "'many' does not fit bigint"),
    rule("a default that is too large", 'size = { null = { default = 9223372036854775808 } }', ".null.default", "does not fit bigint"),
    rule("a default of a domain", 'share = { from = "amount", as = "number", invalid = { default = 12 } }', ".invalid.default",
         "12 does not fit numeric(5,4)"),
    rule("a correction over an unknown column", 'size = { null = { correct = "s.sice" } }', ".null.correct", "did you mean 'size'?"),
    rule("an empty number", 'size = { empty = "carry" }', ".empty", "only text can be empty or mean a missing value"),
    rule("a word for a missing number", 'size = { missing = ["-"] }', ".missing", "only text can be empty"),
    rule("types without a cast", 'mark = { from = "size" }', "", "size is integer and mark is uuid, with no cast between them"),
    rule("a list into a value", 'mark = { from = "flags" }', "", "with no cast between them"),
    rule("a rule for the id", 'id = { from = "mark" }', "", "Tenantry derives row ids", "take this rule out"),
    rule("a rule for the tenant", 'org_id = { from = "org_id" }', "", "the tenant is found along tenant"),
    rule("a rule for a generated column", 'length = { from = "size" }', "", "is a generated column"),
    case("carry into NOT NULL", 'down = "t.title" }', 'down = "t.title" }\n# here', "tables.members.columns.level.null",
         'members.level is NOT NULL: null = "carry" cannot be; use "quarantine"', at="level = { from",
         and_=(('admin = "boss" } }', 'admin = "boss" }, null = "carry" }'),)),
    case("carry of an invalid value into NOT NULL", 'admin = "boss" } }', 'admin = "boss" }, invalid = "carry" }',
         "tables.members.columns.level.invalid", "is NOT NULL", at="level = { from"),
    case("a label of a map", 'admin = "boss" }', 'admin = "bos" }', "tables.members.columns.level.map.admin",
         "'bos' is not a value of app.level; did you mean 'boss'?"),
    case("a label of a default", 'status = { from = "state" }', 'status = { from = "state", invalid = { default = "opne" } }',
         "tables.notes.columns.status.invalid.default", "'opne' is not a value of app.status; did you mean 'open'?"),
    case("a text that is too long", 'title = { up = "upper(s.title)", down = "t.title" }',
         'title = { null = { default = "a text of more than twenty characters" } }', "tables.notes.columns.title.null.default",
         "does not fit character varying(20)"),
    case("a day that a cast would cut", 'day = { as = "local_day", zone = "tenant.time_zone" }', 'day = { from = "day" }',
         "tables.notes.columns.day", "a cast would drop part of the value"),
    case("the tenant's zone where there is no tenant", "email = { as", 'email = { up = "tenant.name" }\nlegacy = { as',
         "tables.persons.columns.email.up", "only s can be named here",
         and_=(('legacy = { as = "email", empty = "quarantine" }', ""),)),
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
