"""Drafts the columns of a table: plain ones, references, documents, generated ones."""

from __future__ import annotations

import re

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.draft.context import LEGACY_ID, ROW_ID, Drafting
from tenantry.draft.inner_ids import add_inner_ids
from tenantry.draft.model import DraftColumn, DraftKey, DraftTable, Question
from tenantry.draft.naming import free, target_name
from tenantry.mapping.values.type_names import INTEGERS
from tenantry.postgres import ident, literal
from tenantry.survey.model import FoundReference
from tenantry.survey.names import words
from tenantry.survey.sample import base_type

_VOLATILE = re.compile(r"nextval\(|cuid|nanoid|ulid", re.IGNORECASE)

_NUMBERS = (("id",), ("uid",), ("pk",), ("key",), ("uuid",))
"""Last words of keys that say nothing but which row it is."""
_NONE = re.compile(r"""\(?'?(0|-1|)'?\)?(::[\w" ]+(\(\d+\))?)?$""")
"""Defaults of references that may not be null and mean that there is none."""


def add_types(work: Drafting) -> None:
    """Draft the target's own enums, domains and composite types from the source's."""
    for enum in work.catalog.enums:
        labels = ", ".join(literal(label) for label in enum.labels)
        work.out.types.append(f"create type {ident(enum.name)} as enum ({labels});")
    for domain in work.catalog.domains:
        checks = "".join(
            f" constraint {ident(check.name)} {work.unqualified(check.definition)}" for check in domain.checks
        )
        default = f" default {work.unqualified(domain.default)}" if domain.default else ""
        null = "" if domain.nullable else " not null"
        work.out.types.append(
            f"create domain {ident(domain.name)} as {work.unqualified(domain.base)}{default}{null}{checks};"
        )
    for composite in work.catalog.composites:
        columns = ", ".join(f"{ident(column.name)} {work.unqualified(column.type)}" for column in composite.columns)
        work.out.types.append(f"create type {ident(composite.name)} as ({columns});")


def _column_name(work: Drafting, column: str, table: DraftTable) -> str:
    wanted = target_name(column, work.options.names)
    taken = {each.name for each in table.columns} | {ROW_ID, LEGACY_ID, work.out.account, work.out.tenant_column}
    if wanted in taken:
        wanted = f"source_{wanted}" if wanted in (ROW_ID, LEGACY_ID, work.out.tenant_column) else wanted
    return free(wanted, taken)


def columns_without_place(work: Drafting, table: Table, made: DraftTable) -> set[str]:
    """Source columns that get no column of their own in the target."""
    dropped: set[str] = set()
    key = table.row_key or ()
    if len(key) == 1 and (_is_kept(work, table, key[0]) or not _says_something(work, table, key[0])):
        dropped.add(key[0])
    if made.scoped or table.name == work.users:
        dropped |= {name for name in (work.names_tenant(table),) if name}
    if made.scoped:
        first = next(
            (each for each in work.ways(table.name) if each.parent == work.root and len(each.columns) == 1), None
        )
        if first is not None and first.columns[0] == made.ways[0:1][0].partition("->")[0].strip():
            dropped.add(first.columns[0])
    if table.name == work.users:
        columns = work.survey.users_columns
        if columns.password and not columns.password_table:
            dropped.add(columns.password)
        if not work.survey.membership and not work.person:
            dropped |= {each.columns[0] for each in work.ways(table.name) if each.parent == work.root}
            if columns.role:
                dropped.add(columns.role)
    return dropped


def _is_kept(work: Drafting, table: Table, key: str) -> bool:
    """Whether the target's `id` has the value of a key, and no reference needs a column with it."""
    return table.name in work.kept and not any(key in each.columns for each in work.by_value(table.name))


def _says_something(work: Drafting, table: Table, key: str) -> bool:
    """Whether a key is more than a row number: a country's code, a user's name."""
    if any(key in each.columns for each in work.references.get(table.name, ()) if each.place.form == "value"):
        return True
    shapes = next((each.shapes for each in work.survey.ids if (each.table, each.column) == (table.name, key)), {})
    column = table.column(key)
    return (
        bool(shapes)
        and column is not None
        and base_type(work.catalog, column) not in INTEGERS
        and (
            shapes.get("word", 0) + shapes.get("text", 0) > 0.5
            # A code is a number of the row, unless the column has a name of its own.
            or (shapes.get("code", 0) > 0.5 and words(key)[-1:] not in _NUMBERS)
        )
    )


