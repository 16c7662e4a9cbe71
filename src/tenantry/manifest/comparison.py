"""The comparison of rows of the target with the source rows that they stand for, compiled, and its temporary tables."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.manifest import alternatives
from tenantry.manifest.derive import JOURNAL, mapping_key
from tenantry.manifest.feeds import (
    Feeds,
    Part,
    by_id,
    direct_path,
    held_name,
    image,
    key_of,
    key_parts_sql,
    legacy_of,
    permitted,
    primary,
)
from tenantry.manifest.mapping import ROW_ID, Column, Mapping, Project, plain_name
from tenantry.manifest.moved import held_elsewhere, left_all
from tenantry.manifest.nearby import derive_few
from tenantry.postgres import ident, idents, literal

CHANGED = "pg_temp.tenantry_look"
"""(table_name, legacy_id) of the target's rows to look at."""


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


class Comparison:
    """The rows of one source table beside those of the target."""

    def __init__(self, project: Project, table: Table) -> None:
        self.project = project
        self.table = table
        self.name = table.name
        self.sql = ident(project.source.schema, table.name)
        mappings = sorted(project.of_source(table.name), key=lambda mapping: not primary(mapping))
        self.key = mappings[0].key
        self.first = mappings[0]
        feeds = Feeds(project, table, self.first)
        self.parts = tuple(feeds.part(mapping) for mapping in mappings)
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
            work.append(f"v{j} {slot.column.type}, c{j} boolean, g{j} boolean, two{j} boolean")
        for i, part in enumerate(self.parts):
            work.append(
                f"legacy{i} text, h{i} boolean, cov{i} boolean, gone{i} boolean, q{i} boolean, d{i} text[], e{i} text[]"
            )
            made.append((self.link(i), "key text primary key, legacy text"))
            derived = ", ".join(f"{ident(column.name)} {column.type}" for column in part.mapping.columns)
            made.append((self.up(i), f"{derived}, {part.mapping.ours('key')} text"))
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
                f" cross join lateral jsonb_populate_record(null::{self.sql}, to_jsonb(o.*) || q.patch) r)"
            )
        names = idents([*(column.name for column in mapping.columns), mapping.ours("key")])
        derivation = derive_few(self.project, mapping, rows, self.rows, mended)
        return f"insert into {self.up(position)} ({names})\n" + derivation.statement(f"select {names} from derived d")

    # -- the comparison ----------------------------------------------------------------------------------------------

    def compare(self) -> str:
        """Fill the work table: for each key what is there, what differs, and what each source column is to hold."""
        parts = self.parts
        inner = ["k.key", f"row_number() over (order by k.key) as n, {idents(self.key_columns, prefix='k')}",
                 f"s.{ident(self.key[0])} is not null as has_s", f"(s.*)::{self.rows} as s"]  # fmt: skip
        joins = [f"{self.keys} k", f"left join {self.rows} s on {self.same_key('s', 'k')}"]
        for i, part in enumerate(parts):
            named = literal(part.mapping.name)
            joins.append(f"left join ({self._select(i)}) f{i} on f{i}.key = k.key")
            joins.append(f"left join {self.up(i)} u{i} on u{i}.{part.mapping.ours('key')} = k.key")
            joins.append(
                f"left join {JOURNAL}.quarantine q{i} on q{i}.mapping = {named} and q{i}.state = 'open' and q{i}.source_key = k.key"
            )
            joins.append(f"left join {JOURNAL}.merged m{i} on m{i}.mapping = {named} and m{i}.source_key = k.key")
            aside = f"(q{i}.id is not null or m{i}.mapping is not null)"
            inner.append(f"f{i}.legacy as legacy{i}, f{i}.legacy is not null and not {aside} as h{i}")
            inner.append(f"f{i}.legacy is null and not {aside} as gone{i}, {aside} as q{i}")
            where = f"coalesce(({part.mapping.where}), false)" if part.mapping.where else "true"
            inner.append(f"{where} as cov{i}, {left_all(part)} as left{i}, f{i}.extra as e{i}")
            for n, feed in enumerate(part.feeds):
                inner.append(f"f{i}.f{n} as f{i}_{n}, {permitted(feed, i, n)} as o{i}_{n}")
                if feed.parent:
                    inner.append(f"f{i}.{held_name(feed.asked)} is not null and f{i}.f{n} is null as w{i}_{n}")
            inner += [f"{self._differs(i, column)} as x{i}_{n}" for n, column in enumerate(part.compared)]
        inner += [f"g.g{n} as extra{n}" for n in range(len(self.extras))]
        if self.extras:
            joins.append(f"left join ({self._extras()}) g on g.key = k.key")
        first = "select " + ",\n       ".join(inner) + "\n  from " + "\n  ".join(joins) + "\n where k.now"
        second = self._choices(first)
        names = ["key", "n", *self.key_columns, "has_s", "del", "resp", "ins", "lacks", "waits"]
        values = ["key", "n", *self.key_columns, "has_s", "del", "resp", "ins", "lacks", "waits"]
        for j in range(len(self.slots)):
            names += [f"v{j}", f"c{j}", f"g{j}", f"two{j}"]
            values += [f"v{j}", self._tenant_lost(j), f"g{j}", f"two{j}"]
        for i in range(len(parts)):
            listed = [f"legacy{i}", f"h{i}", f"cov{i}", f"gone{i}", f"q{i}", f"d{i}", f"e{i}"]
            names += listed
            held = held_elsewhere(self, i)
            elsewhere = f" and not ({held})" if held else ""
            gone = f"gone{i} and cov{i} and has_s and not del{elsewhere} as gone{i}"
            values += [f"legacy{i}", f"h{i}", f"cov{i}", gone, *listed[4:]]
        return f"insert into {self.work} ({', '.join(names)})\nselect {', '.join(values)}\n  from (\n{second}\n) z"

    def _choices(self, first: str) -> str:
        """The level that chooses between feeds and decides what is written."""
        parts = self.parts
        held = {i: held_elsewhere(self, i) for i in range(len(parts))}
        gone = {i: f"gone{i} and not ({held[i]})" if held[i] else f"gone{i}" for i in held}
        # A row that left all parts in the target, where it was deleted then.
        left = {i: f"(left{i} and gone{i})" for i, part in enumerate(parts) if part.mapping.where}
        there = f"has_s and case {' '.join(f'when cov{i} then {gone[i]}' for i in gone)} else {' or '.join(left.values()) or 'false'} end"
        resp = f"case {' '.join(f'when cov{i} then {i}' for i in gone)} {' '.join(f'when {left[i]} then {i}' for i in left)} end"
        alone = " or ".join(
            ["h0", *(f"h{i}" for i, part in enumerate(parts) if i and part.link == "same" and part.mapping.where)]
        )
        outer = ["y.*", f"{there} as del", f"{resp} as resp"]
        good: dict[str, str] = {}
        for j, slot in enumerate(self.slots):
            value, permitted, differs = self._chosen(slot)
            nullable = "" if slot.column.nullable else f" and {value} is not null"
            same = (
                image(value, slot.column)
                + " is distinct from "
                + image(f"(y.s).{ident(slot.column.name)}", slot.column)
            )
            good[slot.column.name] = f"(({permitted}){nullable})"
            outer.append(f"{value} as v{j}")
            ways = alternatives.considered(self, slot)
            outer.append(f"{alternatives.several(ways) if ways else 'false'} as two{j}")
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
                asked = [self.flag(i, name) for i, name in extra.asked or every]
                return f"extra{n}", "h0", f"({' or '.join(asked)})"
        if ways := alternatives.considered(self, slot):
            return alternatives.chosen(self, ways)
        values, permits, differs = [], [], []
        for i, n in slot.feeds:
            feed = self.parts[i].feeds[n]
            values.append(f"when h{i} then f{i}_{n}")
            permits.append(f"when h{i} then o{i}_{n}")
            differs.append(f"when h{i} then {self.flag(i, feed.asked)}")
        return (
            f"(case {' '.join(values)} end)",
            f"(case {' '.join(permits)} else false end)",
            f"case {' '.join(differs)} else false end",
        )

    def flag(self, position: int, name: str) -> str:
        place = next(n for n, column in enumerate(self.parts[position].compared) if column.name == name)
        return f"x{position}_{place}"

    def _tenant_lost(self, j: int) -> str:
        """A column that leads straight to the tenant is also filled when every way to the tenant would otherwise be null."""
        name = self.slots[j].column.name
        place = {slot.column.name: n for n, slot in enumerate(self.slots)}
        more = []
        for i, part in enumerate(self.parts):
            direct = direct_path(self.project, part.mapping)
            if direct is None or direct.named_by != name:
                continue
            others = dict.fromkeys(path.named_by for path in part.mapping.tenant_paths)
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
            mine = image(f"s.{ident(held.name)}", held)
            return f"(f{i}.ok{n} is not true or {image(f'f{i}.b{n}', held)} is distinct from {mine})"
        there = part.mapping.target.column(column.name)
        assert there is not None
        here = f"f{i}.{held_name(column.name)}"
        return f"(u{i}.{part.mapping.ours('key')} is null or {image(here, there)} is distinct from {image(f'u{i}.{ident(column.name)}', there)})"

    def _select(self, i: int) -> str:
        """The rows of a mapping beside the keys, with what its feeds make of them."""
        part = self.parts[i]
        listed = ["l.key", "t.legacy_id as legacy"]
        listed += [
            f"t.{ident(column.name)} as {held_name(column.name)}" for column in part.compared if column.kind != "python"
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

    # -- compiling ---------------------------------------------------------------------------------------------------

    def _target(self, part: Part) -> str:
        return ident(self.project.target.schema, part.target)

    def _joined(self, parent: Part, alias: str, value: str, child: Part, child_alias: str) -> str:
        return by_id(self.project, parent.target, alias, value, child.mapping, child_alias)

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
