"""Keys that columns may refer to, the shapes of their values, and the lookup of sampled values in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tenantry.catalog import Catalog, Table
from tenantry.mapping.values.type_names import INTEGERS, TEXTS
from tenantry.postgres import ident
from tenantry.survey.names import stem
from tenantry.survey.sample import Connection, Sample, base_type, looked_up, read_rows
from tenantry.survey.shapes import STRONG, shape_of, shapes_of


@dataclass(frozen=True, slots=True)
class Key:
    """A column whose values identify the rows of a table, alone or together with the columns in `beside`.

    Attributes:
        primary: it is the primary key, or the first unique key of a table without one.
        beside: columns that precede it in a composite key, such as the company's number.
        rows, low, high: for numbers: their count, minimum and maximum; 0 if unknown.
    """

    table: str
    column: str
    kind: str
    primary: bool
    shapes: Mapping[str, float]
    beside: tuple[str, ...] = ()
    rows: int = 0
    low: int = 0
    high: int = 0

    @property
    def numeric(self) -> bool:
        return self.kind in INTEGERS or self.kind == "numeric"

    @property
    def name(self) -> tuple[str, str, tuple[str, ...]]:
        return self.table, self.column, self.beside


Known = Mapping[tuple[str, str, tuple[str, ...]], set[str]]
"""By key: the values, from all places, that it has."""


def find_keys(
    connection: Connection, catalog: Catalog, tables: Iterable[Table], samples: Mapping[str, Sample]
) -> list[Key]:
    """Return all unique single columns, and the last column of primary keys whose other columns occur in many tables."""
    found = []
    for table in tables:
        sample = samples[table.name]
        unique = [index for index in table.indexes if index.unique and index.predicate is None and index.valid]
        single = {
            str(index.columns[0]): index.primary for index in unique if len(index.columns) == 1 and index.columns[0]
        }
        if single and not any(single.values()) and table.primary_key is None:
            single[next(iter(single))] = True
        for name, primary in single.items():
            key = _key(connection, catalog, table, name, sample, primary=primary)
            if key is not None:
                found.append(key)
        primary_key = table.row_key or ()
        if len(primary_key) > 1:
            key = _key(connection, catalog, table, primary_key[-1], sample, primary=True, beside=primary_key[:-1])
            if key is not None:
                found.append(key)
    return found


def _key(
    connection: Connection,
    catalog: Catalog,
    table: Table,
    name: str,
    sample: Sample,
    *,
    primary: bool,
    beside: tuple[str, ...] = (),
) -> Key | None:
    column = table.column(name)
    kind = base_type(catalog, column) if column is not None else ""
    if kind not in INTEGERS and kind not in TEXTS and kind not in ("uuid", "numeric"):
        return None
    values = sample.distinct(name)
    shapes = shapes_of(values[:300])
    rows = low = high = 0
    if kind in INTEGERS or kind == "numeric":
        numbers = [int(value) for value in values if value.lstrip("-").isdigit()]
        rows, low, high = len(numbers), min(numbers, default=0), max(numbers, default=0)
        if not sample.whole and not beside:
            relation = ident(catalog.schema, table.name)
            read = read_rows(connection, f"select min({ident(name)}), max({ident(name)}) from {relation}")
            if read and not isinstance(read, str) and read[0][0] is not None:
                rows, low, high = max(sample.rows, rows), int(read[0][0]), int(read[0][1])
    return Key(table.name, name, kind, primary, shapes, beside, rows, low, high)


def look_up(connection: Connection, catalog: Catalog, keys: Sequence[Key], values: Iterable[str]) -> Known:
    """By key of one column: the values that it has; one query for each key."""
    by_shape: dict[str, set[str]] = defaultdict(set)
    for value in values:
        by_shape[shape_of(value)].add(value)
    found: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for key in keys:
        wanted = sorted(set().union(*(by_shape[shape] for shape in by_shape if _may_be(shape, key))))
        if key.kind in INTEGERS:
            least, most = INTEGERS[key.kind]
            wanted = [value for value in wanted if least <= int(value) <= most]
        lower = {value.strip("{}").lower(): value for value in wanted} if key.kind == "uuid" else {}
        asked = list(lower) if lower else wanted
        if not asked:
            found[key.name] = set()
            continue
        there = looked_up(connection, ident(catalog.schema, key.table), key.column, key.kind, asked)
        found[key.name] = {lower[v.lower()] for v in there if v.lower() in lower} if lower else there
    return found


def _may_be(shape: str, key: Key) -> bool:
    """Whether a value of this shape may occur in the key."""
    if key.numeric:
        return shape == "integer"
    if key.kind == "uuid":
        return shape == "uuid"
    if shape in key.shapes:
        return True
    # Shapes that overlap: a sample may have shown one, and the value has the other.
    strong = bool(STRONG & set(key.shapes))
    return (strong and shape in STRONG) or (not strong and shape in ("word", "code", "integer") and bool(key.shapes))


def plain_table(name: str, prefixes: frozenset[str]) -> tuple[str, ...]:
    """Return the words of a table's name in the singular, without a common prefix: `t_client` is (client,)."""
    found = stem(name)
    return found[1:] if len(found) > 1 and (found[0] in prefixes or len(found[0]) == 1) else found


def prefixes_of(names: Sequence[str]) -> frozenset[str]:
    """Return first words that carry no meaning: several tables' names begin with them, and no table is named like them."""
    counts: dict[str, int] = defaultdict(int)
    for name in names:
        found = stem(name)
        if len(found) > 1:
            counts[found[0]] += 1
    alone = {stem(name)[0] for name in names if len(stem(name)) == 1}
    return frozenset(
        word for word, count in counts.items() if (count >= 3 and word not in alone) or word in ("tbl", "app", "auth")
    )
