"""Compiles each source column's reverse mapping: which values of the target, or of its parents, restore it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.derivation.derived import Reading
from tenantry.derivation.documents import held_ids
from tenantry.derivation.forward import Deriver
from tenantry.derivation.keys import same_key
from tenantry.derivation.numbers import sequence_of
from tenantry.derivation.reverse.alternatives import may_be_null
from tenantry.derivation.reverse.deleted_ids import deleted_ids, old_id, unguarded
from tenantry.derivation.reverse.strangers import no_stranger
from tenantry.derivation.tenant_values import REGISTRY
from tenantry.journal.names import JOURNAL
from tenantry.manifest.model import ColumnRule
from tenantry.mapping.legacy_ids import key_of, legacy_of
from tenantry.mapping.project import ROW_ID, MappedColumn, Mapping, Project, Reference, plain_name
from tenantry.mapping.shapes import Shape
from tenantry.mapping.values.type_names import base_type, is_text
from tenantry.postgres import ident, literal

_AUDIT = ("created_at", "updated_at", "created_by", "updated_by")
_EQUAL_AS_THEY_ARE = {
    "bigint", "boolean", "bytea", "date", "integer", "numeric", "smallint", "uuid",
    "time without time zone", "timestamp with time zone", "timestamp without time zone",
}  # fmt: skip
"""Types whose equal values are identical. Of other types (30 days equal a month, floats have two zeros, json has no equality)
the texts are compared."""

Link = Literal["same", "natural", "names", "named"]
"""How a part's row is found: by the same old id; by the old id or, for target-native rows, by the target columns that the
source's key is made from; by its reference to the first mapping's row; or by that row's reference to it."""

_NULL = "null"
_FORMS = {
    "uuid": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", "smallint": "^-?[0-9]{1,4}$", "integer": "^-?[0-9]{1,9}$",
    "bigint": "^-?[0-9]{1,18}$",
}  # fmt: skip
"""Texts that are ids of a type."""
_CONSTANT = re.compile(r"(?i)(-?[0-9.]+|'(?:[^']|'')*'|true|false|null)(::.+)?")
FEWER_DIGITS = "holds fewer digits of a second, or follows another column"
SAME_ROW = "the source names the same row, which has another id here"
WAITS = ("its row of ", " is not in the source")


@dataclass(frozen=True, slots=True)
class Feed:
    """One way to restore the value of a source column."""

    column: str
    value: str
    """SQL over the joins of its mapping's rows."""
    asked: str
    """The target column that it reads; if that differs, the value is written."""
    null: Literal["meant", "as there", "never"]
    """When a null is a value rather than a missing one: always, if the target column is null too, or never."""
    rank: int
    python: int | None = None
    parent: str = ""
    """The target table of the referenced row, which may be missing from the source."""
    drawn: bool = False
    """A number from the source's own sequence."""
    partial: bool = False
    """A null in the target does not mean a null in the source, because another column is made from the same source column."""


@dataclass(frozen=True, slots=True)
class Part:
    """One mapping of a source table."""

    mapping: Mapping
    link: Link
    link_column: str | None
    """The column by which one row refers to the other."""
    feeds: tuple[Feed, ...]
    joins: tuple[str, ...]
    compared: tuple[MappedColumn, ...]
    own: tuple[str, ...]
    """Target columns without a source column, each with the condition under which it holds something."""
    why: dict[str, str] = field(hash=False)
    """For each compared column: why the source may not be able to hold its value."""
    natural: tuple[Feed, ...] = ()
    """If every column of the source's key is stored in the target: the target columns it is made from. They give
    target-native rows, whose old id does not come from the source, a place in the source."""
    drawn: str = ""
    """The source's sequence that gives target-native rows the missing number of their key."""

    @property
    def target(self) -> str:
        return self.mapping.target.name


def primary(mapping: Mapping) -> bool:
    """Whether foreign keys to the source table of a mapping lead to this mapping."""
    return mapping.namespace == mapping.source.name


def direct_path(project: Project, mapping: Mapping) -> Reference | None:
    """Return the feed that reads the tenant directly, if there is one."""
    root = project.manifest.tenant.table
    return next(
        (
            path
            for path in mapping.tenant_paths
            if path.parent == root and not (path.fallback or path.backward or path.only)
        ),
        None,
    )


def by_id(project: Project, parent: str, alias: str, value: str, child: Mapping, child_alias: str) -> str:
    """Return a condition that finds a target row by its id, using the index that also has the tenant if both sides have
    one."""
    tenant = project.manifest.tenant.column
    same = f" and {alias}.{ident(tenant)} = {child_alias}.{ident(tenant)}"
    return f"{alias}.{ident(ROW_ID)} = {value}" + (same if child.scoped and project.scoped(parent) else "")


