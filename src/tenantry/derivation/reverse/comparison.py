"""Compiles the comparison of target rows with their source rows, and its temporary tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.derivation.few import derive_few, tenants_of
from tenantry.derivation.keys import equal, key_parts_sql, mapping_key, same_key
from tenantry.derivation.reverse import alternatives
from tenantry.derivation.reverse.columns import Feeds, Part, by_id, direct_path, held, image, permitted, primary
from tenantry.derivation.reverse.moved import held_elsewhere, left_all
from tenantry.derivation.reverse.strangers import STRANGER, of_another_tenant, without_strangers
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import key_of, legacy_of, of_part
from tenantry.mapping.project import ROW_ID, MappedColumn, Mapping, Project, plain_name
from tenantry.postgres import ident, idents, literal

CHANGED = "pg_temp.tenantry_look"
"""(table_name, legacy_id) of the target rows to examine."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A source column that is written, with its feeds in order of preference, each as (mapping, number in that mapping's
    list)."""

    column: CatalogColumn
    feeds: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Extra:
    """A source column with SQL of its own ([source.down])."""

    column: str
    sql: str
    asked: tuple[tuple[int, str], ...]


class Comparison:
    """The rows of one source table joined with those of the target."""

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
        self.strangers: frozenset[str] = frozenset()
        """Target tables with rows to be ignored; determined again in each round."""
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
        """Return a condition that a source row and a row of a temporary table have the same typed key columns."""
        return " and ".join(
            equal(own, f"{source}.{ident(own.name)}", f"{other}.{column}")
            for own, column in zip(self.key_held, self.key_columns, strict=True)
        )

    @property
    def key_held(self) -> list[CatalogColumn]:
        """The columns of the key."""
        return [column for name in self.key if (column := self.table.column(name)) is not None]

    # -- temporary tables --------------------------------------------------------------------------------------------

    def make_tables(self) -> list[str]:
        """Create them once per session; they are emptied at the end of each transaction."""
        typed = ", ".join(f"{name} {column.type}" for name, column in zip(self.key_columns, self.key_held, strict=True))
        made = [
            (self.keys, f"key text primary key, {typed}, now boolean not null default true, state text"),
            (self.rows, f"like {self.sql}"),
            (self.gone, f"key text primary key, {typed}, n bigint, position int"),
        ]
        work = [
            f"key text, n bigint, {typed}, has_s boolean, del boolean, resp int, ins boolean, lacks text, waits text"
        ]
        # For each slot: its value, whether it changes, whether there is one, and whether there are two. Arrays, because a
        # table has at most 1,600 columns.
        work += [f"v{j} {slot.column.type}" for j, slot in enumerate(self.slots)]
        work.append("c boolean[], g boolean[], two boolean[]")
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

    def _source_type(self, column: MappedColumn) -> str:
        found = self.table.column(column.source or column.name)
        assert found is not None
        return found.type

    # -- which rows --------------------------------------------------------------------------------------------------

    def add_keys(self, texts: str) -> str:
        """Add the source keys of a query `(key text)` to the rows to be examined; skip texts that are no key of the table."""
        typed = key_parts_sql(self.project.source, self.first, "c.key")
        return (
            f"insert into {self.keys} (key, {', '.join(self.key_columns)})\n"
            f"select c.key, {idents(self.key, prefix='x')} from (select distinct key from ({texts}) z (key)) c\n"
            f" cross join lateral (select {', '.join(typed)}) x ({idents(self.key)})\n"
            f" where {mapping_key(self.first, 'x')} = c.key\n"
            "on conflict (key) do update set now = true"
        )

    def changed_keys(self) -> list[str]:
        """Return the queries that find the source keys of changed target rows."""
        texts = []
        for part in self.parts:
            mine = f"from {CHANGED} c where c.table_name = {literal(part.target)}"
            if part.link == "natural":
                # Target-native rows have the key that their columns hold, and no other.
                mine += (
                    f" and not exists (select from {ident(self.project.target.schema, part.target)} t where t.legacy_id = c.legacy_id"
                    f" and t.legacy_id = t.{ident(ROW_ID)}::text and not {self.source_has(part.mapping, 't.legacy_id')})"
                )
            texts.append(f"select {key_of(part.mapping, 'c.legacy_id')} {mine}")
            q = f"{self.target_sql(part)} q"
            p = f"{self.target_sql(self.parts[0])} p"
            here = f"select {key_of(self.first, 'p.legacy_id')} from {CHANGED} c join {q} on q.legacy_id = c.legacy_id"
            named = f"where c.table_name = {literal(part.target)}"
            if part.link == "names":
                texts.append(
                    f"{here} join {p} on {self._joined(self.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')} {named}"
                )
            if part.link in ("names", "natural"):
                texts.append(
                    f"select b.source_key from {CHANGED} c join {JOURNAL}.born_part b on b.mapping = {literal(part.mapping.name)}"
                    f" and b.legacy_id = c.legacy_id {named}"
                )
            if part.link == "natural":
                texts.append(
                    f"select n.key from ({self._born(part, f'select c.legacy_id from {CHANGED} c {named}')}) n"
                )
            elif part.link == "named":
                texts.append(
                    f"{here} join {p} on {self._joined(part, 'q', f'p.{ident(part.link_column or ROW_ID)}', self.parts[0], 'p')} {named}"
                )
        return texts

    def read_rows(self) -> list[str]:
        """Select the source rows of the keys together with their target rows."""
        made = [
            f"insert into {self.rows} select s.* from {self.keys} k join {self.sql} s on {self.same_key('s', 'k')} where k.now"
        ]
        for i, part in enumerate(self.parts):
            legacy = legacy_of(part.mapping, "k.key")
            own = f"{self.target_sql(part)} q on q.legacy_id = {legacy}"
            p = f"{self.target_sql(self.parts[0])} p"
            p_here = f"p.legacy_id = {legacy_of(self.first, 'k.key')}"
            match part.link:
                case "names":
                    order = ", ".join(
                        name
                        for name in ("q.created_at" if part.mapping.target.column("created_at") else "", "q.legacy_id")
                        if name
                    )
                    linked = (
                        f"select distinct on (k.key) k.key, q.legacy_id from {self.keys} k join {p} on {p_here} join {self.target_sql(part)} q"
                        f" on {self._joined(self.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')}"
                        f" where k.now and not {self._elsewhere(part, 'q.legacy_id')}{self._covered(part)}"
                        f" order by k.key, {order}"
                    )
                    made.append(
                        f"insert into {self.link(i)} select k.key, coalesce(q.legacy_id, z.legacy_id, {legacy}) from {self.keys} k\n"
                        f"  left join {own}\n  left join ({linked}) z on z.key = k.key where k.now"
                    )
                case "natural":
                    # If there are several rows, the one that already has the place keeps it.
                    placed = (
                        f"exists (select from {JOURNAL}.born_part b where b.mapping = {literal(part.mapping.name)}"
                        " and b.legacy_id = n.legacy_id and b.source_key = k.key)"
                    )
                    linked = (
                        f"select distinct on (k.key) k.key, n.legacy_id from {self.keys} k join ({self._born(part, self._known(part))}) n"
                        f" on n.key = k.key where k.now{self._covered(part)} order by k.key, {placed} desc, n.legacy_id"
                    )
                    made.append(
                        f"insert into {self.link(i)} select k.key, coalesce(q.legacy_id, z.legacy_id, {legacy}) from {self.keys} k\n"
                        f"  left join {own}\n  left join ({linked}) z on z.key = k.key where k.now"
                    )
                case "named":
                    named = self._joined(part, "n", f"p.{ident(part.link_column or ROW_ID)}", self.parts[0], "p")
                    made.append(
                        f"insert into {self.link(i)} select k.key, coalesce(n.legacy_id, {legacy}) from {self.keys} k\n"
                        f"  left join {p} on {p_here}\n  left join {self.target_sql(part)} n on {named} where k.now"
                    )
                case _:
                    made.append(f"insert into {self.link(i)} select k.key, {legacy} from {self.keys} k where k.now")
        return made

    def claims(self, part: Part) -> str:
        """Return a statement that records which target rows, of any tenant, claim the places to be examined."""
        tenant = ident(self.project.manifest.tenant.column)
        whole = ident(self.project.target.schema, part.target)
        if self.project.constant:
            whole = f"(select z.* from {whole} z where not {of_another_tenant(self.project, 'z')})"
        said = f"exists (select from {self.rows} s where {self.same_key('s', 'k')})"
        claimed = (
            f"select k.key, t.legacy_id, t.{tenant}::text as tenant, t.legacy_id = t.{ident(ROW_ID)}::text as born, {said} as said"
            f" from {self.keys} k join {whole} t on t.legacy_id = {legacy_of(part.mapping, 'k.key')} where k.now"
        )
        if part.link == "natural":
            # A target-native row has the place that its values name, and none by its id.
            claimed += (
                f" and (t.legacy_id <> t.{ident(ROW_ID)}::text or {self.source_has(part.mapping, 't.legacy_id')})"
            )
            known = (
                f"{self._known(part)} union select n.legacy_id from {STRANGER} n join {self.keys} k on n.source_key = k.key and k.now"
                f" where n.table_name = {literal(part.target)}"
            )
            claimed += (
                f" union select k.key, n.legacy_id, n.tenant, true, {said} from {self.keys} k"
                f" join ({self._born(part, known, whole, f', t.{tenant}::text as tenant')}) n on n.key = k.key where k.now"
            )
        return f"insert into pg_temp.tenantry_claim {claimed}"

    def forget_strangers(self, part: Part) -> str:
        """Return a statement that forgets strangers whose rows were deleted, for the places to be examined."""
        return (
            f"delete from {STRANGER} n using {self.keys} k where k.now and n.table_name = {literal(part.target)} and n.source_key = k.key"
            f" and not exists (select from pg_temp.tenantry_claim c"
            " where c.legacy_id = n.legacy_id and c.tenant = n.tenant)"
        )

    def says(self, position: int, mended: frozenset[str]) -> str:
        """Return a statement that records the tenants of the source rows according to the source alone."""
        mapping = self.parts[position].mapping
        told = tenants_of(self.project, mapping, self._mended_rows(position, mended), self.rows, mended)
        return f"insert into pg_temp.tenantry_says {told}"

    def _known(self, part: Part) -> str:
        """Return a query (legacy_id) of the changed rows and of the rows whose values name a place to be examined."""
        return (
            f"select c.legacy_id from {CHANGED} c where c.table_name = {literal(part.target)} union select b.legacy_id"
            f" from {JOURNAL}.born_part b join {self.keys} k on k.key = b.source_key and k.now"
            f" where b.mapping = {literal(part.mapping.name)}"
        )

    def _born(self, part: Part, known: str, table: str = "", more: str = "") -> str:
        """Return a query (key, legacy_id) of the rows of `known` (legacy_id) that are target-native but have a place in the
        source, given by the target columns that its key is made from."""
        values = [f"{feed.value}::text" for feed in part.natural]
        key = values[0] if len(values) == 1 else f"jsonb_build_array({', '.join(values)})::text"
        joins = "".join(f"\n  {join}" for join in part.joins)
        return (
            f"select {key} as key, t.legacy_id{more} from {table or self.target_sql(part)} t{joins}\n where t.legacy_id in ({known})"
            f" and t.legacy_id = t.{ident(ROW_ID)}::text and not {self.source_has(part.mapping, 't.legacy_id')}"
            f" and num_nulls({', '.join(values)}) = 0"
        )

    def without_place(self, part: Part) -> str:
        """Return a query (legacy_id, parent) of changed target-native rows, each with the parent they wait for in the
        source."""
        missing = " ".join(
            f"when {feed.value} is null and t.{ident(feed.asked)} is not null then {literal(feed.parent)}"
            for feed in part.natural
            if feed.parent
        )
        joins = "".join(f"\n  {join}" for join in part.joins)
        return (
            f"select t.legacy_id, case {missing} end as parent from {self.target_sql(part)} t{joins}\n"
            f" where t.legacy_id in (select c.legacy_id from {CHANGED} c where c.table_name = {literal(part.target)})"
            f" and t.legacy_id = t.{ident(ROW_ID)}::text and not {self.source_has(part.mapping, 't.legacy_id')}"
            if missing
            else ""
        )

    def _elsewhere(self, part: Part, legacy: str) -> str:
        """Return a condition: a target row has, or had, a source row of its own, and so is not a part of another one."""
        known = [
            of_part(mapping, legacy) if mapping.legacy_prefix else self.source_has(mapping, legacy)
            for mapping in self.project.by_target[part.target]
        ]
        return f"({' or '.join(known)})"

    def _covered(self, part: Part) -> str:
        """Return a condition: only source rows that pass the mapping's own filter have this part."""
        if not part.mapping.where or any(f"s.{ident(feed.column)}" in part.mapping.where for feed in part.feeds):
            return ""  # or will have it, once the part's values are written
        return (
            f" and not exists (select from {self.rows} s where {self.same_key('s', 'k')}"
            f" and ({part.mapping.where}) is not true)"
        )

    def source_has(self, mapping: Mapping, legacy: str) -> str:
        """Return a condition: the old id in a legacy id is that of a source row."""
        same = same_key(self.project.source, mapping, "e", key_of(mapping, legacy))
        return f"exists (select from {ident(self.project.source.schema, mapping.source.name)} e where {same})"

    def examined(self) -> list[str]:
        """Return queries of (table, legacy id) of all target rows that were examined."""
        made = []
        for i, part in enumerate(self.parts):
            name = literal(part.target)
            made.append(f"select {name}, legacy from {self.link(i)}")
            made.append(f"select {name}, {legacy_of(part.mapping, 'k.key')} from {self.keys} k where k.now")
            if part.link == "names":
                made.append(
                    f"select {name}, q.legacy_id from {self.keys} k join {self.target_sql(self.parts[0])} p"
                    f" on p.legacy_id = {legacy_of(self.first, 'k.key')} join {self.target_sql(part)} q"
                    f" on {self._joined(self.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')} where k.now"
                )
        return made

    # -- what the source says now ------------------------------------------------------------------------------------

    def derive(self, position: int, mended: frozenset[str]) -> str:
        """Return up(source row) for the rows that were read."""
        mapping = self.parts[position].mapping
        names = idents([*(column.name for column in mapping.columns), mapping.ours("key")])
        derivation = derive_few(self.project, mapping, self._mended_rows(position, mended), self.rows, mended)
        return f"insert into {self.up(position)} ({names})\n" + derivation.statement(f"select {names} from derived d")

    def _mended_rows(self, position: int, mended: frozenset[str]) -> str:
        """Return the rows that were read, those that were corrected in the quarantine in corrected form."""
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
                f" cross join lateral jsonb_populate_record(o.*, q.patch) r)"
            )
        return rows

    # -- the comparison ----------------------------------------------------------------------------------------------

    def compare(self) -> str:
        """Fill the work table: for each key what exists, what differs, and what each source column should hold."""
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
            inner += [f"f{i}.f{n} as f{i}_{n}" for n in range(len(part.feeds))]
            # In arrays, since a select has at most 1,664 columns.
            meant = [permitted(feed, i, n) for n, feed in enumerate(part.feeds)]
            waits = [
                f"f{i}.f{n} is null and {held(i, feed.asked)} is not null" if feed.parent else "false"
                for n, feed in enumerate(part.feeds)
            ]
            differ = [self._differs(i, column) for column in part.compared]
            inner += [_flags(meant, f"o{i}"), _flags(waits, f"w{i}"), _flags(differ, f"x{i}")]
        inner += [f"g.g{n} as extra{n}" for n in range(len(self.extras))]
        if self.extras:
            joins.append(f"left join ({self._extras()}) g on g.key = k.key")
        first = "select " + ",\n       ".join(inner) + "\n  from " + "\n  ".join(joins) + "\n where k.now"
        second = self._choices(first)
        names = ["key", "n", *self.key_columns, "has_s", "del", "resp", "ins", "lacks", "waits"]
        values = ["key", "n", *self.key_columns, "has_s", "del", "resp", "ins", "lacks", "waits"]
        for j in range(len(self.slots)):
            names.append(f"v{j}")
            values.append(f"v{j}")
        changes = [self._tenant_lost(j) for j in range(len(self.slots))]
        names += ["c", "g", "two"]
        plain = [one_flag("c", j) for j in range(len(self.slots))]
        values += [_flags(changes, "c") if changes != plain else "c", "g", "two"]
        for i in range(len(parts)):
            listed = [f"legacy{i}", f"h{i}", f"cov{i}", f"gone{i}", f"q{i}", f"d{i}", f"e{i}"]
            names += listed
            elsewhere = held_elsewhere(self, i)
            gone = (
                f"gone{i} and cov{i} and has_s and not del{f' and not ({elsewhere})' if elsewhere else ''} as gone{i}"
            )
            values += [f"legacy{i}", f"h{i}", f"cov{i}", gone, *listed[4:]]
        return f"insert into {self.work} ({', '.join(names)})\nselect {', '.join(values)}\n  from (\n{second}\n  offset 0) z"

    def _choices(self, first: str) -> str:
        """Return the level that chooses between feeds and decides what is written."""
        parts = self.parts
        held = {i: held_elsewhere(self, i) for i in range(len(parts))}
        gone = {i: f"gone{i} and not ({held[i]})" if held[i] else f"gone{i}" for i in held}
        # A row excluded by all filters: the target deleted it then.
        left = {i: f"(left{i} and gone{i})" for i, part in enumerate(parts) if part.mapping.where}
        there = f"has_s and case {' '.join(f'when cov{i} then {gone[i]}' for i in gone)} else {' or '.join(left.values()) or 'false'} end"
        resp = f"case {' '.join(f'when cov{i} then {i}' for i in gone)} {' '.join(f'when {left[i]} then {i}' for i in left)} end"
        alone = " or ".join(
            ["h0", *(f"h{i}" for i, part in enumerate(parts) if i and part.link == "same" and part.mapping.where)]
        )
        outer = ["y.key", "y.n", *(f"y.{name}" for name in self.key_columns), "y.has_s", "y.s"]
        outer += [f"y.{name}{i}" for i in range(len(parts)) for name in ("legacy", "h", "gone", "q", "cov", "e")]
        outer += [f"{there} as del", f"{resp} as resp"]
        good: dict[str, str] = {}
        changes: list[str] = []
        several: list[str] = []
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
            several.append(alternatives.several(ways) if ways else "false")
            if slot.column.identity == "always":
                changes.append("false")  # such a number is assigned once and never changed
                continue
            changes.append(f"has_s and not ({there}) and ({differs}) and {good[slot.column.name]} and {same}")
        outer += [_flags(changes, "c"), _flags(list(good.values()), "g"), _flags(several, "two")]
        lacks = [
            f"when {f'not {good[name]}' if name in good else 'true'} then {literal(name)}" for name in self.required
        ]
        if self.project.constant and self.first.profile:
            lacks.insert(0, f"when h0 and {self._no_member('y.legacy0')} then ''")
        lack = f"case {' '.join(lacks)} end" if lacks else "null::text"
        outer.append(f"{lack} as lacks")
        outer.append(f"not has_s and ({alone}) and {lack} is null as ins")
        waits = [
            f"when h{i} and {one_flag(f'w{i}', n)} then {literal(feed.parent)}"
            for i, part in enumerate(parts)
            for n, feed in enumerate(part.feeds)
            if feed.parent
        ]
        outer.append(f"case {' '.join(waits)} end as waits" if waits else "null::text as waits")
        for i, part in enumerate(parts):
            named = ", ".join(
                f"case when {one_flag(f'x{i}', n)} then {literal(c.name)} end" for n, c in enumerate(part.compared)
            )
            outer.append(f"array_remove(array[{named}]::text[], null) as d{i}")
        return "select " + ",\n       ".join(outer) + f"\n  from (\n{first}\n  offset 0) y"

    def _no_member(self, legacy: str) -> str:
        """Return SQL over the comparison: a person is not a member of the source's only tenant. The application of the source knows
        no other tenants, and would let them in."""
        manifest, schema = self.project.manifest, self.project.target.schema
        member = manifest.membership
        return (
            f"not exists (select from {ident(schema, member.table)} q join {ident(schema, self.first.target.name)} p"
            f" on q.{ident(member.profile)} = p.{ident(ROW_ID)} where p.legacy_id = {legacy}"
            f" and not {of_another_tenant(self.project, 'q')})"
        )

    def _chosen(self, slot: Slot) -> tuple[str, str, str]:
        """Return SQL of the value, whether it applies, and whether a difference exists that writing it would repair."""
        for n, extra in enumerate(self.extras):
            if extra.column == slot.column.name:
                # A column that no target column is made from is written together with any other change.
                every = [(i, column.name) for i, part in enumerate(self.parts) for column in part.compared]
                asked = [self.flag(i, name) for i, name in extra.asked or every]
                return f"extra{n}", "h0", f"({' or '.join(asked)})"
        if ways := alternatives.considered(self, slot):
            return alternatives.chosen(self, ways)
        values, permits, differs = [], [], []
        for i, n in slot.feeds:
            feed = self.parts[i].feeds[n]
            values.append(f"when h{i} then f{i}_{n}")
            permits.append(f"when h{i} then {one_flag(f'o{i}', n)}")
            differs.append(f"when h{i} then {self.flag(i, feed.asked)}")
        return (
            f"(case {' '.join(values)} end)",
            f"(case {' '.join(permits)} else false end)",
            f"case {' '.join(differs)} else false end",
        )

    def flag(self, position: int, name: str) -> str:
        place = next(n for n, column in enumerate(self.parts[position].compared) if column.name == name)
        return one_flag(f"x{position}", place)

    def _tenant_lost(self, j: int) -> str:
        """Return a condition: a column that leads directly to the tenant is also filled when every path to the tenant would
        become null."""
        name = self.slots[j].column.name
        place = {slot.column.name: n for n, slot in enumerate(self.slots)}
        more = []
        for i, part in enumerate(self.parts):
            direct = direct_path(self.project, part.mapping)
            if direct is None or direct.named_by != name:
                continue
            others = dict.fromkeys(path.named_by for path in part.mapping.tenant_paths)
            after = [
                f"case when {one_flag('c', place[each])} then v{place[each]} is null else (z.s).{ident(each)} is null end"
                if each in place
                else f"(z.s).{ident(each)} is null"
                for each in others
            ]
            cleared = " or ".join(one_flag("c", place[each]) for each in others if each in place)
            more.append(f"(h{i} and ({cleared}) and {one_flag('g', j)} and {' and '.join(after)} and v{j} is not null)")
        return " or ".join([one_flag("c", j), *more])

    def _differs(self, i: int, column: MappedColumn) -> str:
        part = self.parts[i]
        if column.kind == "python":
            n = part.mapping.python_columns.index(column)
            mine = self.table.column(column.source or column.name)
            assert mine is not None
            own = image(f"s.{ident(mine.name)}", mine)
            return f"(f{i}.ok{n} is not true or {image(f'f{i}.b{n}', mine)} is distinct from {own})"
        there = part.mapping.target.column(column.name)
        assert there is not None
        here = held(i, column.name)
        return f"(u{i}.{part.mapping.ours('key')} is null or {image(here, there)} is distinct from {image(f'u{i}.{ident(column.name)}', there)})"

    def _select(self, i: int) -> str:
        """Select the rows of a mapping for the keys, with the values of its feeds."""
        part = self.parts[i]
        listed = ["l.key", "t.legacy_id as legacy"]
        listed += [
            f"t.{ident(column.name)} as {plain_name('t', column.name)}"
            for column in part.compared
            if column.kind != "python"
        ]
        listed += [f"{feed.value} as f{n}" for n, feed in enumerate(part.feeds)]
        joins = [f"{self.link(i)} l", f"join {self.target_sql(part)} t on t.legacy_id = l.legacy", *part.joins]
        if part.mapping.python_columns:
            joins.append(f"left join {self.python(i)} b on b.key = l.key")
            listed += [f"b.b{n}, b.ok{n}" for n in range(len(part.mapping.python_columns))]
        listed.append(f"array_remove(array[{', '.join(part.own)}]::text[], null) as extra")
        return "select " + ",\n         ".join(listed) + "\n    from " + "\n    ".join(joins)

    def _extras(self) -> str:
        # The SQL uses `t`, table names and unqualified columns: no name of ours may collide with these.
        ours = "__"
        there = [self.parts[0].mapping.target, *(part.mapping.target for part in self.parts[1:])]
        while any(
            name.startswith(ours) for table in there for name in (table.name, *(each.name for each in table.columns))
        ):
            ours += "_"
        key, legacy = ident(f"{ours}key"), ident(f"{ours}legacy")

        def link(i: int) -> str:
            return f"(select x.key as {key}, x.legacy as {legacy} from {self.link(i)} x) {ident(f'{ours}{i}')}"

        first = ident(f"{ours}0")
        listed = [f"{first}.{key} as key"]
        for n, extra in enumerate(self.extras):
            own = self.table.column(extra.column)
            assert own is not None
            listed.append(f"({extra.sql})::{own.type} as g{n}")
        joins = [link(0), f"join {self.target_sql(self.parts[0])} t on t.legacy_id = {first}.{legacy}"]
        # A second table named t cannot be referred to: t is the first.
        seen = {"t"}
        for i, part in enumerate(self.parts[1:], start=1):
            if part.target in seen:
                continue
            seen.add(part.target)
            name = ident(part.target)
            at = ident(f"{ours}{i}")
            joins.append(f"left join {link(i)} on {at}.{key} = {first}.{key}")
            joins.append(f"left join {self.target_sql(part)} {name} on {name}.legacy_id = {at}.{legacy}")
        return f"select {', '.join(listed)} from {' '.join(joins)}"

    # -- compiling ---------------------------------------------------------------------------------------------------

    def target_sql(self, part: Part) -> str:
        """Return the target's table without rows whose place in the source belongs to another tenant."""
        if part.target in self.strangers:
            return without_strangers(self.project, part.target)
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


def _flags(conditions: Sequence[str], name: str) -> str:
    """Combine conditions into one column."""
    return f"array[{', '.join(conditions)}]::boolean[] as {name}"


def one_flag(name: str, place: int) -> str:
    """Return one of them."""
    return f"{name}[{place + 1}]"
