"""The way back, compiled: what brings rows of the source in line with rows of the target. Pure; `migrate.reverse` runs it.

It is compiled for each source table, since a source row may stand in several target tables. Of the mappings that it feeds the
one without a part comes first; rows of the others stand beside that one's row. A source column may be written by several
target columns: the first in order whose row is there has its say, the others follow it.

What is compared is up(source row), derived as the verification does, with the target row; a source column is written only
where these differ, so that a text that means the same stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from tenantry.catalog import Catalog, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.errors import nearest
from tenantry.manifest import casts
from tenantry.manifest.columns import enum_labels, into_column, plain_column
from tenantry.manifest.derive import JOURNAL, Deriver, Reading, mapping_key
from tenantry.manifest.expressions import Expressions, Say
from tenantry.manifest.mapping import LEGACY_ID, ROW_ID, Column, Mapping, Project, Reference, plain_name
from tenantry.manifest.model import Manifest
from tenantry.manifest.transforms import base_type, is_text, text_length
from tenantry.postgres import ident, idents, literal, literals

CHANGED = "pg_temp.tenantry_look"
"""(table_name, legacy_id) of the target's rows to look at."""

_AUDIT = ("created_at", "updated_at", "created_by", "updated_by")
_INTEGERS = ("smallint", "integer", "bigint")
_EQUAL_AS_THEY_ARE = {
    "bigint", "boolean", "bytea", "date", "double precision", "integer", "numeric", "real", "smallint", "uuid",
    "time without time zone", "timestamp with time zone", "timestamp without time zone",
}  # fmt: skip
"""Types of which equal values are the same; of others (30 days are a month, json has no equality) the texts are compared."""

Link = Literal["same", "names", "named"]
"""How a part's row is found: by the same old id; it names the first mapping's row; or that one names it."""

_NULL = "null"
_CONSTANT = re.compile(r"(?i)(-?[0-9.]+|'(?:[^']|'')*'|true|false|null)(::.+)?")

_WAITS = ("its row of ", " is not in the source")

_TEXT = CatalogColumn("key", "text", type_name="text")