def held(position: int, column: str) -> str:
    """Return a column of a part's target row, as named within the comparison."""
    return f"f{position}.{plain_name('t', column)}"


def permitted(feed: Feed, i: int, n: int) -> str:
    """Return a condition: a feed has a value, as opposed to no reverse mapping for this row."""
    if feed.python is not None:
        return f"f{i}.ok{feed.python} is true"
    if feed.null == "meant":
        return "true"
    there = f"f{i}.f{n} is not null"
    return there if feed.null == "never" else f"({there} or {held(i, feed.asked)} is null)"


def waiting(parent: str) -> str:
    """Return the reason for a reference to a target-only row; such rows are examined again when the parent arrives."""
    return parent.join(WAITS)


def _link_column(project: Project, child: Mapping, parent: Mapping) -> str | None:
    """Return the column of one mapping's rows that refers to the row another mapping makes from the same source row."""
    for column in child.columns:
        ref = column.reference
        if ref is not None and ref.columns == child.key and ref.by == parent.key and parent in project.feeding(ref):
            return column.name
    return None


def image(value: str, column: CatalogColumn) -> str:
    """Return a value in a form in which two are equal exactly when they are identical."""
    if base_type(column.type) in _EQUAL_AS_THEY_ARE or column.type_kind == "enum":
        return value
    if is_text(column) and base_type(column.type) in ("text", "character varying") and column.collation is None:
        return value
    return f"{value}::text" if column.type_kind == "array" else f'{value}::text collate "C"'


