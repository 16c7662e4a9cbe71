"""What changed in the target's tables since they were made from the manifest's files. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.catalog import Catalog, Column, Table


def changes_since(made: Catalog, now: Catalog) -> tuple[str, ...]:
    """Return tables, columns, constraints and indexes that were added, altered or dropped, as `notes: column body was dropped`."""
    before, after = ({table.name: table for table in each.tables} for each in (made, now))
    return (
        *(f"table {name} was dropped" for name in before.keys() - after.keys()),
        *(f"table {name} was added" for name in after.keys() - before.keys()),
        *(change for name in sorted(before.keys() & after.keys()) for change in _of_table(before[name], after[name])),
    )


def _of_table(before: Table, after: Table) -> Iterator[str]:
    def named(table: Table) -> Iterator[tuple[str, object]]:
        yield from ((f"column {each.name}", _said(each)) for each in table.columns)
        yield from (
            (f"constraint {each.name}", (each.kind, each.columns, each.expression)) for each in table.constraints
        )
        yield from ((f"index {each.name}", (each.columns, each.unique, each.predicate)) for each in table.indexes)

    one, other = dict(named(before)), dict(named(after))
    for what in (*one, *(each for each in other if each not in one)):
        if what not in other or what not in one or one[what] != other[what]:
            how = "dropped" if what not in other else "added" if what not in one else "altered"
            yield f"{before.name}: {what} was {how}"


def _said(column: Column) -> object:
    return column.type, column.nullable, column.default, column.generated, column.identity


__all__ = ["changes_since"]