@dataclass(frozen=True, slots=True)
class Feed:
    """One way by which a source column gets its value back."""

    column: str
    value: str
    """SQL over the joins of its mapping's rows."""
    asked: str
    """The target column that it comes from; where that differs, the value is to be written."""
    null: Literal["meant", "as there", "never"]
    """When a null is a value, and not the sign that there is no way back: always, where the target has one too, never."""
    rank: int
    python: int | None = None
    parent: str = ""
    """The target table of which a row is meant, that may not be in the source, or not yet."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A source column that is written, with its feeds (mapping, number in that mapping's list), the best first."""

    column: CatalogColumn
    feeds: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Extra:
    """A source column with SQL of its own ([source.down])."""

    column: str
    sql: str
    asked: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One mapping of a source table."""

    mapping: Mapping
    link: Link
    link_column: str | None
    """The column by which the one row names the other."""
    feeds: tuple[Feed, ...]
    joins: tuple[str, ...]
    compared: tuple[Column, ...]
    own: tuple[str, ...]
    """Target columns that no source feeds, with the condition under which they hold something."""
    why: dict[str, str] = field(hash=False)
    """Of each compared column: why the source may not be able to hold its value."""

    @property
    def target(self) -> str:
        return self.mapping.target.name


def primary(mapping: Mapping) -> bool:
    """Whether a mapping is the one that foreign keys to its source table lead to."""
    return mapping.namespace == mapping.source.name


def key_of(mapping: Mapping, legacy: str) -> str:
    """The SQL of the source key in a legacy id; null where it is that of another source."""
    if not mapping.legacy_prefix:
        return legacy
    length = len(mapping.legacy_prefix)
    return (
        f"case when left({legacy}, {length}) = {literal(mapping.legacy_prefix)} then substr({legacy}, {length + 1}) end"
    )


def legacy_of(mapping: Mapping, key: str) -> str:
    return f"{literal(mapping.legacy_prefix)} || {key}" if mapping.legacy_prefix else key


def key_parts_sql(catalog: Catalog, mapping: Mapping, key: str) -> list[str]:
    """The typed columns of a source key from its text; null where the text is no key of that table, never an error."""
    columns = [mapping.source.column(name) for name in mapping.key]
    texts = [key]
    if len(columns) > 1:
        string = r'"(?:[^"\\]|\\.)*"'
        array = literal(f"^\\[{string}(?:, {string}){{{len(columns) - 1}}}\\]$")
        texts = [f"(case when {key} ~ {array} then ({key})::jsonb ->> {i} end)" for i in range(len(columns))]
    return [_typed(text, column, catalog) for text, column in zip(texts, columns, strict=True) if column is not None]


def _typed(text: str, column: CatalogColumn, catalog: Catalog) -> str:
    plain = plain_column(column, catalog)
    made = casts.cast(text, _TEXT, plain, enum_labels(plain, catalog) or (), catalog.server_version)
    return into_column(made, column, catalog)


def source_order(project: Project) -> list[Table]:
    """The source tables, parents first; where they refer to each other in a circle, in any order."""
    graph: dict[str, set[str]] = {table.name: set() for table in project.source_tables}
    for mapping in project:
        for ref in (*mapping.references, *mapping.tenant_paths):
            graph[mapping.source.name] |= {parent.source.name for parent in project.feeding(ref)} - {
                mapping.source.name
            }
        for fk in mapping.source.foreign_keys:
            if fk.ref_schema == project.source.schema and fk.ref_table in graph and fk.ref_table != mapping.source.name:
                graph[mapping.source.name].add(fk.ref_table)
    while True:
        try:
            order = list(TopologicalSorter(graph).static_order())
            break
        except CycleError as error:
            circle: list[str] = error.args[1]  # each is a parent of the next
            graph[circle[1]].discard(circle[0])
    tables = {table.name: table for table in project.source_tables}
    return [tables[name] for name in order]


def check_downs(manifest: Manifest, source: Catalog, target: Catalog, say: Say, expressions: Expressions) -> None:
    """Say what is wrong with [source.down]: tables and columns that do not exist, SQL that is no expression over known rows."""
    feeding: dict[str, list[tuple[str, bool]]] = {}
    for name, rule in manifest.tables.items():
        for part in rule.parts().values():
            feeding.setdefault(part.source, []).append((name, part.part is None))
    for name, columns in manifest.source.down.items():
        table = source.table(name)
        if table is None or name not in feeding:
            near = nearest(name, sorted(feeding))
            say(("source", "down", name), f"the source table {name!r} feeds no target table"
                + (f"; did you mean {near!r}?" if near else ""))  # fmt: skip
            continue
        targets = sorted(feeding[name], key=lambda each: not each[1])
        scopes: dict[str, Table] = {}
        for place, (fed, _) in enumerate(targets):
            found = target.table(fed)
            if found is not None:
                scopes["t" if place == 0 else fed] = found
        for column, sql in columns.items():
            key = ("source", "down", name, column)
            there = table.column(column)
            if there is None:
                near = nearest(column, [each.name for each in table.columns])
                say(key, f"{name} has no column {column!r}" + (f"; did you mean {near!r}?" if near else ""))
            elif column in (table.row_key or ()):
                say(key, f"{column} is part of the key of {name}, which is the old id and never changes")
            elif there.generated is not None:
                say(key, f"{name}.{column} is a generated column: the server fills it")
            elif scopes:
                expressions.check(sql, scopes, key)


def reverse_statements(project: Project) -> tuple[SourceTable, ...]:
    """The ways back of all source tables, parents first."""
    return tuple(SourceTable(project, table) for table in source_order(project))


class _Near(Deriver):
    """Derives a few rows: of their parents only those are read that they name."""

    def __init__(self, project: Project, mended: frozenset[str], near: dict[str, str]) -> None:
        super().__init__(project, Reading.VERIFY, mended=mended)
        self._near = near

    def _relation(self, mapping: Mapping) -> str:
        if mapping.name in self._near and mapping.name not in self._mended:
            return self._near[mapping.name]
        return super()._relation(mapping)


def _near(project: Project, mapping: Mapping, rows: str) -> dict[str, str]:
    """For each mapping whose rows are parents of these rows, or lead them to their tenant: a relation of just those parents."""
    wanted: dict[str, list[tuple[str, Reference]]] = {}
    graph: dict[str, set[str]] = {}
    stack: list[Mapping] = []
    for ref in dict.fromkeys((*mapping.references, *mapping.tenant_paths)):
        for parent in project.feeding(ref):
            wanted.setdefault(parent.name, []).append(("", ref))
            stack.append(parent)
    while stack:
        child = stack.pop()
        if child.name in graph:
            continue
        graph[child.name] = set()
        for path in child.tenant_paths:
            for parent in project.feeding(path):
                wanted.setdefault(parent.name, []).append((child.name, path))
                graph[child.name].add(parent.name)
                stack.append(parent)
    made: dict[str, str] = {}
    try:
        order = [name for name in reversed(list(TopologicalSorter(graph).static_order())) if name in wanted]
    except CycleError:
        return {}
    for name in order:
        parent = project.mapping(name)
        table = ident(project.source.schema, parent.source.name)
        asked = wanted[name]
        by = asked[0][1].by
        if any(ref.by != by for _, ref in asked) or not all(
            _comparable(parent, ref, mapping if not child else project.mapping(child)) for child, ref in asked
        ):
            made[name] = table
            continue
        keys = " union ".join(
            f"select {idents(ref.columns, prefix='c')} from {made[child] if child else rows} c" for child, ref in asked
        )
        made[name] = f"(select p.* from {table} p where ({idents(by, prefix='p')}) in ({keys}))"
    return made


def _comparable(parent: Mapping, ref: Reference, child: Mapping) -> bool:
    """A reference can be compared with what it names without a cast, so that an index serves."""
    for here, there in zip(ref.columns, ref.by, strict=True):
        mine, other = child.source.column(here), parent.source.column(there)
        if mine is None or other is None:
            return False
        same = mine.type == other.type or (mine.type in _INTEGERS and other.type in _INTEGERS)
        if not same and not (is_text(mine) and is_text(other) and "citext" not in (mine.type_name, other.type_name)):
            return False
    return True


class SourceTable:
    """The way back of one source table."""

    def __init__(self, project: Project, table: Table) -> None:
        self.project = project
        self.table = table
        self.name = table.name
        self.sql = ident(project.source.schema, table.name)
        mappings = sorted(project.of_source(table.name), key=lambda mapping: not primary(mapping))
        self.key = mappings[0].key
        self.first = mappings[0]
        self.parts = tuple(self._part(mapping, position) for position, mapping in enumerate(mappings))
        self.extras = tuple(
            self._extra(name, sql) for name, sql in project.manifest.source.down.get(self.name, {}).items()
        )
        self.slots = self._slots()
        self.required = tuple(
            column.name
            for column in table.columns
            if not column.nullable
            and column.default is None
            and column.identity is None
            and column.generated is None
            and column.name not in self.key
        )
        self.zoned = any(" tenant." in f" {feed.value}".replace("(", " ") for part in self.parts for feed in part.feeds)

    # -- names of temporary tables -----------------------------------------------------------------------------------

    def temporary(self, what: str) -> str:
        return "pg_temp." + plain_name(f"tenantry_{what}", self.name)

    @property
    def keys(self) -> str:
        return self.temporary("k")

    @property
    def rows(self) -> str:
        return self.temporary("o")

    @property
    def work(self) -> str:
        return self.temporary("w")

    @property
    def gone(self) -> str:
        return self.temporary("d")

    def link(self, position: int) -> str:
        return self.temporary(f"l{position}")

    def up(self, position: int) -> str:
        return self.temporary(f"u{position}")

    def python(self, position: int) -> str:
        return self.temporary(f"b{position}")

    @property
    def key_columns(self) -> list[str]:
        return [f"k{i}" for i in range(len(self.key))]

    def same_key(self, source: str, other: str) -> str:
        """A condition over a row of the source and one of a temporary table with typed key columns."""
        return " and ".join(
            f"{source}.{ident(name)} = {other}.{column}"
            for name, column in zip(self.key, self.key_columns, strict=True)
        )

    # -- temporary tables --------------------------------------------------------------------------------------------

    def make_tables(self) -> list[str]:
        """Once for a session; they are empty again after each transaction."""
        typed = ", ".join(
            f"{name} {column.type}"
            for name, column in zip(self.key_columns, (self.table.column(each) for each in self.key), strict=True)
            if column is not None
        )
        made = [
            (self.keys, f"key text primary key, {typed}, now boolean not null default true, state text"),
            (self.rows, f"like {self.sql}"),
            (self.gone, f"key text primary key, {typed}, n bigint, position int"),
        ]
        work = [
            f"key text, n bigint, {typed}, has_s boolean, del boolean, resp int, ins boolean, lacks text, waits text"
        ]
        for j, slot in enumerate(self.slots):
            work.append(f"v{j} {slot.column.type}, c{j} boolean, g{j} boolean")
        for i, part in enumerate(self.parts):
            work.append(f"legacy{i} text, h{i} boolean, gone{i} boolean, q{i} boolean, d{i} text[], e{i} text[]")
            made.append((self.link(i), "key text primary key, legacy text"))
            derived = ", ".join(f"{ident(column.name)} {column.type}" for column in part.mapping.columns)
            made.append((self.up(i), f"{derived}, __key text"))
            if part.mapping.python_columns:
                back = ", ".join(
                    f"b{n} {self._source_type(column)}, ok{n} boolean"
                    for n, column in enumerate(part.mapping.python_columns)
                )
                made.append((self.python(i), f"key text primary key, {back}"))
        made.append((self.work, ", ".join(work)))
        return [
            f"create temporary table if not exists {name.removeprefix('pg_temp.')} ({columns}) on commit delete rows"
            for name, columns in made
        ]

    def clear_tables(self, *, all_keys: bool) -> list[str]:
        names = [self.rows, self.work, *(self.link(i) for i in range(len(self.parts)))]
        names += [self.up(i) for i in range(len(self.parts))]
        names += [self.python(i) for i, part in enumerate(self.parts) if part.mapping.python_columns]
        return [f"delete from {name}" for name in (*names, *((self.keys, self.gone) if all_keys else ()))]

    def _source_type(self, column: Column) -> str:
        found = self.table.column(column.source or column.name)
        assert found is not None
        return found.type

    # -- which rows --------------------------------------------------------------------------------------------------

    def add_keys(self, texts: str) -> str:
        """Take the source keys of a query `(key text)` into the rows to be looked at; what is no key of the table is left out."""
        typed = key_parts_sql(self.project.source, self.first, "c.key")
        return (
            f"insert into {self.keys} (key, {', '.join(self.key_columns)})\n"
            f"select c.key, {idents(self.key, prefix='x')} from (select distinct key from ({texts}) z (key)) c\n"
            f" cross join lateral (select {', '.join(typed)}) x ({idents(self.key)})\n"
            f" where {mapping_key(self.first, 'x')} = c.key\n"
            "on conflict (key) do update set now = true"
        )

    def changed_keys(self) -> list[str]:
        """The queries of the keys that changed rows of the target stand for."""
        texts = []
        for part in self.parts:
            mine = f"from {CHANGED} c where c.table_name = {literal(part.target)}"
            texts.append(f"select {key_of(part.mapping, 'c.legacy_id')} {mine}")
            q = f"{self._target(part)} q"
            p = f"{self._target(self.parts[0])} p"
            here = f"select {key_of(self.first, 'p.legacy_id')} from {CHANGED} c join {q} on q.legacy_id = c.legacy_id"
            named = f"where c.table_name = {literal(part.target)}"
            if part.link == "names":
                texts.append(
                    f"{here} join {p} on {self._joined(self.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')} {named}"
                )
                texts.append(
                    f"select b.source_key from {CHANGED} c join {JOURNAL}.born_part b on b.mapping = {literal(part.mapping.name)}"
                    f" and b.legacy_id = c.legacy_id {named}"
                )
            elif part.link == "named":
                texts.append(
                    f"{here} join {p} on {self._joined(part, 'q', f'p.{ident(part.link_column or ROW_ID)}', self.parts[0], 'p')} {named}"
                )
        return texts

    def read_rows(self) -> list[str]:
        made = [
            f"insert into {self.rows} select s.* from {self.keys} k join {self.sql} s on {self.same_key('s', 'k')} where k.now"
        ]
        for i, part in enumerate(self.parts):
            legacy = legacy_of(part.mapping, "k.key")
            own = f"{self._target(part)} q on q.legacy_id = {legacy}"
            p = f"{self._target(self.parts[0])} p"
            p_here = f"p.legacy_id = {legacy_of(self.first, 'k.key')}"
            match part.link:
                case "names":
                    order = ", ".join(
                        name
                        for name in ("q.created_at" if part.mapping.target.column("created_at") else "", "q.legacy_id")
                        if name
                    )
                    elsewhere = self.source_has(part.mapping, "q.legacy_id")
                    linked = (
                        f"select distinct on (k.key) k.key, q.legacy_id from {self.keys} k join {p} on {p_here} join {self._target(part)} q"
                        f" on {self._joined(self.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')}"
                        f" where k.now and not {elsewhere} order by k.key, {order}"
                    )
                    made.append(
                        f"insert into {self.link(i)} select k.key, coalesce(q.legacy_id, z.legacy_id, {legacy}) from {self.keys} k\n"
                        f"  left join {own}\n  left join ({linked}) z on z.key = k.key where k.now"
                    )
                case "named":
                    named = self._joined(part, "n", f"p.{ident(part.link_column or ROW_ID)}", self.parts[0], "p")
                    made.append(
                        f"insert into {self.link(i)} select k.key, coalesce(n.legacy_id, {legacy}) from {self.keys} k\n"
                        f"  left join {p} on {p_here}\n  left join {self._target(part)} n on {named} where k.now"
                    )
                case _:
                    made.append(f"insert into {self.link(i)} select k.key, {legacy} from {self.keys} k where k.now")
        return made

    def source_has(self, mapping: Mapping, legacy: str) -> str:
        """A condition: the old id in a legacy id is that of a row of the source."""
        typed = key_parts_sql(self.project.source, mapping, key_of(mapping, legacy))
        same = " and ".join(f"e.{ident(name)} = {value}" for name, value in zip(mapping.key, typed, strict=True))
        return f"exists (select from {self.sql} e where {same})"

    def examined(self) -> list[str]:
        """Queries of (table, legacy id) of all rows of the target that were looked at."""
        made = []
        for i, part in enumerate(self.parts):
            name = literal(part.target)
            made.append(f"select {name}, legacy from {self.link(i)}")
            made.append(f"select {name}, {legacy_of(part.mapping, 'k.key')} from {self.keys} k where k.now")
            if part.link == "names":
                made.append(
                    f"select {name}, q.legacy_id from {self.keys} k join {self._target(self.parts[0])} p"
                    f" on p.legacy_id = {legacy_of(self.first, 'k.key')} join {self._target(part)} q"
                    f" on {self._joined(self.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')} where k.now"
                )
        return made

    # -- what the source says now ------------------------------------------------------------------------------------

    def derive(self, position: int, mended: frozenset[str]) -> str:
        """up(source row) for the rows that were read."""
        mapping = self.parts[position].mapping
        rows = self.rows
        if mapping.name in mended:
            patched = (
                f"{JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)} and q.state = 'readmitted' and q.patch <> '{{}}'"
                f" and q.source_key = {mapping_key(mapping, 'o')}"
            )
            rows = (
                f"(select o.* from {self.rows} o where not exists (select from {patched})\n union all select r.* from {self.rows} o"
                f" cross join lateral (select q.patch from {patched}) q"
                f" cross join lateral jsonb_populate_record(null::{self.sql}, to_jsonb(o) || q.patch) r)"
            )
        deriver = _Near(self.project, mended, _near(self.project, mapping, self.rows))
        names = idents([*(column.name for column in mapping.columns), "__key"])
        derivation = deriver.derive(mapping, rows=rows)
        return f"insert into {self.up(position)} ({names})\n" + derivation.statement(f"select {names} from derived")

    # -- the comparison ----------------------------------------------------------------------------------------------

    def compare(self) -> str:
        """Fill the work table: for each key what is there, what differs, and what each source column is to hold."""
        parts = self.parts
        inner = ["k.key", f"row_number() over (order by k.key) as n, {idents(self.key_columns, prefix='k')}",
                 f"s.{ident(self.key[0])} is not null as has_s", "s as s"]  # fmt: skip
        joins = [f"{self.keys} k", f"left join {self.rows} s on {self.same_key('s', 'k')}"]
        for i, part in enumerate(parts):
            named = literal(part.mapping.name)
            joins.append(f"left join ({self._select(i)}) f{i} on f{i}.key = k.key")
            joins.append(f"left join {self.up(i)} u{i} on u{i}.__key = k.key")
            joins.append(
                f"left join {JOURNAL}.quarantine q{i} on q{i}.mapping = {named} and q{i}.state = 'open' and q{i}.source_key = k.key"
            )
            joins.append(f"left join {JOURNAL}.merged m{i} on m{i}.mapping = {named} and m{i}.source_key = k.key")
            aside = f"(q{i}.id is not null or m{i}.mapping is not null)"
            inner.append(f"f{i}.legacy as legacy{i}, f{i}.legacy is not null and not {aside} as h{i}")
            inner.append(f"f{i}.legacy is null and not {aside} as gone{i}, {aside} as q{i}")
            where = f"coalesce(({part.mapping.where}), false)" if part.mapping.where else "true"
            inner.append(f"{where} as cov{i}, f{i}.extra as e{i}")
            for n, feed in enumerate(part.feeds):
                inner.append(f"f{i}.f{n} as f{i}_{n}, {_permitted(feed, i, n)} as o{i}_{n}")
                if feed.parent:
                    inner.append(f"f{i}.{_kept_name(feed.asked)} is not null and f{i}.f{n} is null as w{i}_{n}")
            inner += [f"{self._differs(i, column)} as x{i}_{n}" for n, column in enumerate(part.compared)]
        inner += [f"g.g{n} as extra{n}" for n in range(len(self.extras))]
        if self.extras:
            joins.append(f"left join ({self._extras()}) g on g.key = k.key")
        first = "select " + ",\n       ".join(inner) + "\n  from " + "\n  ".join(joins) + "\n where k.now"
        second = self._choices(first)
        names = ["key", "n", *self.key_columns, "has_s", "del", "resp", "ins", "lacks", "waits"]
        values = ["key", "n", *self.key_columns, "has_s", "del", "resp", "ins", "lacks", "waits"]
        for j in range(len(self.slots)):
            names += [f"v{j}", f"c{j}", f"g{j}"]
            values += [f"v{j}", self._tenant_lost(j), f"g{j}"]
        for i in range(len(parts)):
            listed = [f"legacy{i}", f"h{i}", f"gone{i}", f"q{i}", f"d{i}", f"e{i}"]
            names += listed
            values += [f"legacy{i}", f"h{i}", f"gone{i} and cov{i} and has_s and not del as gone{i}", *listed[3:]]
        return f"insert into {self.work} ({', '.join(names)})\nselect {', '.join(values)}\n  from (\n{second}\n) z"

    def _choices(self, first: str) -> str:
        """The level that chooses between feeds and decides what is written."""
        parts = self.parts
        there = f"has_s and case {' '.join(f'when cov{i} then gone{i}' for i in range(len(parts)))} else false end"
        resp = f"case {' '.join(f'when cov{i} then {i}' for i in range(len(parts)))} end"
        alone = " or ".join(
            ["h0", *(f"h{i}" for i, part in enumerate(parts) if i and part.link == "same" and part.mapping.where)]
        )
        outer = ["y.*", f"{there} as del", f"{resp} as resp"]
        good: dict[str, str] = {}
        for j, slot in enumerate(self.slots):
            value, permitted, differs = self._chosen(slot)
            nullable = "" if slot.column.nullable else f" and {value} is not null"
            same = (
                _image(value, slot.column)
                + " is distinct from "
                + _image(f"(y.s).{ident(slot.column.name)}", slot.column)
            )
            good[slot.column.name] = f"(({permitted}){nullable})"
            outer.append(f"{value} as v{j}")
            outer.append(f"has_s and not ({there}) and ({differs}) and {good[slot.column.name]} and {same} as c{j}")
            outer.append(f"{good[slot.column.name]} as g{j}")
        lacks = [
            f"when {f'not {good[name]}' if name in good else 'true'} then {literal(name)}" for name in self.required
        ]
        lack = f"case {' '.join(lacks)} end" if lacks else "null::text"
        outer.append(f"{lack} as lacks")
        outer.append(f"not has_s and ({alone}) and {lack} is null as ins")
        waits = [
            f"when h{i} and w{i}_{n} then {literal(feed.parent)}"
            for i, part in enumerate(parts)
            for n, feed in enumerate(part.feeds)
            if feed.parent
        ]
        outer.append(f"case {' '.join(waits)} end as waits" if waits else "null::text as waits")
        for i, part in enumerate(parts):
            named = ", ".join(f"case when x{i}_{n} then {literal(c.name)} end" for n, c in enumerate(part.compared))
            outer.append(f"array_remove(array[{named}]::text[], null) as d{i}")
        return "select " + ",\n       ".join(outer) + f"\n  from (\n{first}\n  offset 0) y"

    def _chosen(self, slot: Slot) -> tuple[str, str, str]:
        """Value, whether it is meant, and whether something differs that it would mend."""
        for n, extra in enumerate(self.extras):
            if extra.column == slot.column.name:
                # What no target column is made of is written along with any other change.
                every = [(i, column.name) for i, part in enumerate(self.parts) for column in part.compared]
                asked = [self._flag(i, name) for i, name in extra.asked or every]
                return f"extra{n}", "h0", f"({' or '.join(asked)})"
        values, permits, differs = [], [], []
        for i, n in slot.feeds:
            feed = self.parts[i].feeds[n]
            values.append(f"when h{i} then f{i}_{n}")
            permits.append(f"when h{i} then o{i}_{n}")
            differs.append(f"when h{i} then {self._flag(i, feed.asked)}")
        return (
            f"(case {' '.join(values)} end)",
            f"(case {' '.join(permits)} else false end)",
            f"case {' '.join(differs)} else false end",
        )

    def _flag(self, position: int, name: str) -> str:
        place = next(n for n, column in enumerate(self.parts[position].compared) if column.name == name)
        return f"x{position}_{place}"

    def _tenant_lost(self, j: int) -> str:
        """A column that leads straight to the tenant is also filled when every way to the tenant would otherwise be null."""
        name = self.slots[j].column.name
        place = {slot.column.name: n for n, slot in enumerate(self.slots)}
        more = []
        for i, part in enumerate(self.parts):
            direct = self._direct(part.mapping)
            if direct is None or direct.columns[-1] != name:
                continue
            others = dict.fromkeys(path.columns[-1] for path in part.mapping.tenant_paths)
            after = [
                f"case when c{place[each]} then v{place[each]} is null else (z.s).{ident(each)} is null end"
                if each in place
                else f"(z.s).{ident(each)} is null"
                for each in others
            ]
            cleared = " or ".join(f"c{place[each]}" for each in others if each in place)
            more.append(f"(h{i} and ({cleared}) and g{j} and {' and '.join(after)} and v{j} is not null)")
        return " or ".join([f"c{j}", *more]) + f" as c{j}" if more else f"c{j}"

    def _differs(self, i: int, column: Column) -> str:
        part = self.parts[i]
        if column.kind == "python":
            n = part.mapping.python_columns.index(column)
            held = self.table.column(column.source or column.name)
            assert held is not None
            mine = _image(f"s.{ident(held.name)}", held)
            return f"(f{i}.ok{n} is not true or {_image(f'f{i}.b{n}', held)} is distinct from {mine})"
        there = part.mapping.target.column(column.name)
        assert there is not None
        here = f"f{i}.{_kept_name(column.name)}"
        return f"(u{i}.__key is null or {_image(here, there)} is distinct from {_image(f'u{i}.{ident(column.name)}', there)})"

    def _select(self, i: int) -> str:
        """The rows of a mapping beside the keys, with what its feeds make of them."""
        part = self.parts[i]
        listed = ["l.key", "t.legacy_id as legacy"]
        listed += [
            f"t.{ident(column.name)} as {_kept_name(column.name)}"
            for column in part.compared
            if column.kind != "python"
        ]
        listed += [f"{feed.value} as f{n}" for n, feed in enumerate(part.feeds)]
        joins = [f"{self.link(i)} l", f"join {self._target(part)} t on t.legacy_id = l.legacy", *part.joins]
        if part.mapping.python_columns:
            joins.append(f"left join {self.python(i)} b on b.key = l.key")
            listed += [f"b.b{n}, b.ok{n}" for n in range(len(part.mapping.python_columns))]
        listed.append(f"array_remove(array[{', '.join(part.own)}]::text[], null) as extra")
        return "select " + ",\n         ".join(listed) + "\n    from " + "\n    ".join(joins)

    def _extras(self) -> str:
        listed = ["l.key"]
        for n, extra in enumerate(self.extras):
            held = self.table.column(extra.column)
            assert held is not None
            listed.append(f"({extra.sql})::{held.type} as g{n}")
        joins = [f"{self.link(0)} l", f"join {self._target(self.parts[0])} t on t.legacy_id = l.legacy"]
        seen = set()
        for i, part in enumerate(self.parts[1:], start=1):
            if part.target in seen:
                continue
            seen.add(part.target)
            name = ident(part.target)
            joins.append(f"left join {self.link(i)} l{i} on l{i}.key = l.key")
            joins.append(f"left join {self._target(part)} {name} on {name}.legacy_id = l{i}.legacy")
        return f"select {', '.join(listed)} from {' '.join(joins)}"

    # -- writing -----------------------------------------------------------------------------------------------------

    def update(self, places: Sequence[int], condition: str) -> str:
        """Write the source columns of these slots where they are to change."""
        named = [(ident(self.slots[j].column.name), j) for j in places]
        sets = ", ".join(f"{name} = case when w.c{j} then w.v{j} else s.{name} end" for name, j in named)
        any_of = " or ".join(f"w.c{j}" for _, j in named)
        return f"update {self.sql} s set {sets} from {self.work} w where {self.same_key('s', 'w')} and ({any_of}) and {condition}"

    def park(self) -> list[str]:
        """Give the rows that are to change values in their unique columns that nobody has."""
        unique = {
            name
            for index in self.table.indexes
            if index.unique
            for name in index.columns
            if name is not None and name not in self.key
        }
        made = []
        for j, slot in enumerate(self.slots):
            if slot.column.name not in unique:
                continue
            value = "null" if slot.column.nullable else _stranger(slot.column)
            if value is None:
                continue
            made.append(
                f"update {self.sql} s set {ident(slot.column.name)} = {value} from {self.work} w"
                f" where {self.same_key('s', 'w')} and w.c{j}"
            )
        return made

    def insert(self, condition: str) -> str:
        names = [*self.key, *(slot.column.name for slot in self.slots)]
        values = [f"w.{name}" for name in self.key_columns]
        for j, slot in enumerate(self.slots):
            default = f"({slot.column.default})::{slot.column.type}" if slot.column.default else "null"
            values.append(f"case when w.g{j} then w.v{j} else {default} end")
        system = " overriding system value" if any(column.identity for column in self.table.columns) else ""
        return (
            f"insert into {self.sql} ({idents(names)}){system}\nselect {', '.join(values)} from {self.work} w"
            f" where w.ins and {condition}"
        )

    def left_out(self) -> str | None:
        """Take out again what was inserted and does not pass the mapping's own filter."""
        if not any(part.mapping.where for part in self.parts):
            return None
        passes = " or ".join(f"(w.h{i} and ({part.mapping.where or 'true'}))" for i, part in enumerate(self.parts))
        return (
            f"delete from {self.sql} s using {self.work} w, {self.keys} k where w.ins and k.key = w.key and k.state = 'inserted'"
            f" and {self.same_key('s', 'w')} and ({passes}) is not true returning w.key"
        )

    def unpatch(self, places: Sequence[int], condition: str) -> str:
        """What is written to a row that was mended in the quarantine takes the place of the mend."""
        gone = ", ".join(f"case when w.c{j} then {literal(self.slots[j].column.name)} end" for j in places)
        return (
            f"update {JOURNAL}.quarantine q set patch = q.patch - array_remove(array[{gone}]::text[], null) from {self.work} w"
            f" where q.source_table = {literal(self.name)} and q.source_key = w.key and q.state = 'readmitted'"
            f" and q.patch <> '{{}}' and {condition}"
        )

    # -- deleting ----------------------------------------------------------------------------------------------------

    def collect_gone(self) -> list[str]:
        """The source rows whose target row is gone, and those that were merged into them."""
        typed = ", ".join(self.key_columns)
        made = [
            f"insert into {self.gone} (key, {typed}, position) select key, {typed}, resp from {self.work} where del"
            " on conflict do nothing"
        ]
        for i, part in enumerate(self.parts):
            if part.mapping.merge is None:
                continue
            values = key_parts_sql(self.project.source, part.mapping, "m.source_key")
            there = f"exists (select from {self._target(part)} t where t.legacy_id = m.source_key)"
            made.append(
                f"insert into {self.gone} (key, {typed}, position) select m.source_key, {', '.join(values)}, {i} from {self.gone} d"
                f" join {JOURNAL}.merged m on m.mapping = {literal(part.mapping.name)} and m.into_key = d.key"
                f" where d.position = {i} and not {there} on conflict do nothing"
            )
        return made

    def held_back(self, made: Iterable[SourceTable]) -> list[tuple[str, str]]:
        """(child table, statement): of the rows to be deleted those that rows which stay still refer to are taken off the list;
        a cascade would take along what only the source has."""
        tables = {each.name: each for each in made}
        found = []
        for child, fk in self.project.source.references_to(self.name):
            if fk.on_delete in ("set null", "set default") or fk.inherited or not fk.enforced:
                continue
            same = " and ".join(
                f"c.{ident(here)} = p.{ident(there)}" for here, there in zip(fk.columns, fk.ref_columns, strict=True)
            )
            goes = ""
            if child.name in tables:
                other = tables[child.name]
                goes = f" and not exists (select from {other.gone} x where {other.same_key('c', 'x')})"
            found.append(
                (
                    child.name,
                    f"delete from {self.gone} d using {self.sql} p where {self.same_key('p', 'd')}"
                    f" and exists (select from {ident(child.schema, child.name)} c where {same}{goes}) returning d.key",
                )
            )
        return found

    def delete(self, condition: str = "true") -> str:
        return f"delete from {self.sql} s using {self.gone} d where {self.same_key('s', 'd')} and {condition}"

    def forget(self) -> list[str]:
        """What the journal says of deleted rows."""
        name = literal(self.name)
        return [
            f"delete from {JOURNAL}.merged m using {self.gone} d where m.source_table = {name} and m.source_key = d.key",
            f"delete from {JOURNAL}.quarantine q using {self.gone} d where q.source_table = {name} and q.source_key = d.key"
            " and q.state = 'open'",
            f"delete from {JOURNAL}.born_part b using {self.gone} d where b.source_key = d.key and b.mapping in"
            f" ({literals(part.mapping.name for part in self.parts)})",
        ]

    # -- what stays in the target --------------------------------------------------------------------------------------

    def kept(self) -> list[str]:
        """Queries of (table, legacy id, column, reason) over the work table, made after everything is written."""
        made = []
        for i, part in enumerate(self.parts):
            name = literal(part.target)
            why = ", ".join(f"({literal(column)}, {literal(reason)})" for column, reason in part.why.items())
            if why:
                made.append(
                    f"select {name}, w.legacy{i}, r.name, r.reason from {self.work} w join (values {why}) r (name, reason)"
                    f" on r.name = any (w.d{i}) where w.has_s and w.h{i}"
                )
            made.append(
                f"select {name}, w.legacy{i}, e, 'the source has no column for it' from {self.work} w"
                f" cross join lateral unnest(w.e{i}) e where w.has_s and w.h{i}"
            )
            made.append(
                f"select {name}, w.legacy{i}, '', {literal(f'the row of {self.name} is listed in the quarantine, or as merged')}"
                f" from {self.work} w where w.q{i} and w.legacy{i} is not null"
            )
            if i:
                made.append(
                    f"select {name}, {legacy_of(part.mapping, 'w.key')}, '', {literal(f'the row is gone, and {self.name} cannot say so')}"
                    f" from {self.work} w where w.gone{i}"
                )
                made.append(
                    f"select {name}, w.legacy{i}, {literal(ROW_ID)}, {literal(f'born here: {self.name} would give it another id')}"
                    f" from {self.work} w where w.has_s and w.h{i} and w.legacy{i} <> {legacy_of(part.mapping, 'w.key')}"
                )
                made.append(
                    f"select {name}, {legacy_of(part.mapping, 'w.key')}, '', 'stands in ' || w.legacy{i} || ', which was born here'"
                    f" from {self.work} w where w.has_s and w.h{i} and w.legacy{i} <> {legacy_of(part.mapping, 'w.key')}"
                )
        return made

    def alone(self) -> list[str]:
        """Queries of (table, legacy id, reason): rows of the target that stand in no row of the source."""
        made = []
        for i, part in enumerate(self.parts):
            waits = f"{literal(_WAITS[0])} || w.waits || {literal(_WAITS[1])}"
            lacks = f"{literal(f'{self.name}.')} || w.lacks || ' cannot be made'"
            alone = f"no row of {self.name} to stand in" if i else "refused: see tenantry.conflict"
            made.append(
                f"select {literal(part.target)}, w.legacy{i}, coalesce({waits}, {f'{lacks}, ' if not i else ''}{literal(alone)})"
                f" from {self.work} w where w.h{i} and not w.has_s"
            )
        return made

    def placed(self) -> list[str]:
        return [
            f"select {literal(part.target)}, w.legacy{i} from {self.work} w where w.has_s and w.legacy{i} is not null"
            for i, part in enumerate(self.parts)
        ]

    def born_parts(self) -> list[str]:
        """Remember in which source row a part's row stands that was born in the target."""
        return [
            f"insert into {JOURNAL}.born_part (mapping, legacy_id, source_key) select {literal(part.mapping.name)}, w.legacy{i}, w.key"
            f" from {self.work} w where w.has_s and w.h{i} and w.legacy{i} <> {legacy_of(part.mapping, 'w.key')}"
            " on conflict (mapping, legacy_id) do update set source_key = excluded.source_key"
            " where born_part.source_key <> excluded.source_key"
            for i, part in enumerate(self.parts)
            if part.link != "same"
        ]

    def loser(self, position: int) -> str:
        """The target's row `t` as JSON, without secrets."""
        part = self.parts[position]
        hidden = [
            column.name
            for column in part.mapping.columns
            if column.kind in ("value", "python") and part.mapping.is_secret(column)
        ]
        if not hidden:
            return "to_jsonb(t)"
        masks = ", ".join(f"{literal(name)}, '(secret)'" for name in hidden)
        return f"to_jsonb(t) || jsonb_build_object({masks})"

    # -- compiling ---------------------------------------------------------------------------------------------------

    def _target(self, part: Part) -> str:
        return ident(self.project.target.schema, part.target)

    def _joined(self, parent: Part, alias: str, value: str, child: Part, child_alias: str) -> str:
        return self._by_id(parent.target, alias, value, child.mapping, child_alias)

    def _by_id(self, parent: str, alias: str, value: str, child: Mapping, child_alias: str) -> str:
        """A condition that finds a target row by its id, by the index that also has the tenant where both sides have one."""
        tenant = self.project.manifest.tenant.column
        same = f" and {alias}.{ident(tenant)} = {child_alias}.{ident(tenant)}"
        return f"{alias}.{ident(ROW_ID)} = {value}" + (same if child.scoped and self.project.scoped(parent) else "")

    def _direct(self, mapping: Mapping) -> Reference | None:
        """The way that leads straight to the tenant, if there is one."""
        root = self.project.manifest.tenant.table
        return next((path for path in mapping.tenant_paths if path.parent == root), None)

    def _part(self, mapping: Mapping, position: int) -> Part:
        link: Link = "same"
        link_column = None
        first = self.first
        if position:
            names = _link_column(self.project, mapping, first)
            named = _link_column(self.project, first, mapping)
            if names is not None:
                link, link_column = "names", names
            elif named is not None:
                link, link_column = "named", named
        joins: dict[str, None] = {}
        feeds: list[Feed] = []
        why: dict[str, str] = {}
        compared: list[Column] = []
        for column in mapping.columns:
            if column.kind in ("id", "legacy", "account"):
                continue
            compared.append(column)
            made = list(self._feeds(mapping, column, joins))
            feeds += [feed for feed in made if feed.column not in self.key]
            why[column.name] = self._why(column, made)
        mapped = {column.name for column in mapping.columns}
        own = [
            f"case when {_image(f't.{ident(column.name)}', column)} is distinct from"
            f" {_image(f'({column.default or _NULL})::{column.type}', column)} then {literal(column.name)} end"
            for column in mapping.target.columns
            if column.name not in mapped
            and column.name not in _AUDIT
            and column.generated is None
            and column.identity is None
            and _CONSTANT.fullmatch(column.default or _NULL)
        ]
        return Part(mapping, link, link_column, tuple(feeds), tuple(joins), tuple(compared), tuple(own), why)

    def _extra(self, name: str, sql: str) -> Extra:
        quoted = f"s.{ident(name)}"
        asked = []
        for i, part in enumerate(self.parts):
            for column in part.compared:
                paths = column.kind == "tenant" and any(name in path.columns for path in part.mapping.tenant_paths)
                named = column.reference is not None and name in column.reference.columns
                if column.source == name or paths or named or quoted in column.value:
                    asked.append((i, column.name))
        return Extra(name, sql, tuple(asked))

    def _slots(self) -> tuple[Slot, ...]:
        found: dict[str, list[tuple[int, int, int]]] = {extra.column: [] for extra in self.extras}
        for i, part in enumerate(self.parts):
            for n, feed in enumerate(part.feeds):
                found.setdefault(feed.column, []).append((feed.rank, i, n))
        return tuple(
            Slot(column, tuple((i, n) for _, i, n in sorted(found[column.name])))
            for column in self.table.columns
            if column.name in found and column.generated is None and column.name not in self.key
        )

    def _feeds(self, mapping: Mapping, column: Column, joins: dict[str, None]) -> Iterable[Feed]:
        t = f"t.{ident(column.name)}"
        source = self.table.column(column.source or "")
        match column.kind:
            case "value" if column.down is not None and source is not None:
                given = self._rule_has_down(mapping, column)
                if "tenant." in column.down:
                    joins[self._tenant_row(mapping)] = None
                rank = 1 if source.name == column.name else 2
                yield Feed(source.name, column.down, column.name, "meant" if given else "as there", rank)
            case "python" if source is not None:
                n = mapping.python_columns.index(column)
                yield Feed(source.name, f"b.b{n}", column.name, "meant", 1, python=n)
            case "json_ids" if source is not None:
                value = self._json(mapping, column, joins)
                yield Feed(source.name, f"({value})::{source.type}", column.name, "as there", 1)
            case "reference" if column.reference is not None:
                yield from self._reference(mapping, column.reference, t, column.name, joins, rank=1)
            case "tenant":
                direct = self._direct(mapping)
                if direct is not None:
                    yield from self._reference(mapping, direct, t, column.name, joins, rank=3)

    def _rule_has_down(self, mapping: Mapping, column: Column) -> bool:
        part = self.project.manifest.tables[mapping.target.name].parts()[mapping.legacy_prefix.removesuffix(":")]
        rule = part.columns.get(column.name)
        return rule is not None and rule.down is not None

    def _reference(
        self, mapping: Mapping, ref: Reference, t: str, name: str, joins: dict[str, None], *, rank: int
    ) -> Iterable[Feed]:
        """The source columns of a reference: what the parent's own source row has in the columns that are named."""
        feeding = self.project.feeding(ref)
        alias = plain_name("p", name)
        table = ident(self.project.target.schema, ref.parent)
        joins[f"left join {table} {alias} on {self._by_id(ref.parent, alias, t, mapping, 't')}"] = None
        found: list[list[str]] = [[] for _ in ref.columns]
        for place, parent in enumerate(feeding):
            key = key_of(parent, f"{alias}.legacy_id")
            key = self._fitting(mapping, ref, parent, key, f"{alias}_{place}", joins)
            row = f"{alias}_s{place}"
            typed = key_parts_sql(self.project.source, parent, key)
            same = " and ".join(f"{row}.{ident(each)} = {value}" for each, value in zip(parent.key, typed, strict=True))
            joins[f"left join {ident(self.project.source.schema, parent.source.name)} {row} on {same}"] = None
            for n, by in enumerate(ref.by):
                found[n].append(f"{row}.{ident(by)}")
        for n, here in enumerate(ref.columns):
            column = self.table.column(here)
            assert column is not None
            last = n == len(ref.columns) - 1
            value = f"{found[n][0] if len(found[n]) == 1 else 'coalesce(' + ', '.join(found[n]) + ')'}::{column.type}"
            # A reference of several columns is null by its last one: the others may have a meaning of their own.
            yield Feed(here, value, name, "as there" if last else "never", rank if last else 4, parent=ref.parent)

    def _fitting(
        self, mapping: Mapping, ref: Reference, parent: Mapping, key: str, alias: str, joins: dict[str, None]
    ) -> str:
        """Of several old rows that were merged into one parent, the one that also leads to the row's tenant."""
        path = next(
            (each for each in mapping.tenant_paths if each.columns == ref.columns and each.parent != ref.parent), None
        )
        if parent.merge is None or path is None or not mapping.scoped or not self.project.scoped(path.parent):
            return key
        tenant = ident(self.project.manifest.tenant.column)
        way = self.project.feeding(path)[0]
        joins[
            f"left join lateral (select c.key from (select {key} as key, 0 as place union all select m.source_key, 1"
            f" from {JOURNAL}.merged m where m.mapping = {literal(parent.name)} and m.into_key = {key}) c"
            f" join {ident(self.project.target.schema, path.parent)} q on q.legacy_id = {legacy_of(way, 'c.key')}"
            f" and q.{tenant} = t.{tenant} order by c.place, c.key limit 1) {alias}_m on true"
        ] = None
        return f"coalesce({alias}_m.key, {key})"

    def _json(self, mapping: Mapping, column: Column, joins: dict[str, None]) -> str:
        """A document with new ids turned into old ones; what is no id of a row stays."""
        value = f"t.{ident(column.name)}"
        value = value if column.type == "jsonb" else f"{value}::jsonb"
        maps = []
        for place, each in enumerate(column.ids):
            feeding = self.project.by_target[each.parent][0]
            alias = plain_name("j", column.name, str(place))
            key = key_of(feeding, "k.legacy_id")
            first = feeding.source.column(feeding.key[0])
            number = len(feeding.key) == 1 and first is not None and first.type in _INTEGERS
            old = (
                f"case when {key} ~ '^-?[0-9]+$' then to_jsonb(({key})::numeric) else to_jsonb({key}) end"
                if number
                else key
            )
            uuid = "v.id #>> '{}' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'"
            found = self._by_id(each.parent, "k", "i.id", mapping, "t")
            joins[
                f"left join lateral (select jsonb_object_agg(i.text, {old}) as ids"
                f" from jsonb_path_query({value}, {literal('$.' + each.path)}::jsonpath) v (id)"
                f" cross join lateral (select v.id #>> '{{}}' as text, case when {uuid} then (v.id #>> '{{}}')::uuid end as id) i"
                f" join {ident(self.project.target.schema, each.parent)} k on {found} where {key} is not null) {alias} on true"
            ] = None
            maps.append(f"{alias}.ids")
        paths = ", ".join(literal(each.path) for each in column.ids)
        return f"{JOURNAL}.json_ids({value}, array[{paths}]::text[], array[{', '.join(maps)}]::jsonb[], false)"

    def _tenant_row(self, mapping: Mapping) -> str:
        """The tenant's row as the source gives it, since a source value will be read with that again."""
        root = self.project.root
        derived = Deriver(self.project, Reading.VERIFY).derive(root).statement("select * from derived")
        own = ident(ROW_ID) if mapping.is_root else ident(self.project.manifest.tenant.column)
        return f"left join ({derived}) tenant on tenant.{ident(ROW_ID)} = t.{own}"

    def _why(self, column: Column, feeds: Sequence[Feed]) -> str:
        """Why a column may differ from what the source says, even after everything was written."""
        if column.kind == "reference" and not any(feed.column in self.key for feed in feeds):
            return waiting(column.reference.parent) if column.reference is not None else ""
        if column.kind == "tenant":
            return "the source reaches another tenant from here"
        if not feeds:
            return "the manifest names no way back"
        name = feeds[0].column
        if name in self.key:
            return f"{self.name}.{name} is part of the key, which never changes"
        held = self.table.column(name)
        if (
            held is not None
            and held.type.startswith("timestamp(")
            and column.type.startswith("timestamp")
            and held.type.partition("(")[2][:1] < "6"
        ):
            return f"{self.name}.{name} holds fewer digits of a second, or follows another column"
        return f"{self.name}.{name} cannot hold the value, or follows another column"


