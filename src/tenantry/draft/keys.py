"""Drafts unique keys, indexes, checks and foreign keys of a table."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.catalog import Table
from tenantry.draft.context import Drafting
from tenantry.draft.model import DraftTable, Question


def add_keys_and_indexes(work: Drafting, table: Table, made: DraftTable) -> None:
    """Draft unique keys, which become unique within a tenant, and checks, which follow their columns."""
    key = table.row_key or ()
    for index in table.indexes:
        if index.method != "btree" or not index.valid:
            continue
        columns = [made.of_source(str(name)) if name else None for name in index.columns]
        gone = [name for name, column in zip(index.columns, columns, strict=True) if column is None]
        tenant = [name for name in gone if name and work.is_tenant_column(table, name)]
        # Without a tenant column in the target, a key within a tenant would become one across all of them.
        lost = bool(tenant) and not made.scoped and index.unique
        plain = index.predicate is None and all(name in tenant for name in gone) and not lost
        names = tuple(column.name for column in columns if column is not None)
        if index.unique and plain and names and not (index.columns == key and len(key) == 1):
            made.uniques.append(_per_tenant(work, made, names))
        elif not index.unique and plain and names:
            made.indexes.append(_per_tenant(work, made, names))
        elif index.unique and not index.primary and not plain and not set(key) <= set(index.columns):
            _ask_index(work, made, index.definition)
    for check in table.checks:
        if check.expression and not check.inherited and _kept_as_is(work, table, made, check.columns):
            made.checks.append(work.unqualified(check.expression))


def _per_tenant(work: Drafting, made: DraftTable, names: tuple[str, ...]) -> tuple[str, ...]:
    if not made.scoped:
        return names
    return (work.out.tenant_column, *(name for name in names if name != work.out.tenant_column))


def _kept_as_is(work: Drafting, table: Table, made: DraftTable, columns: Sequence[str]) -> bool:
    for name in columns:
        column, source = made.of_source(name), table.column(name)
        if column is None or source is None or column.name != name or column.type != work.unqualified(source.type):
            return False
    return bool(columns)


def _ask_index(work: Drafting, made: DraftTable, definition: str) -> None:
    work.out.questions.append(
        Question(
            made.name, "A unique index over some rows, or over an expression, is not drafted.", (definition,),
            "The target does not have it.", (f"Write it into the target's file, with {work.out.tenant_column} first.",), 4,
        )
    )  # fmt: skip


def settle_foreign_keys(work: Drafting) -> None:
    """Draft foreign keys to existing unique columns; cycles of not-null keys are possible because all keys are deferrable."""
    for table in work.out.tables:
        table.keys = [
            each for each in table.keys
            if each.parent == "auth.users" or ((parent := work.out.table(each.parent)) is not None
            and (len(each.columns) == 1 or parent.scoped))
        ]  # fmt: skip
        for each in table.keys:
            wanted = each.columns
            if not any(index[: len(wanted)] == wanted for index in (*table.indexes, *table.uniques)):
                table.indexes.append(wanted)