def add_column(work: Drafting, table: Table, made: DraftTable, column: CatalogColumn) -> None:
    """Add the target column of a source column; add a question instead if it cannot be migrated."""
    name = _column_name(work, column.name, made)
    reference = _reference_of(work, table.name, column.name)
    drafted = DraftColumn(
        name, work.unqualified(column.type), not column.nullable, source=column.name, comment=column.comment
    )
    if name != column.name:
        drafted.rule["from"] = column.name
    if column.generated is not None:
        _add_generated(work, table, made, column, drafted)
        return
    if reference is not None and reference.parent in work.target_of:
        drafted.type = work.kept.get(reference.parent, "uuid")
        parent = work.target_of[reference.parent]
        if not reference.declared or len(reference.columns) > 1:
            drafted.rule["ref"] = parent
        if not reference.declared:
            means_none = column.default is not None and _NONE.match(column.default) is not None
            drafted.not_null = drafted.not_null and not means_none
            if not drafted.not_null and (reference.share < 1 or means_none):
                drafted.rule["orphan"] = "null"
        if reference.parent in (work.users, work.root) or reference.parent not in work.scoped:
            made.keys.append(DraftKey((name,), parent, (ROW_ID,), _on_delete(table, reference)))
        elif made.scoped:
            made.keys.append(
                DraftKey(
                    (work.out.tenant_column, name),
                    parent,
                    (work.out.tenant_column, ROW_ID),
                    _on_delete(table, reference),
                )
            )
        _note_reference(work, made, drafted, reference, column)
    else:
        _plain_column(work, table, made, column, drafted)
    made.columns.append(drafted)


def _reference_of(work: Drafting, table: str, column: str) -> FoundReference | None:
    """Return the row that a column refers to: by a key of its own, before one of several columns whose others have keys of their own."""
    mine = [each for each in work.by_value(table) if column in each.columns]
    single = [each for each in mine if len(each.columns) == 1]
    if single:
        return single[0]
    for each in mine:
        rest = [name for name in each.columns if not any(other.columns == (name,) for other in work.ways(table))]
        if rest == [column]:
            return each
    return None


def _on_delete(table: Table, reference: FoundReference) -> str:
    for each in table.foreign_keys:
        if each.columns == reference.columns and each.ref_table == reference.parent:
            return each.on_delete if each.on_delete in ("cascade", "set null") else ""
    return ""


def _plain_column(work: Drafting, table: Table, made: DraftTable, column: CatalogColumn, drafted: DraftColumn) -> None:
    kind = base_type(work.catalog, column)
    default = column.default or ""
    if (
        kind.startswith("timestamp without")
        or (column.type.startswith("timestamp") and "with time zone" not in column.type)
    ) and not column.type.endswith("[]"):
        drafted.type = re.sub(r"timestamp(\(\d\))?( without time zone)?", r"timestamp\1 with time zone", column.type)
        drafted.rule["as"] = "utc"
    if column.identity is not None or (default.startswith("nextval(") and kind in INTEGERS):
        drafted.identity, default = True, ""
    if default and not _VOLATILE.search(default) and not _calls_source(work, default):
        drafted.default = work.unqualified(default)
    add_inner_ids(work, table, made, column, drafted)


def _calls_source(work: Drafting, default: str) -> bool:
    return any(f"{function.name}(" in default for function in work.catalog.functions)


def _note_reference(
    work: Drafting, made: DraftTable, drafted: DraftColumn, each: FoundReference, source: CatalogColumn
) -> None:
    if each.declared:
        return
    chosen = f'ref = "{work.target_of[each.parent]}"'
    if drafted.rule.get("orphan") == "null":
        chosen += ', orphan = "null": a value that names no row becomes null'
        if default := source.default if not source.nullable else "":
            chosen += f"; the column may be null in the target, because its default, {default}, seems to mean that there is none"
    elif each.share < 1:
        chosen += ": a row whose value refers to no row is quarantined"
    work.out.questions.append(
        Question(
            f"{made.name}.{drafted.name}", f"It has no foreign key, but refers to rows of {each.parent}.", each.reasons, chosen,
            ("ref = false, if it is plain data; then give the column its old type in the target's file",), 3,
        )
    )  # fmt: skip


def _add_generated(work: Drafting, table: Table, made: DraftTable, column: CatalogColumn, drafted: DraftColumn) -> None:
    expression = column.generated or ""
    names = {each.name for each in table.columns}
    used = [name for name in names if re.search(rf"(?<![\w\"]){re.escape(ident(name))}(?![\w\"])", expression)]
    kept = [made.of_source(name) for name in used]
    if all(each is not None and each.name == name and not each.rule for each, name in zip(kept, used, strict=True)):
        drafted.generated = work.unqualified(expression)
        made.columns.append(drafted)
        return
    work.out.questions.append(
        Question(
            f"{made.name}.{drafted.name}", "It is generated from columns that change.", (f"as {expression}",),
            "The target has no such column.", ("Add it to the target's file with an expression of its own.",), 3,
        )
    )  # fmt: skip
