"""References that no foreign key states, by evidence from the data: the values of a column that a key of another table has.

Values of an id's shape (a cuid, a uuid) are in two tables only if one names the other, so that a few of them are enough. Numbers
and short codes are in many tables by chance: for these names have to agree, and nearly all values have to be found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tenantry.catalog import Catalog, Table
from tenantry.postgres import ident
from tenantry.survey.model import ExternalIds, IdShape, Place, Reference
from tenantry.survey.names import agrees, names_a_person, names_ids, stem
from tenantry.survey.places import Found, pairs_of, places_of
from tenantry.survey.sample import NUMBERS, TEXTS, Connection, Sample, base_type, looked_up
from tenantry.survey.shapes import STRONG, is_strong, shape_of, shapes_of

_STRONG_SHARE = 0.3
_WEAK_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Key:
    """A column whose values tell the rows of a table from each other."""

    table: str
    column: str
    kind: str
    primary: bool
    shapes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Match:
    """A place whose values were looked up in a key."""

    key: Key
    values: int
    found: int
    strong: bool

    @property
    def share(self) -> float:
        return self.found / self.values if self.values else 0.0


@dataclass(frozen=True, slots=True)
class Discovered:
    references: tuple[Reference, ...]
    external: tuple[ExternalIds, ...]
    ids: tuple[IdShape, ...]


def discover_references(
    connection: Connection, catalog: Catalog, samples: Mapping[str, Sample], people: Sequence[str]
) -> Discovered:
    """All references: the declared ones, and those that the data shows.

    Args:
        people: tables of persons, the likeliest first: `author` and `created_by` name one of these.
    """
    tables = [table for table in catalog.tables if table.name in samples]
    keys = _keys(catalog, tables, samples)
    places = {table.name: places_of(catalog, table, samples[table.name]) for table in tables}
    known = _look_up(connection, catalog, keys, [each for found in places.values() for each in found])
    references: list[Reference] = []
    external: list[ExternalIds] = []
    for table in tables:
        declared = list(_declared(catalog, table))
        references += declared
        stated = {column for each in declared for column in each.columns}
        found = _Finder(table, samples[table.name], keys, known, people).find(places[table.name], stated)
        references += found
        references += _by_name(
            catalog, table, keys, stated | {each.place.column for each in places[table.name]}, people
        )
        taken = {each.place for each in found}
        external += _external(table, places[table.name], taken, stated)
    ids = tuple(
        IdShape(key.table, key.column, key.kind, {k: v for k, v in key.shapes.items() if v >= 0.005})
        for key in keys
        if key.primary
    )
    return Discovered(tuple(references), tuple(external), ids)


def _keys(catalog: Catalog, tables: Iterable[Table], samples: Mapping[str, Sample]) -> list[Key]:
    found = []
    for table in tables:
        single = {index.columns[0]: index.primary for index in table.indexes
                  if index.unique and len(index.columns) == 1 and index.columns[0] and index.predicate is None}  # fmt: skip
        for name, primary in single.items():
            column = table.column(str(name))
            if column is None:
                continue
            kind = base_type(catalog, column)
            if kind in NUMBERS or kind in TEXTS or kind in ("uuid", "numeric"):
                shapes = shapes_of(samples[table.name].distinct(column.name)[:300])
                found.append(Key(table.name, column.name, kind, primary, shapes))
    return found


def _look_up(
    connection: Connection, catalog: Catalog, keys: Sequence[Key], places: Sequence[Found]
) -> dict[tuple[str, str], set[str]]:
    """By key the values, of all places, that it has: one query for a key."""
    by_shape: dict[str, set[str]] = defaultdict(set)
    for each in places:
        for value in each.values:
            by_shape[shape_of(value)].add(value)
    found: dict[tuple[str, str], set[str]] = {}
    for key in keys:
        wanted = sorted(set().union(*(by_shape[shape] for shape in by_shape if _may_be(shape, key))))
        lower = {value.strip("{}").lower(): value for value in wanted} if key.kind == "uuid" else {}
        asked = list(lower) if lower else wanted
        if not asked:
            found[key.table, key.column] = set()
            continue
        there = looked_up(connection, ident(catalog.schema, key.table), key.column, key.kind, asked)
        found[key.table, key.column] = {lower[v.lower()] for v in there if v.lower() in lower} if lower else there
    return found


def _may_be(shape: str, key: Key) -> bool:
    """Whether a value of this shape may stand in the key."""
    if key.kind in NUMBERS or key.kind == "numeric":
        return shape == "integer"
    if key.kind == "uuid":
        return shape == "uuid"
    if shape in key.shapes:
        return True
    # Shapes that overlap: a sample may have shown one, and the value has the other.
    return bool(STRONG & set(key.shapes)) and shape in STRONG


def _declared(catalog: Catalog, table: Table) -> Iterable[Reference]:
    for each in table.foreign_keys:
        if each.ref_schema == catalog.schema and each.ref_table is not None and not each.inherited:
            yield Reference(
                Place(table.name, each.columns[0]), each.ref_table, each.ref_columns, each.columns, declared=True,
                reasons=(f"foreign key {each.name}",),
            )  # fmt: skip


def _by_name(
    catalog: Catalog, table: Table, keys: Sequence[Key], stated: set[str], people: Sequence[str]
) -> Iterable[Reference]:
    """Columns without a value, of which the name alone speaks; what they are taken for is not proved."""
    for column in table.columns:
        kind = base_type(catalog, column)
        if column.name in stated or not names_ids(column.name) or column.name in (table.row_key or ()):
            continue
        near = [
            (
                agrees(column.name, key.table) + (2 if names_a_person(column.name) and key.table in people[:1] else 0),
                key,
            )
            for key in keys
            if key.primary and (key.kind == kind or {key.kind, kind} <= set(TEXTS) or {key.kind, kind} <= set(NUMBERS))
        ]
        best = max(near, key=lambda pair: pair[0], default=None)
        if best is not None and best[0] >= 2:
            yield Reference(
                Place(table.name, column.name), best[1].table, (best[1].column,), (column.name,),
                reasons=("the names agree; there is no value that could prove it",),
            )  # fmt: skip


class _Finder:
    """The undeclared references of one table."""

    def __init__(
        self,
        table: Table,
        sample: Sample,
        keys: Sequence[Key],
        known: Mapping[tuple[str, str], set[str]],
        people: Sequence[str],
    ) -> None:
        self._table, self._sample, self._keys, self._known, self._people = table, sample, keys, known, people

    def find(self, places: Sequence[Found], stated: set[str]) -> list[Reference]:
        found: list[Reference] = []
        done: set[Place] = set()
        for type_, each in self._pairs(places):
            pair = self._polymorphic(type_, each)
            if pair and each.place not in done and each.place.column not in stated:
                found += pair
                done.add(each.place)
        for each in places:
            if each.place in done or (each.place.form == "value" and each.place.column in stated):
                continue
            best = self._best(each)
            if best is not None:
                found.append(best)
        return _without_repeats(found)

    # -- one table ----------------------------------------------------------------------------------------------------

    def _best(self, each: Found, values: Iterable[str] | None = None) -> Reference | None:
        """The parent that the place most likely names."""
        looked = list(each.values if values is None else values)
        matches = [match for key in self._keys if (match := self._match(each.place, key, looked)) is not None]
        ranked = sorted(((self._rank(each, match), match) for match in matches), key=lambda pair: pair[0], reverse=True)
        if not ranked or ranked[0][0] <= (0,):
            return None
        match = ranked[0][1]
        return Reference(
            each.place, match.key.table, (match.key.column,), (each.place.column,), values=match.values, found=match.found,
            reasons=tuple(self._reasons(each.place, match)),
        )  # fmt: skip

    def _match(self, place: Place, key: Key, values: Sequence[str]) -> Match | None:
        if (key.table, key.column) == (place.table, place.column):
            return None
        if place.table == key.table and not key.primary:
            return None
        there = self._known[key.table, key.column]
        found = [value for value in values if value in there]
        if not found:
            return None
        strong = sum(is_strong(value) for value in found) * 2 > len(found)
        return Match(key, len(values), len(found), strong)

    def _rank(self, each: Found, match: Match) -> tuple[float, ...]:
        """(0,) where it is no reference; else the greater the likelier."""
        place, key = each.place, match.key
        name = place.path.rpartition(".")[2] if place.form == "json" and place.path else place.column
        name = name.replace("[*]", "").replace("*", "") or place.column
        agreement = max(agrees(name, key.table), agrees(place.column, key.table) if place.form != "value" else 0)
        if place.form == "embedded":
            agreement = max(agreement, agrees(place.pattern.replace("{}", ""), key.table))
        person = names_a_person(name) and key.table in self._people
        if self._is_own_key(place) and not (match.strong and match.share >= _WEAK_SHARE and key.primary):
            return (0,)
        if match.strong:
            if not key.primary and not agreement and match.share < _WEAK_SHARE:
                return (0,)
            if match.share < _STRONG_SHARE and match.found < 3:
                return (0,)
            return (1, match.share, key.primary, agreement, person, -self._rows_rank(key))
        if not self._weak_holds(each, match, name, agreement, person):
            return (0,)
        near = agreement + (2.5 if person else 0)
        return (1, match.share >= _WEAK_SHARE, near, key.primary, match.share)

    def _weak_holds(self, each: Found, match: Match, name: str, agreement: int, person: bool) -> bool:
        """Whether values that may be there by chance are taken for a reference."""
        place, key = each.place, match.key
        if match.share < _WEAK_SHARE:
            return False
        numbers = all(shape_of(value) == "integer" for value in list(each.values)[:20])
        if numbers:
            if place.form == "embedded":
                return agreement >= 1 and key.primary
            says = names_ids(name) or place.form in ("element", "json key") or person
            # "author" without _id, and a column that is called as the table is in the singular.
            says = says or stem(name) == stem(key.table)
            return says and key.primary and (agreement >= 1 or person)
        if not key.primary:
            # A natural key: country_code names countries.code.
            same = name == key.column or stem(name)[-1:] == stem(key.column)[-1:]
            return match.values >= 2 and (agreement >= 2 or (agreement >= 1 and same)) and match.share == 1
        if agreement or person:
            return True
        only = [k for k in self._keys if self._known[k.table, k.column] >= set(each.values)]
        return names_ids(name) and match.values >= 2 and len(only) == 1

    def _is_own_key(self, place: Place) -> bool:
        key = self._table.row_key or ()
        return place.form == "value" and key == (place.column,)

    def _rows_rank(self, key: Key) -> int:
        return 0 if key.primary else 1

    def _reasons(self, place: Place, match: Match) -> Iterable[str]:
        yield f"{match.found} of {match.values} sampled values are in {match.key.table}.{match.key.column}"
        if match.strong:
            yield "their shape is that of ids, which no two tables share by chance"
        if agrees(place.column, match.key.table):
            yield "the names agree"
        elif names_a_person(place.column) and match.key.table in self._people:
            yield "the name says a person"
        if not match.key.primary:
            yield f"{match.key.column} is unique, but not the primary key"

    # -- one of several tables ----------------------------------------------------------------------------------------

    def _pairs(self, places: Sequence[Found]) -> list[tuple[str, Found]]:
        """Pairs by their names first, then those that the values alone show."""
        found = list(pairs_of(self._table, list(places)))
        few = [
            column for column in self._sample.columns
            if 2 <= len(set(filter(None, self._sample.column(column)))) <= 20
            and all(shape_of(value or "") in ("word", "code") for value in self._sample.distinct(column))
        ]  # fmt: skip
        for each in places:
            if each.place.form == "value" and sum(is_strong(value) for value in each.values) * 2 > len(each.values):
                found += [(column, each) for column in few if column != each.place.column]
        return found

    def _polymorphic(self, type_: str, each: Found) -> list[Reference]:
        """References by the value of the column that names the table; empty where it does not decide."""
        named = type_ in self._sample.columns and any(
            pair[0] == type_ and pair[1] is each for pair in pairs_of(self._table, [each])
        )
        types = self._sample.column(type_)
        groups: dict[str, dict[str, None]] = defaultdict(dict)
        for row, values in each.by_row.items():
            kind = types[row] if 0 <= row < len(types) else None
            if kind:
                groups[kind].update(dict.fromkeys(values))
        found: list[Reference] = []
        for kind, group in sorted(groups.items()):
            best = self._of_type(kind, type_, each, list(group), named)
            if best is not None:
                found.append(replace(best, when=(type_, kind)))
        parents = {each.parent for each in found}
        if named:
            return found
        # Without the names of a pair: each value of the type leads to one table, and there are several.
        return found if len(parents) >= 2 and len(found) >= len(groups) * 0.6 and len(parents) == len(found) else []

    def _of_type(self, kind: str, type_: str, each: Found, values: list[str], named: bool) -> Reference | None:
        asked = values[:200]
        matches = [
            match for key in self._keys if key.primary and (match := self._match(each.place, key, asked)) is not None
        ]
        strong = [match for match in matches if match.strong and (match.share >= _STRONG_SHARE or match.found >= 3)]
        if strong:
            match = max(strong, key=lambda one: (one.share, agrees(kind, one.key.table)))
        else:
            near = [
                match
                for match in matches
                if match.share >= _WEAK_SHARE and named and _type_names(kind, match.key.table)
            ]
            if not near:
                return None
            match = max(near, key=lambda one: (_type_names(kind, one.key.table), one.share))
        said = f"where {type_} is {kind!r}, {match.found} of {match.values} sampled values are in {match.key.table}.{match.key.column}"
        return Reference(
            each.place, match.key.table, (match.key.column,), (each.place.column,), values=match.values, found=match.found,
            reasons=(said,),
        )  # fmt: skip


def _type_names(kind: str, table: str) -> int:
    """How well the value of a type column names a table: `App\\Models\\BlogPost`, `blog.post` and `post` name blog_posts."""
    last = kind.replace("::", "\\").replace(".", "\\").replace(":", "\\").rpartition("\\")[2]
    whole = agrees(kind.replace("\\", "_").replace(".", "_").replace("::", "_"), table)
    return max(agrees(last, table), whole)


def _without_repeats(found: Sequence[Reference]) -> list[Reference]:
    """A document's keys and the text around them may say the same twice."""
    kept: dict[tuple[object, ...], Reference] = {}
    for each in found:
        kept.setdefault((each.place, each.parent, each.when), each)
    return list(kept.values())


def _external(table: Table, places: Sequence[Found], taken: set[Place], stated: set[str]) -> Iterable[ExternalIds]:
    key = set(table.row_key or ())
    for each in places:
        place = each.place
        if (
            place in taken
            or place.column in stated
            or place.form == "embedded"
            or (place.form == "value" and place.column in key)
        ):
            continue
        values = list(each.values)
        strong = sum(is_strong(value) for value in values)
        if strong * 2 > len(values) and len(values) >= 2 and place.form == "value" and names_ids(place.column):
            shape = next(iter(shapes_of(values)))
            prefix = values[0].partition("_")[0] + "_" if shape == "prefixed" else ""
            yield ExternalIds(place, shape, prefix)