def _stranger(column: CatalogColumn) -> str | None:
    """A value that no row is likely to have, by its key's place; None for types that have none to spare."""
    base = base_type(column.type)
    if is_text(column):
        length = text_length(column.type)
        made = "replace(gen_random_uuid()::text, '-', '')"
        return f"left({made}, {length})" if length is not None else made
    if base == "uuid":
        return "gen_random_uuid()"
    if base in _INTEGERS:
        return f"-(w.n + {2 ** {'smallint': 14, 'integer': 30, 'bigint': 62}[base]})"
    if base == "numeric":
        return "-(w.n + 0.0)"
    return None


def _kept_name(column: str) -> str:
    """The name of a target column among what is joined to the keys."""
    return plain_name("t", column)


def _permitted(feed: Feed, i: int, n: int) -> str:
    """Whether a feed's value is one, and not the sign that there is no way back."""
    if feed.python is not None:
        return f"f{i}.ok{feed.python} is true"
    if feed.null == "meant":
        return "true"
    there = f"f{i}.f{n} is not null"
    return there if feed.null == "never" else f"({there} or f{i}.{_kept_name(feed.asked)} is null)"


def waiting(parent: str) -> str:
    """The reason of a reference to a row that only the target has; such rows are looked at again when it comes."""
    return parent.join(_WAITS)


def _link_column(project: Project, child: Mapping, parent: Mapping) -> str | None:
    """The column of one mapping's rows that names the row of another one made of the same source row."""
    for column in child.columns:
        ref = column.reference
        if ref is not None and ref.columns == child.key and ref.by == parent.key and parent in project.feeding(ref):
            return column.name
    return None


def _image(value: str, column: CatalogColumn) -> str:
    """A value in a form of which two are equal exactly when they are the same."""
    if base_type(column.type) in _EQUAL_AS_THEY_ARE or column.type_kind == "enum":
        return value
    if is_text(column) and base_type(column.type) in ("text", "character varying") and column.collation is None:
        return value
    return f"{value}::text" if column.type_kind == "array" else f'{value}::text collate "C"'


__all__ = ["CHANGED", "LEGACY_ID", "SourceTable", "check_downs", "reverse_statements", "waiting"]
