"""Disk and WAL that a migration needs, from the source's sizes and the target's definition: upper bounds, not promises.

docs/explanation/estimates.md describes the model and its constants.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tenantry.catalog import Index, Table
from tenantry.mapping import Project
from tenantry.mapping.project import LEGACY_ID

_ROW_BYTES = 80
"""A row of the source whose table has no statistics: without indexes."""
_TENANT_BYTES = 16
_LEGACY_BYTES = 26
_WAL_OF_ROW = 46
"""Bytes of WAL for each inserted row, besides the row."""
_SCHEMA_BYTES, _SCHEMA_BYTES_OF_TABLE = 4_000_000, 60_000
_SCHEMA_WAL, _SCHEMA_WAL_OF_TABLE = 4_000_000, 100_000
"""The journal, accounts, functions and policies, and what each target table adds to the system catalogs."""
_ENTRY_BYTES = 12
"""Header and pointer of an index entry."""
_FILL = 0.9
_WIDTHS = {
    "uuid": 16, "bigint": 8, "integer": 4, "smallint": 2, "boolean": 1, "date": 4, "real": 4, "double precision": 8,
}  # fmt: skip
_TIME_BYTES = 8
_OTHER_BYTES = 24


@dataclass(frozen=True, slots=True)
class TableSize:
    """What one target table will take, in bytes.

    Attributes:
        estimated_rows: whether PostgreSQL has never counted the source's rows: their number is derived from its size.
    """

    table: str
    rows: int
    heap: int
    indexes: int
    wal: int
    estimated_rows: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a migration writes, in bytes."""

    tables: tuple[TableSize, ...]
    source: int
    target_tables: int = 0

    @property
    def disk(self) -> int:
        """The target with its indexes, the journal and the definitions, and room to sort the largest index."""
        largest = max((each.heap for each in self.tables), default=0)
        schema = _SCHEMA_BYTES + _SCHEMA_BYTES_OF_TABLE * self.target_tables
        return sum(each.heap + each.indexes for each in self.tables) + largest + schema

    @property
    def wal(self) -> int:
        return sum(each.wal for each in self.tables) + _SCHEMA_WAL + _SCHEMA_WAL_OF_TABLE * self.target_tables

    def to_json(self) -> dict[str, object]:
        return {
            "disk_bytes": self.disk,
            "wal_bytes": self.wal,
            "source_bytes": self.source,
            "tables": [asdict(each) for each in self.tables],
        }


def sizes(project: Project, rows: dict[str, int]) -> Sizes:
    """Estimate the size of every target table that is filled.

    Args:
        rows: the expected number of rows, by source table.
    """
    parts: dict[str, list[tuple[int, int, bool]]] = {}
    for mapping in project:
        source, count = mapping.source, rows[mapping.source.name]
        width = _row_bytes(source)
        parts.setdefault(mapping.target.name, []).append((count, width, source.row_estimate < 0))
    made = []
    for name, fed in parts.items():
        table = project.target.table(name)
        assert table is not None
        added = _TENANT_BYTES * any(m.scoped for m in project.by_target[name])
        added += _LEGACY_BYTES * (table.column(LEGACY_ID) is not None)
        count = sum(each[0] for each in fed)
        heap = sum(number * (width + added) for number, width, _ in fed)
        indexes = sum(_index_bytes(table, index, count) for index in table.indexes)
        wal = heap + count * _WAL_OF_ROW + indexes
        made.append(TableSize(name, count, heap, indexes, wal, any(each[2] for each in fed)))
    return Sizes(
        tuple(made), sum(_stored(project, table) for table in project.source_tables), len(project.target.tables)
    )


def _stored(project: Project, table: Table) -> int:
    """Return the size of a table with its indexes; of a partitioned one, that of its partitions."""
    if table.kind != "partitioned":
        return table.size_bytes
    leaves = (project.source.table(each.name) for each in table.below if each.schema == table.schema)
    return sum(leaf.size_bytes for leaf in leaves if leaf is not None)


def _row_bytes(table: Table) -> int:
    heap = table.size_bytes - sum(index.size_bytes for index in table.indexes)
    if table.kind == "partitioned" or table.row_estimate <= 0 or heap <= 0:
        return _ROW_BYTES
    return max(24, round(heap / table.row_estimate))


def _index_bytes(table: Table, index: Index, rows: int) -> int:
    width = sum(_width(table, name) for name in (*index.columns, *index.included))
    return round(rows * (width + _ENTRY_BYTES) / _FILL)


def _width(table: Table, name: str | None) -> int:
    column = None if name is None else table.column(name)
    if column is None:
        return _OTHER_BYTES
    if column.type.startswith("time"):
        return _TIME_BYTES
    return _WIDTHS.get(column.type, _OTHER_BYTES)
