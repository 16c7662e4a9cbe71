"""Resolves the columns of a target table that refer to rows of other tables. Pure."""

from __future__ import annotations

from dataclasses import replace

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.manifest.model import ColumnRule, Correct, SourceRule
from tenantry.manifest.positions import Key
from tenantry.mapping.project import LEGACY_ID, ROW_ID, MappedColumn, Reference, orphan_alias, plain_name
from tenantry.mapping.references import is_default
from tenantry.mapping.source_checks import SourceChecks


def reference_columns(
    checks: SourceChecks, target: Table, source: Table, part: SourceRule, key: Key
) -> dict[str, Reference]:
    """Return references by target column: from rules with `ref`, and from the foreign keys of source and target."""
    found: dict[str, Reference] = {}
    for column in target.columns:
        rule = part.columns.get(column.name)
        made = None
        if rule is not None and isinstance(rule.ref, str) and column.type.endswith("[]"):
            continue  # its elements are references; see ColumnCompiler
        if rule is not None and isinstance(rule.ref, str):
            made = _stated(checks, source, part, column, rule, key)
        elif column.name not in filled_columns(checks, target) and column.generated is None and is_default(rule):
            made = checks.references.by_default(target, source, part, column, rule, key)
        if made is not None:
            found[column.name] = made
    return found


def filled_columns(checks: SourceChecks, target: Table) -> set[str]:
    """Return the columns that Tenantry fills by itchecks."""
    filled = {ROW_ID, LEGACY_ID, checks.manifest.tenant.column}
    users = checks.manifest.users
    if users is not None and target.name == users.profile:
        filled.add(users.account)
    return filled


def _stated(
    checks: SourceChecks, source: Table, part: SourceRule, column: CatalogColumn, rule: ColumnRule, key: Key
) -> Reference | None:
    """Resolve a reference that the manifest states."""
    assert isinstance(rule.ref, str)
    column_key = (*key, "columns", column.name, "ref")
    name = rule.source or column.name
    parent = checks.target_table(rule.ref, column_key)
    if parent is None or checks.need_column(source, name, (*key, "columns", column.name, "from")) is None:
        return None
    feeding = checks.parent_of(rule.ref)
    if feeding is None:
        checks.say(column_key, f"{rule.ref} is a new table without a source: nothing in {source.name} can refer to it")
        return None
    return checks.references.leading(source, part, name, rule.ref, feeding, plain_name("r", column.name), column_key)


def check_reference(
    checks: SourceChecks, target: Table, column: CatalogColumn, ref: Reference, given: ColumnRule | None, key: Key
) -> None:
    """Check a reference's type and table: it holds ids of the table that the target's foreign key refers to."""
    ids = checks.references.type_of_ids(ref.parent)
    if column.type != ids and column.type_kind != "domain":
        checks.say(key, f"{target.name}.{column.name} is {column.type}, but holds ids of {ref.parent}, which are {ids}")
    meant = checks.references.meant(target, column.name)
    if meant and ref.parent not in meant:
        checks.say(
            (*key, "ref"),
            f"{target.name}.{column.name} refers to {' and '.join(sorted(meant))} by its foreign key,"
            f" not to {ref.parent}",
        )
    for name in ("missing", "null", "empty", "invalid"):
        if given is not None and name in given.model_fields_set:
            checks.say(
                (*key, name),
                f"{name} has no effect: {column.name} holds references to {ref.parent}; take it out,"
                ' or say how the value is made with up = "<SQL>"',
            )


def with_orphan(
    checks: SourceChecks, column: MappedColumn, orphan: str | Correct, source: Table, key: Key
) -> MappedColumn:
    """Compile what replaces a reference to a row that does not exist."""
    if orphan == "quarantine":
        return column
    if isinstance(orphan, Correct):
        checks.expressions.check(orphan.correct, {"s": source}, (*key, "orphan", "correct"))
        assert column.reference is not None
        value = f"coalesce({column.value}, {orphan_alias(column.reference)}.new)"
        return replace(column, orphan=orphan.correct, value=value, rule="assigned")
    if not column.nullable:
        checks.say((*key, "orphan"), f"{column.name} may not be null; quarantine the row, or say what replaces it")
    return replace(column, orphan="null", rule="orphaned")


__all__ = ["check_reference", "filled_columns", "reference_columns", "with_orphan"]
