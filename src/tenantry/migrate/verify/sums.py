"""Checksums of rows by key range, on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.derivation.derived import Reading, within
from tenantry.derivation.forward import Deriver
from tenantry.derivation.ids import key_parts
from tenantry.derivation.keys import key_parts_sql, operator
from tenantry.derivation.reverse.strangers import without_strangers
from tenantry.journal.journal import Chunk, Connection, Journal
from tenantry.journal.names import JOURNAL
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.legacy_ids import from_part, source_key
from tenantry.mapping.values.type_names import base_type
from tenantry.migrate.copy.ranges import range_condition
from tenantry.postgres import ident, literal, verbatim

MOST_RANGES = 64
_HASHED_AS_THEY_ARE = {
    "bigint", "boolean", "bytea", "character", "character varying", "date", "integer", "smallint",
    "text", "time without time zone", "timestamp with time zone", "timestamp without time zone", "uuid",
}  # fmt: skip
"""Types whose own hash distinguishes all values; enums too. Others are hashed as text: PostgreSQL's hash of a number ignores
its sign, also within jsonb, arrays, ranges and domains of numbers, and its hash of intervals equates 30 days with a month."""


_ROW = 1_000
NO_KEY = -1
"""The range number of rows whose legacy id is no key of the source table."""

Sum = tuple[int, int | None]
"""The number of rows, and their combined checksum."""


def key_ranges(connection: Connection, journal: Journal, mapping: Mapping) -> list[Chunk]:
    """Return the copy's key ranges in the order of the key (halving has changed it); many ranges are joined with their neighbours."""
    chunks = {chunk.position: chunk for chunk in journal.chunks(connection, mapping.name)}
    held = [column for name in mapping.key if (column := mapping.source.column(name)) is not None]
    texts = [f"(high::jsonb ->> {i})" for i in range(len(held))] if len(held) > 1 else ["high"]
    order = ", ".join(
        f"{text}::{column.type}{_collate(column)} using {operator(column, '<')}"
        for text, column in zip(texts, held, strict=True)
    )
    rows = connection.execute(
        f"select position from {JOURNAL}.chunk where run_id = %s and mapping = %s order by high is null, {verbatim(order)}",
        [journal.run, mapping.name],
    )
    # Without ranges in the journal all rows form one range.
    ordered = [chunks[row[0]] for row in rows] or [Chunk(0, None, None)]
    size = -(-len(ordered) // MOST_RANGES) or 1
    return [
        Chunk(position, ordered[first].low, ordered[min(first + size, len(ordered)) - 1].high)
        for position, first in enumerate(range(0, len(ordered), size))
    ]


def expected_sum(connection: Connection, project: Project, mapping: Mapping, chunk: Chunk) -> Sum:
    """Compute the expected checksum of a key range from the source."""
    derivation = Deriver(project, Reading.VERIFY, corrected=corrected_mappings(connection)).derive(mapping)
    statement = derivation.statement(
        f"select count(*), bit_xor({row_hash(mapping.target, compared_columns(mapping), 'd')}) from derived d"
    )
    row = connection.execute(within(statement, range_condition(mapping, chunk.low, chunk.high))).fetchone()
    assert row is not None
    return int(row[0]), row[1]


def found_sums(connection: Connection, project: Project, mapping: Mapping, bounds: Sequence[str]) -> dict[int, Sum]:
    """Compute the checksum of each key range of the target."""
    sql = (
        f"select {key_range(project, mapping, source_key(mapping, 't'), bounds)}, count(*),"
        f" bit_xor({row_hash(mapping.target, compared_columns(mapping), 't')})"
        f" from {target_rows(project, mapping)} t{from_part(mapping, ' where')} group by 1"
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(sql)}


def compared_columns(mapping: Mapping) -> list[MappedColumn]:
    """Return the columns that checksums cover: not those that Python made, since encryption gives another text each time."""
    return [column for column in mapping.columns if column.kind != "python"]


def _collate(column: CatalogColumn) -> str:
    return f" collate {column.collation}" if column.collation else ""


def corrected_mappings(connection: Connection) -> frozenset[str]:
    """Return mappings with rows that were retried with corrected values: those count, not the values of the fenced source."""
    return frozenset(
        row[0]
        for row in connection.execute(
            f"select distinct mapping from {JOURNAL}.quarantine where state = 'readmitted' and patch <> '{{}}'"
        )
    )


def target_rows(project: Project, mapping: Mapping) -> str:
    """Return the target's table, without strangers (rows whose place in the source is another tenant's)."""
    return without_strangers(project, mapping.target.name)


def row_hash(table: Table, columns: Sequence[MappedColumn], alias: str) -> str:
    values = []
    for column in columns:
        value = f"{alias}.{ident(column.name)}"
        there = table.column(column.name)
        kind = base_type(column.type)
        if kind in ("character varying", "text") and there is not None and there.collation:
            # Under the column's own collation, different texts may be equal.
            values.append(f'{value} collate "C"')
        elif kind in _HASHED_AS_THEY_ARE or (there is not None and there.type_kind == "enum"):
            values.append(value)
        elif kind == "numeric" and kind == column.type:
            # The hash of a numeric ignores its sign, and equates NaN and infinity.
            values += [value, f"{value} < 0", f"{value} = 'NaN'"]
        else:
            values.append(f"{value}::text")
    if len(values) > _ROW:
        # A row has at most 1,664 entries; nested rows have no hash, so their hashes are taken first.
        parts = (values[first : first + _ROW] for first in range(0, len(values), _ROW))
        values = [f"hash_record_extended(row({', '.join(part)}), 0)" for part in parts]
    return f"hash_record_extended(row({', '.join(values)}), 0)"


def key_range(project: Project, mapping: Mapping, key: str, bounds: Sequence[str]) -> str:
    """Return SQL of the number of a row's key range, by binary search among the ranges' inclusive upper ends; NO_KEY for a
    text that is no key of the source table, e.g. the legacy id of a target-native row."""
    parts = key_parts_sql(project.source, mapping, key)
    held = [column for name in mapping.key if (column := mapping.source.column(name)) is not None]
    if len(held) == 1:
        value = f"({parts[0]}){_collate(held[0])}"
        if operator(held[0], "<") == "<":
            ends = ", ".join(f"{literal(bound)}::{held[0].type}" for bound in bounds)
            # width_bucket counts ends <= key; ranges include their upper end, so ends < key are needed: equal ends are subtracted.
            found = f"width_bucket({value}, array[{ends}]) - (({value}) = any (array[{ends}]))::int" if bounds else "0"
        else:
            found = _counted(f"({value} {operator(held[0], '>')} {literal(bound)}::{held[0].type})" for bound in bounds)
        known = f"({parts[0]}) is not null"
    else:
        found = _counted(
            "(row({}) > row({}))".format(
                ", ".join(parts),
                ", ".join(
                    f"{literal(text)}::{column.type}"
                    for text, column in zip(key_parts(mapping.key, bound), held, strict=True)
                ),
            )
            for bound in bounds
        )
        known = f"num_nulls({', '.join(parts)}) = 0"
    if parts[0] == key:  # any text is a key
        return found
    return f"case when {known} then {found} else {NO_KEY} end"


def _counted(conditions: Iterable[str]) -> str:
    return " + ".join(f"{condition}::int" for condition in conditions) or "0"


__all__ = [
    "MOST_RANGES",
    "NO_KEY",
    "Sum",
    "compared_columns",
    "corrected_mappings",
    "expected_sum",
    "found_sums",
    "key_range",
    "key_ranges",
    "row_hash",
    "target_rows",
]
