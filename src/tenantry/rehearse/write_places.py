"""Rows that synthetic writes change, and the statements that change them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenantry.catalog import Column as CatalogColumn
from tenantry.journal.journal import Connection
from tenantry.postgres import ident
from tenantry.rehearse.contexts import ClientContexts

KEY, VALUE = "/* key */", "/* value */"
"""Marks for parameters in statements: names may contain any character, also the percent sign."""


@dataclass(slots=True)
class WritePlace:
    """Some rows of one table, and the column that is written in them.

    Attributes:
        find: the condition that finds a row, by the text of its key.
        column: None if no column can be changed without harm: then rows are rewritten unchanged.
        before: key → the column's value as text.
        also: columns that the table's triggers change with such a write.
        callers: key → the account in whose context the row is written; empty in the source, which has no contexts.
    """

    table: str
    sql: str
    relation: tuple[str, str]
    """Schema and name of the table."""
    source: str
    """The rows' source table."""
    find: str
    column: CatalogColumn | None
    forth: str
    same: str
    """An assignment that changes nothing."""
    keys: tuple[str, ...]
    before: dict[str, str | None] = field(default_factory=dict)
    also: frozenset[str] = frozenset()
    callers: dict[str, str] = field(default_factory=dict)


def enter(writer: Connection, place: WritePlace, key: str, contexts: ClientContexts | None) -> None:
    """Open the context for a row in the writer's transaction; the source has no contexts."""
    if contexts is not None:
        contexts.open(writer, place.callers[key])


def ready(statement: str) -> bytes:
    """Return a statement with parameters instead of the marks."""
    text = statement.replace("%", "%%").replace(KEY, "%(key)s::text").replace(VALUE, "%(value)s::text")
    return text.encode()


def assignment_of(place: WritePlace) -> str:
    return f"{ident(place.column.name)} = {place.forth}" if place.column is not None else place.same
