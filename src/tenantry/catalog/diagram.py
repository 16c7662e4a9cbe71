"""Draws a schema as a Mermaid entity-relationship diagram, with key columns only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.catalog.model import Catalog, Column, Constraint, Table

# Mermaid reads these as one word inside an entity.
_NOT_IN_WORDS = re.compile(r"[^A-Za-z0-9_\[\]()\-\u00c0-\uffff]+")
_NOT_IN_STRINGS = re.compile(r'["%\\\s]+')
_SHORT_TYPES = (
    (re.compile(r"\b(time|timestamp)(\(\d\))? with time zone"), r"\1tz\2"),
    (re.compile(r"\b(time|timestamp)(\(\d\))? without time zone"), r"\1\2"),
    (re.compile(r"\bcharacter varying\b"), "varchar"),
    (re.compile(r"\bcharacter\b"), "char"),
    (re.compile(r"\bdouble precision\b"), "float8"),
)


def entity_diagram_mermaid(catalog: Catalog) -> str:
    """Return the tables of a schema with their primary, foreign and unique key columns, and a line for each foreign key.

    A line is solid if the reference is part of the child's primary key. The parent's end shows whether the parent is
    required, the child's whether there can be more than one. Partitions are omitted; their parent represents them.
    """
    tables = [table for table in catalog.tables if table.partition_of is None]
    lines = ["erDiagram"]
    for table in tables:
        lines.extend(_entity(catalog, table))
    for table in tables:
        lines.extend(f"    {_relation(catalog, table, key)}" for key in table.foreign_keys)
    return "\n".join(lines) + "\n"


def _entity(catalog: Catalog, table: Table) -> Iterator[str]:
    marked = [(column, marks) for column in table.columns if (marks := _marks(table, column.name))]
    name = _quoted(table.name)
    if not marked:
        yield f"    {name}"
        return
    yield f"    {name} {{"
    for column, marks in marked:
        word = _word(column.name)
        original = "" if word == column.name else f" {_quoted(column.name)}"
        yield f"        {_type(catalog, column)} {word} {', '.join(marks)}{original}"
    yield "    }"


def _marks(table: Table, column: str) -> list[str]:
    primary = table.primary_key is not None and column in table.primary_key.columns
    foreign = any(column in key.columns for key in table.foreign_keys)
    unique = any(column in key for key in _unique_keys(table))
    return [mark for mark, holds in (("PK", primary), ("FK", foreign), ("UK", unique and not primary)) if holds]


def _unique_keys(table: Table) -> list[tuple[str, ...]]:
    """Return the column lists that are unique."""
    return [key.columns for key in (*table.uniques, table.primary_key) if key is not None] + [
        tuple(column for column in index.columns if column is not None)
        for index in table.indexes
        if index.unique and index.valid and index.predicate is None and None not in index.columns
    ]


def _relation(catalog: Catalog, table: Table, key: Constraint) -> str:
    columns = [column for column in map(table.column, key.columns) if column is not None]
    parent_end = "|o" if any(column.nullable for column in columns) else "||"
    child_end = "o|" if any(set(unique) <= set(key.columns) for unique in _unique_keys(table)) else "o{"
    identifying = table.primary_key is not None and set(key.columns) <= set(table.primary_key.columns)
    parent = key.ref_table or ""
    if key.ref_schema != catalog.schema:
        parent = f"{key.ref_schema}.{parent}"
    line = "--" if identifying else ".."
    label = _quoted(", ".join(key.columns))
    return f"{_quoted(parent)} {parent_end}{line}{child_end} {_quoted(table.name)} : {label}"


def _type(catalog: Catalog, column: Column) -> str:
    text = column.type
    if column.type_kind != "base" and column.type_schema == catalog.schema and column.element_type is None:
        text = column.type_name
    else:
        for long, short in _SHORT_TYPES:
            text = long.sub(short, text)
    return _word(text)


def _word(text: str) -> str:
    word = _NOT_IN_WORDS.sub("_", text)
    return word if re.match(r"[A-Za-z_\u00c0-\uffff]", word) and word not in ("PK", "FK", "UK") else f"_{word}"


def _quoted(text: str) -> str:
    """Quote a name in all cases: a table's name may be a keyword of Mermaid."""
    return f'"{_NOT_IN_STRINGS.sub(" ", text)}"'