class Feeds:
    """Compiles the parts of one source table."""

    def __init__(self, project: Project, table: Table, first: Mapping) -> None:
        self.project = project
        self.table = table
        self.name = table.name
        self.first = first
        self.key = first.key

    def part(self, mapping: Mapping) -> Part:
        """Compile one mapping of the table; all others are found from the first one."""
        link: Link = "same"
        link_column = None
        first = self.first
        if mapping is not first:
            names = _link_column(self.project, mapping, first)
            named = _link_column(self.project, first, mapping)
            if names is not None:
                link, link_column = "names", names
            elif named is not None:
                link, link_column = "named", named
        joins: dict[str, None] = {}
        feeds: list[Feed] = []
        keyed: list[Feed] = []
        why: dict[str, str] = {}
        compared: list[MappedColumn] = []
        for column in mapping.columns:
            if column.kind in ("id", "legacy", "account"):
                continue
            compared.append(column)
            partial = may_be_null(column, self._rule(mapping, column))
            made = [replace(feed, partial=partial) for feed in self._feeds(mapping, column, joins)]
            feeds += [feed for feed in made if feed.column not in self.key]
            keyed += [feed for feed in made if feed.column in self.key and feed.python is None]
            why[column.name] = self._why(column, made)
        mapped = {column.name for column in mapping.columns}
        own = [
            f"case when {image(f't.{ident(column.name)}', column)} is distinct from"
            f" {image(f'({column.default or _NULL})::{column.type}', column)} then {literal(column.name)} end"
            for column in mapping.target.columns
            if column.name not in mapped
            and column.name not in _AUDIT
            and column.generated is None
            and column.identity is None
            and _CONSTANT.fullmatch(column.default or _NULL)
        ]
        natural: tuple[Feed, ...] = ()
        drawn = ""
        if mapping is first and not mapping.legacy_prefix:
            best = {feed.column: feed for feed in sorted(keyed, key=lambda feed: -feed.rank)}
            missing = [name for name in self.key if name not in best]
            if len(missing) == 1 and not mapping.keeps_ids:
                sequence = sequence_of(self.project.source, self.name, missing[0])
                drawn = "" if sequence is None else ident(sequence.schema, sequence.name)
                if drawn:
                    best[missing[0]] = self._drawn(mapping, missing[0])
            if best.keys() == set(self.key):
                link, natural = "natural", tuple(best[name] for name in self.key)
        return Part(
            mapping, link, link_column, tuple(feeds), tuple(joins), tuple(compared), tuple(own), why, natural, drawn
        )

    def _drawn(self, mapping: Mapping, name: str) -> Feed:
        """Return the number that was drawn for a target-native row, from the key that the journal holds for it."""
        column = self.table.column(name)
        assert column is not None
        key = "b.source_key" if len(self.key) == 1 else f"(b.source_key::jsonb ->> {self.key.index(name)})"
        held = (
            f"(select {key}::{column.type} from {JOURNAL}.born_part b where b.mapping = {literal(mapping.name)}"
            " and b.legacy_id = t.legacy_id)"
        )
        return Feed(name, held, ROW_ID, "never", 5, drawn=True)

    def _feeds(self, mapping: Mapping, column: MappedColumn, joins: dict[str, None]) -> Iterable[Feed]:
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
            case "json_ids" if source is not None and column.shape is not None:
                value = column.shape.restored(self._json(mapping, column, column.shape, joins))
                yield Feed(source.name, f"({value})::{source.type}", column.name, "as there", 1)
            case "reference" if column.reference is not None:
                yield from self._reference(mapping, column.reference, t, column.name, joins, rank=1)
            case "tenant":
                direct = direct_path(self.project, mapping)
                if direct is not None:
                    yield from self._reference(mapping, direct, t, column.name, joins, rank=3)

    def _rule_has_down(self, mapping: Mapping, column: MappedColumn) -> bool:
        rule = self._rule(mapping, column)
        return rule is not None and rule.down is not None

    def _rule(self, mapping: Mapping, column: MappedColumn) -> ColumnRule | None:
        parts = self.project.manifest.tables[mapping.target.name].parts()
        return parts[mapping.legacy_prefix.removesuffix(":")].columns.get(column.name)

    def _reference(
        self, mapping: Mapping, ref: Reference, t: str, name: str, joins: dict[str, None], *, rank: int
    ) -> Iterable[Feed]:
        """Return the source columns of a reference: the values of the referenced columns in the parent's own source row."""
        if ref.by_value:
            yield self._by_value(ref, t, name, joins, rank=rank)
            return
        feeding = self.project.feeding(ref)
        alias = plain_name("p", name)
        table = ident(self.project.target.schema, ref.parent)
        # A row whose place in the source belongs to another tenant has no source row: references to it wait.
        found_by = by_id(self.project, ref.parent, alias, t, mapping, "t") + no_stranger(
            self.project, ref.parent, alias
        )
        joins[f"left join {table} {alias} on {found_by}"] = None
        found: list[list[str]] = [[] for _ in ref.columns]
        for place, parent in enumerate(feeding):
            key = key_of(parent, f"{alias}.legacy_id")
            if not parent.legacy_prefix and primary(parent):
                born = f"b{place}{alias}"
                joins[
                    f"left join {JOURNAL}.born_part {born} on {born}.mapping = {literal(parent.name)}"
                    f" and {born}.legacy_id = {alias}.legacy_id"
                ] = None
                key = f"coalesce({born}.source_key, {key})"
            key = self._fitting(mapping, ref, parent, key, f"m{place}{alias}", joins)
            row = f"s{place}{alias}"
            same = same_key(self.project.source, parent, row, key)
            joins[f"left join {ident(self.project.source.schema, parent.source.name)} {row} on {same}"] = None
            for n, by in enumerate(ref.by):
                found[n].append(f"{row}.{ident(by)}")
        if unguarded(self.project, mapping, name, ref):
            gone = plain_name("d", name)
            known = deleted_ids(self.project, ref.parent, mapping, f"{t}::text")
            joins[f"left join lateral ({known} and {alias}.{ident(ROW_ID)} is null) {gone} on true"] = None
            found[0].append(f"({gone}.old_id #>> '{{}}')::{self._type_of_key(feeding[0])}")
        for n, here in enumerate(ref.columns):
            column = self.table.column(here)
            assert column is not None
            own = here == ref.named_by
            value = f"{found[n][0] if len(found[n]) == 1 else 'coalesce(' + ', '.join(found[n]) + ')'}::{column.type}"
            # A reference of several columns is null if one of them is: the others may have a meaning of their own.
            yield Feed(here, value, name, "as there" if own else "never", rank if own else 4, parent=ref.parent)

    @staticmethod
    def _type_of_key(parent: Mapping) -> str:
        column = parent.source.column(parent.key[0])
        assert column is not None
        return column.type

    def _by_value(self, ref: Reference, t: str, name: str, joins: dict[str, None], *, rank: int) -> Feed:
        """Return the source column whose value means the row's tenant."""
        alias, held = plain_name("v", name), self.table.column(ref.named_by)
        assert held is not None
        joins[f"left join {REGISTRY} {alias} on {alias}.tenant = {t}"] = None
        return Feed(held.name, f"{alias}.value::{held.type}", name, "as there", rank, parent=ref.parent)

    def _fitting(
        self, mapping: Mapping, ref: Reference, parent: Mapping, key: str, alias: str, joins: dict[str, None]
    ) -> str:
        """Choose among several old rows that were merged into one parent: the one that also leads to the row's tenant."""
        path = next(
            (
                each
                for each in mapping.tenant_paths
                if each.columns == ref.columns and each.parent != ref.parent and not (each.backward or each.only)
            ),
            None,
        )
        if parent.merge is None or path is None or not mapping.scoped or not self.project.scoped(path.parent):
            return key
        tenant = ident(self.project.manifest.tenant.column)
        way = self.project.feeding(path)[0]
        joins[
            f"left join lateral (select c.key from (select {key} as key, 0 as place union all select m.source_key, 1"
            f" from {JOURNAL}.merged m where m.mapping = {literal(parent.name)} and m.into_key = {key}) c"
            f" join {ident(self.project.target.schema, path.parent)} q on q.legacy_id = {legacy_of(way, 'c.key')}"
            f" and q.{tenant} = t.{tenant} order by c.place, c.key limit 1) {alias} on true"
        ] = None
        return f"coalesce({alias}.key, {key})"

    def _json(self, mapping: Mapping, column: MappedColumn, shape: Shape, joins: dict[str, None]) -> str:
        """Replace new ids in a document with old ones. Other values stay, except where the source can only hold ids of rows."""
        value = held_ids(self.project, mapping, column)
        drop = "true" if shape.drops_in_reverse else "false"
        maps = []
        for place, each in enumerate(column.ids):
            alias = plain_name("j", column.name, str(place))
            olds = [old_id(feeding, self._key_in_source(feeding)) for feeding in self.project.by_target[each.parent]]
            old = olds[0] if len(olds) == 1 else f"coalesce({', '.join(olds)})"
            kept = self.project.by_target[each.parent][0].id_type
            form = _FORMS.get(kept, "")
            given = (
                f"case when v.id #>> '{{}}' ~ {literal(form)} then (v.id #>> '{{}}')::{kept} end"
                if form
                else "v.id #>> '{}'"
            )
            found = by_id(self.project, each.parent, "k", "i.id", mapping, "t")
            # Rows that only the target has need not have a number.
            fits = " and jsonb_typeof(o.old_id) = 'number'" if shape.numbers else ""
            joins[
                f"left join lateral (select jsonb_object_agg(i.text, o.old_id) as ids"
                f" from unnest(array(select jsonb_path_query({value}, {literal(each.jsonpath)}::jsonpath))) v (id)"
                f" cross join lateral (select v.id #>> '{{}}' as text, {given} as id) i cross join lateral ("
                f"select {old} as old_id from {ident(self.project.target.schema, each.parent)} k where {found} union all"
                f" ({deleted_ids(self.project, each.parent, mapping, 'i.id::text')} and not exists"
                f" (select from {ident(self.project.target.schema, each.parent)} k where {found}))) o"
                f" where o.old_id is not null{fits}) {alias} on true"
            ] = None
            maps.append(f"{alias}.ids")
        paths = ", ".join(literal(each.path) for each in column.ids)
        return f"{JOURNAL}.json_ids({value}, array[{paths}]::text[], array[{', '.join(maps)}]::jsonb[], {drop})"

    @staticmethod
    def _key_in_source(feeding: Mapping) -> str:
        """Return the source key of a target row `k`, also of a target-native one that has a place in the source."""
        key = key_of(feeding, "k.legacy_id")
        if feeding.legacy_prefix or not primary(feeding):
            return key
        return (
            f"coalesce((select b.source_key from {JOURNAL}.born_part b where b.mapping = {literal(feeding.name)}"
            f" and b.legacy_id = k.legacy_id), {key})"
        )

    def _tenant_row(self, mapping: Mapping) -> str:
        """Return the tenant's row as derived from the source, because the restored value will be derived with that row
        again."""
        deriver = Deriver(self.project, Reading.VERIFY)
        if self.project.tenants_made:
            derived = deriver.tenants_of_source()
        else:
            derived = deriver.derive(self.project.root).statement(f"select d.*{deriver.unfed()} from derived d")
        own = ident(ROW_ID) if mapping.is_root else ident(self.project.manifest.tenant.column)
        return f"left join ({derived}) tenant on tenant.{ident(ROW_ID)} = t.{own}"

    def _why(self, column: MappedColumn, feeds: Sequence[Feed]) -> str:
        """Return why a column may differ from the source even after everything was written."""
        if column.kind == "reference" and not any(feed.column in self.key for feed in feeds):
            return waiting(column.reference.parent) if column.reference is not None else ""
        if column.kind == "tenant":
            return "the source reaches another tenant from here"
        if not feeds:
            return "the manifest names no reverse expression"
        name = feeds[0].column
        if name in self.key:
            return f"{self.name}.{name} is part of the key, which never changes"
        held = self.table.column(name)
        if held is not None and held.identity == "always":
            return f"{self.name}.{name} is GENERATED ALWAYS AS IDENTITY: a number that is there never changes"
        if (
            held is not None
            and held.type.startswith("timestamp(")
            and column.type.startswith("timestamp")
            and held.type.partition("(")[2][:1] < "6"
        ):
            return f"{self.name}.{name} {FEWER_DIGITS}"
        return f"{self.name}.{name} cannot hold the value, or follows another column"
