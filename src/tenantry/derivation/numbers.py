"""Numbers drawn from sequences, and numbers that applications assign themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.catalog import Catalog, Sequence
from tenantry.mapping.project import MappedColumn, Mapping, Project
from tenantry.mapping.values.type_names import INTEGERS, base_type
from tenantry.postgres import ident, literal

Place = tuple[str, str]
"""A table and one of its columns."""


def columns_of(catalog: Catalog) -> list[tuple[Sequence, frozenset[Place]]]:
    """Return the sequences, each with the columns it fills; a sequence need not be owned by one of them."""
    found = []
    for sequence in catalog.sequences:
        names = set() if sequence.owned_by is None else {(sequence.owned_by[-2], sequence.owned_by[-1])}
        call = f"nextval({literal(ident(sequence.schema, sequence.name))}"
        names |= {
            (table.name, column.name)
            for table in catalog.tables
            for column in table.columns
            if column.default is not None
            and column.default.startswith(call)
            and base_type(column.type) in INTEGERS
            and table.owner == sequence.owner
        }
        found.append((sequence, frozenset(names)))
    return found


def sequence_of(catalog: Catalog, table: str, column: str) -> Sequence | None:
    """Return the sequence that numbers a column."""
    return next((sequence for sequence, places in columns_of(catalog) if (table, column) in places), None)


def carried_numbers(project: Project) -> Iterator[tuple[Mapping, MappedColumn]]:
    """Return the integer columns that are copied from one source column and in which every number must be unique."""
    for mapping in project:
        unique = {
            name
            for index in mapping.target.indexes
            if index.unique
            for name in index.columns
            if name is not None and len([each for each in index.columns if each != project.manifest.tenant.column]) == 1
        }
        for column in mapping.columns:
            if (
                column.name in unique
                and column.kind in ("value", "id")
                and column.source is not None
                and base_type(column.type) in INTEGERS
            ):
                yield mapping, column


__all__ = ["Place", "carried_numbers", "columns_of", "sequence_of"]
