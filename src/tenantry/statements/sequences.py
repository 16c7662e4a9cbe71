"""Moves sequences beyond the largest migrated value."""

from __future__ import annotations

from collections.abc import Collection

from tenantry.catalog import Catalog
from tenantry.catalog import Sequence as CatalogSequence
from tenantry.derivation.numbers import columns_of
from tenantry.mapping import Project
from tenantry.postgres import ident, literal


def sequences(project: Project) -> list[str]:
    """Move identity and serial columns of the target beyond the largest migrated value."""
    return _go_on(project.target, {table.name for table in project.target.tables})


def source_sequences(project: Project) -> list[str]:
    """Do the same for the source, before switching back."""
    return _go_on(project.source, {table.name for table in project.source_tables})


def _go_on(catalog: Catalog, tables: Collection[str]) -> list[str]:
    statements = []
    for sequence, places in columns_of(catalog):
        for table, column in sorted(places):
            if table in tables:
                statements.append(_behind(catalog, sequence, table, column))
    return statements


def _behind(catalog: Catalog, sequence: CatalogSequence, table: str, column: str) -> str:
    largest, beyond, first = ("min", "<", "+") if sequence.increment < 0 else ("max", ">", "-")
    name = literal(ident(sequence.schema, sequence.name))
    # Never backwards: a client may use a drawn value that it has not written yet. If a sequence was dropped meanwhile, there
    # are no numbers to draw.
    return (
        f"select setval(q.id, m.v) from (select to_regclass({name}) as id) q, (select {largest}({ident(column)}) as v from"
        f" {ident(catalog.schema, table)}) m where q.id is not null and m.v is not null"
        f" and m.v {beyond} coalesce(pg_sequence_last_value(q.id), m.v {first} 1)"
    )
