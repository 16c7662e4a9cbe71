"""A manifest that is right, its catalogs, and cases that make one thing wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tenantry.catalog import Catalog, Column, Constraint, DomainType, EnumType, Table
from tenantry.catalog.table import TypeKind
from tenantry.errors import ManifestError
from tenantry.manifest import Problem, load_manifest
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
