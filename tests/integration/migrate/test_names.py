"""No name that PostgreSQL allows may meet a name of ours.

The words are taken from the SQL of the package itself, whatever it says today: all of them become columns of tables that are
called like steps, functions and temporary tables of ours, and the tables go there, back, and there again.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tenantry
from tenantry.postgres import ident, idents, literal
from tests.small import MIGRATOR, MakeSmall, Small, accounting_of, target_table

ROOT = Path(tenantry.__file__).parent
PARTS = (
    "access", "accounts", "analyze", "auth_admin", "catalog", "derivation", "ids", "journal", "mapping", "migrate", "plan", "report",
    "statements",
)  # fmt: skip
SQL = re.compile(r"\b(select|insert|update|delete|join|from|where|create|alter|drop|union|returning|as|on)\b")
WORD = re.compile(r"(?<![A-Za-z0-9_])[a-z_][a-z0-9_]*")
PROSE = re.compile(r"^[A-Z]|\b(the|an|are|was|were|does|this|its|it|they|which|cannot|been|whose)\b")
"""Messages and descriptions, which have words in common with SQL; no statement is made of their words."""
TAKEN = {
    *("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"),  # the server's
    *(
        "id",
        "legacy_id",
        "org_id",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
    ),  # the target's, which mean something
}
TABLES = (
    "accounts", "capture", "target", "link_accounts", "catch_up", "born_here", "closure", "in_step", "rules", "catalog", "ids",
    "references", "schema", "derived", "tenants", "s", "t", "tenant", "tenantry_entry", "tenantry_new_0", "tenantry_batch", "excluded",
)  # fmt: skip
ODD = (
    "%s", "%", "100%", "%(key)s", "{n}", "{key}", "$1", "a;b", "a:b", "a.b", 'say "so"', "it's", "back\\slash", "two\nlines", "*/", "/*",
    "--", " blank ", "Größe", "名前", "/* key range */ true", "__key", "__row", "__problems", "__f0", "__1_key", "t_s", "r_s", "k0", "v0",
    "S", "User", "x" * 63,
)  # fmt: skip
PER_TABLE = 75
PAUSE = ("--max-write-pause", "8")
"""It is names that are tried here, and so many columns take their time on a busy machine."""


@cache
def words() -> tuple[str, ...]:
    """Every word of the SQL in the package: of its files, and of the texts that generate it."""
    found: set[str] = set()
    for part in PARTS:
        for file in (ROOT / part).rglob("*.sql"):
            found |= set(WORD.findall(re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", file.read_text(encoding="utf-8"))))
        for file in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                text = node.value if isinstance(node, ast.Constant) else None
                if isinstance(text, str) and SQL.search(text) and not PROSE.search(text):
                    found |= set(WORD.findall(text))
    return tuple(sorted(found - TAKEN))


@dataclass(frozen=True)
class Named:
    """One table of columns with such names, the same in source and target."""

    name: str
    columns: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        return self.columns[:2] if self.columns[0] == "a" else self.columns[:1]

    def kind(self, place: int) -> str:
        if place < len(self.key):
            return "key"
        return ("text", "trim", "integer", "required", "checked")[place % 5] if place > 3 else "reference"

    def kinds(self, kind: str) -> list[int]:
        return [i for i in range(len(self.columns)) if self.kind(i) == kind]

    def source(self) -> str:
        columns = [
            f"{ident(name)} text" + (" not null" if self.kind(i) == "required" else "")
            for i, name in enumerate(self.columns)
        ]
        rows = [
            ("one", "o1", {"trim": "v", "integer": "7", "reference": None}),
            ("two", "o2", {"trim": " v ", "integer": "8", "reference": None}),
            ("three", "o1", {"trim": "v", "integer": "none", "reference": None}),
            ("four", "o1", {"trim": "v", "integer": "9", "reference": None}),
        ]
        values = ",\n".join(
            f"({literal(org)}, "
            + ", ".join(literal({"key": key, **given}.get(self.kind(i), "v")) for i in range(len(self.columns)))
            + ")"
            for key, org, given in rows
        )
        table = ident(self.name)
        return (
            f'create table {table} (org_id text not null references "Organization" (id), {", ".join(columns)},'
            f" primary key ({idents(self.key)}));\n"
            f"insert into {table} (org_id, {idents(self.columns)}) values\n{values};\n"
        )

    def target(self) -> str:
        types = {"integer": " integer", "required": " text not null", "reference": " uuid"}
        columns = "".join(
            f", {ident(name)}{types.get(self.kind(i), ' text')}"
            for i, name in enumerate(self.columns)
            if self.kind(i) != "key"
        )
        checks = (
            f"constraint {ident(f'{self.name[:40]} check {i}')} check ({ident(name)} <> 'bad')"
            for i, name in enumerate(self.columns)
            if self.kind(i) == "checked" and i < 20
        )
        return target_table(ident(self.name), columns, *checks)

    def manifest(self) -> str:
        quoted = _toml(self.name)
        text = f'[tables.{quoted}]\nfrom = {quoted}\ntenant = ["org_id"]\naccess = "tenant"\n'
        for i, name in enumerate(self.columns):
            if self.kind(i) == "trim":
                text += f'[tables.{quoted}.columns.{_toml(name)}]\nas = "trim"\n'
            elif self.kind(i) == "reference":
                text += f"[tables.{quoted}.columns.{_toml(name)}]\nref = {quoted}\n"
        return text


def _toml(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def named() -> Iterator[Named]:
    columns = (*words(), *ODD)
    tables = [*TABLES, *ODD]
    for number, first in enumerate(range(0, len(columns), PER_TABLE)):
        # The last table takes some columns of the one before, so that it too has columns of each kind.
        begin = min(first, len(columns) - PER_TABLE)
        yield Named(tables[number], columns[begin : begin + PER_TABLE])


def small_of(make: MakeSmall, tables: list[Named]) -> Small:
    return make(
        source="".join(each.source() for each in tables),
        target="".join(each.target() for each in tables),
        tables="\n".join(each.manifest() for each in tables),
    )


def test_a_schema_of_our_own_words_goes_there_and_back_and_there_again(small: MakeSmall) -> None:
    tables = list(named())
    assert len(words()) > 1000
    made = small_of(small, tables)
    made.run("analyze", "--json", code=0)
    made.migrate()
    names = [each.name for each in tables]

    # A tampered row is named with its column, and repaired.
    for each in tables:
        column = each.columns[each.kinds("trim")[0]]
        made.write(
            f"update app.{ident(each.name)} set {ident(column)} = 'other' where legacy_id like '%two%'", user=MIGRATOR
        )
    verified = made.run("verify", "--json", code=1)
    said = accounting_of(verified)
    assert {name: said[name] for name in names} == dict.fromkeys(names, (4, 3, 1))
    assert {
        name for check in verified.json["checks"] for name in {each["table"] for each in check["differences"]}
    } >= set(names)
    made.run("verify", "--repair", code=0)

    before = {each.name: made.rows(f"select to_jsonb(s.*) from {ident(each.name)} s order by 1") for each in tables}
    made.run("cutover", *PAUSE, code=0)
    for each in tables:
        table = f"app.{ident(each.name)}"
        texts = [ident(each.columns[i]) for kind in ("trim", "text", "required") for i in each.kinds(kind)]
        made.as_superuser(
            f"update {table} set {', '.join(f'{name} = $word$new$word$' for name in texts)} where legacy_id like '%one%'",
            f"delete from {table} where legacy_id like '%four%'",
        )
    made.roll_back(*PAUSE)
    for each in tables:
        after = made.rows(f"select to_jsonb(s.*) from {ident(each.name)} s order by 1")
        texts = [each.columns[i] for kind in ("trim", "text", "required") for i in each.kinds(kind)]
        wanted = [
            {**row, **(dict.fromkeys(texts, "new") if row[each.key[0]] == "one" else {})}
            for (row,) in before[each.name]
            if row[each.key[0]] != "four"
        ]
        assert sorted(map(repr, wanted)) == sorted(repr(row) for (row,) in after), each.name
    made.run("cutover", *PAUSE, code=0)
    for each in tables:
        column = ident(each.columns[each.kinds("trim")[0]])
        rows = made.rows(f"select {column} from app.{ident(each.name)} order by legacy_id")
        assert [row[0] for row in rows] == ["new", "v"], each.name


def test_a_name_in_a_list_of_problems_is_printed_verbatim(small: MakeSmall) -> None:
    """Problems of a row stand in one list, with semicolons between, each as reason:name."""
    columns = ["a;b", "a:b", "back\\slash", "\\s", ";", ":", "reference_missing:x;y"]
    made = small(
        source=f'create table odd (id text primary key, org_id text not null references "Organization" (id),'
        f' {", ".join(f"{ident(name)} text" for name in columns)}, "to;o" text, code text);\n'
        "insert into odd (id, org_id, code) values ('empty', 'o1', 'fine');\n"
        f"insert into odd values ('checked', 'o1', {', '.join(['$$v$$'] * len(columns))}, null, 'bad'),"
        f" ('parent', 'o1', {', '.join(['$$v$$'] * len(columns))}, 'nobody', 'fine');",
        target=target_table(
            "odd",
            "".join(f", {ident(name)} text not null" for name in columns) + ', "to;o" uuid, code text',
            'constraint "che;ck:\\" check (code <> $$bad$$)',
        ),
        tables='[tables.odd]\nfrom = "odd"\ntenant = ["org_id"]\naccess = "tenant"\n[tables.odd.columns."to;o"]\nref = "odd"\n',
    )
    findings = json.loads(made.run("analyze", "--json").out)["findings"]
    told = {(each["code"], each["column"]) for each in findings if each["table"] == "odd"}
    assert {("TA-301", "a;b"), ("TA-303", "to;o"), ("TA-305", "che;ck:\\")} <= told
    made.migrate()
    found = {each["source_key"]: each for each in json.loads(made.run("quarantine", "list", "--json").out)["entries"]}
    assert sorted(found["empty"]["problems"]) == sorted(f"value_missing:{name}" for name in columns)
    assert (found["empty"]["reason"], found["empty"]["column"]) == ("value_missing", "a;b")
    assert (found["checked"]["problems"], found["checked"]["column"]) == (["rule_broken:che;ck:\\"], "che;ck:\\")
    assert (found["parent"]["reason"], found["parent"]["column"]) == ("reference_missing", "to;o")


def test_reverse_sql_may_use_names_like_those_of_tenantry(small: MakeSmall) -> None:
    made = small(
        source='create table pairs (id text primary key, org_id text not null references "Organization" (id), said text, key text);'
        "insert into pairs values ('b1', 'o1', 'one two', 'k')",
        section='[source.down.pairs]\nsaid = "concat(t.key, t.legacy, t.__key, t.x, l1.y)"\n',
        target=target_table("firsts", ", key text, legacy text, __key text, x text") + target_table("l1", ", y text"),
        tables="""\
        [tables.firsts]
        from = "pairs"
        tenant = ["org_id"]
        access = "tenant"
        [tables.firsts.columns]
        legacy = { up = "split_part(s.said, ' ', 1)" }
        __key = { up = "null" }
        x = { up = "null" }
        [tables.l1]
        from = "pairs"
        part = "more"
        tenant = ["org_id"]
        access = "tenant"
        columns = { y = { up = "split_part(s.said, ' ', 2)" } }
        """,
    )
    made.migrate()
    made.cut_over()
    made.as_superuser("update app.l1 set y = 'new'", "update app.firsts set x = '-'")
    made.roll_back()
    assert made.rows("select said, key from pairs") == [("kone-new", "k")]


def test_a_membership_table_with_the_name_of_an_internal_block_opens_nothing(small: MakeSmall) -> None:
    """If its columns shadowed the functions' variables, everybody would be a member of every tenant."""
    app = small()
    for old, new in (
        ("[tables.members]", "[tables.context]"),
        ('table = "members"', 'table = "context"'),
        ('profile = "person_id"', 'profile = "caller"'),
        ('role = "role"', 'role = "enough"'),
        ("person_id = {", "caller = {"),
        ("role = { map", 'enough = { from = "role", map'),
    ):
        app.rewrite(old, new)
    target = app.folder / "target.sql"
    text = target.read_text(encoding="utf-8").replace("members", "context").replace("person_id", "caller")
    target.write_text(text.replace("role text not null", "enough text not null"), encoding="utf-8")
    app.migrate()
    app.cut_over()
    app.run("prove", "--part", "matrix", code=0)
