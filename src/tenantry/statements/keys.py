"""Keys of the target while a run works, and their final form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from tenantry.catalog import Constraint, Index, Table
from tenantry.mapping import Project
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.postgres import ident, literal, short_name
from tenantry.statements.capture import fed_tables

LEGACY_INDEX = "tenantry_legacy"


def legacy_index(table: Table) -> str | None:
    """Return the name of the index by which replay finds rows by old id, or None if the table has its own."""
    if any(index.columns[:1] == (LEGACY_ID,) and index.predicate is None for index in table.indexes):
        return None
    return short_name(LEGACY_INDEX, table.name)


def in_transition(project: Project, table: Table, key: Constraint) -> Constraint:
    """Define a foreign key for the time until the contract step: replay applies many rows at once, in an order that is
    consistent only at the end, so every foreign key must be deferrable. RESTRICT cannot be deferred."""
    if key.kind != "foreign" or (table.kind == "partitioned" and key.inherited) or not can_wait(project, table, key):
        return key
    definition = re.sub(r" ON (DELETE|UPDATE) RESTRICT", "", key.definition)
    if not key.deferrable:
        definition, mark, tail = definition.partition(" NOT VALID")
        definition = f"{definition} DEFERRABLE{mark}{tail}"
    if definition == key.definition:
        return key
    return replace(
        key,
        definition=definition,
        deferrable=True,
        on_delete="no action" if key.on_delete == "restrict" else key.on_delete,
        on_update="no action" if key.on_update == "restrict" else key.on_update,
    )


def is_to_left_table(project: Project, fk: Constraint) -> bool:
    """Whether a foreign key leads to a table that is left where it is. Applications write such a table while the target is behind,
    so these keys exist only from the cut-over on."""
    return (
        fk.kind == "foreign" and fk.ref_schema == project.source.schema and fk.ref_table in project.manifest.source.left
    )


def keys_to_left_tables(project: Project) -> list[tuple[Table, Constraint]]:
    """Return the foreign keys from migrated tables to tables that are left where they are."""
    return [
        (table, fk)
        for table in project.target.tables
        for fk in foreign_keys(table)
        if is_to_left_table(project, fk) and can_wait(project, table, fk)
    ]


def can_wait(project: Project, table: Table, fk: Constraint) -> bool:
    """Whether replay may write either side of a foreign key, or rows that depend on it. False only for keys by which tables
    without a source refer to other schemas."""
    return fk.ref_schema == project.target.schema or any(each.name == table.name for each in fed_tables(project))


def qualified(table: Table) -> str:
    return ident(table.schema, table.name)


def foreign_keys(table: Table) -> list[Constraint]:
    return [fk for fk in table.foreign_keys if not fk.inherited]


def key_constraints(table: Table) -> list[Constraint]:
    return [
        constraint
        for constraint in table.constraints
        if constraint.kind in ("primary", "unique", "exclusion") and not constraint.inherited
    ]


def backing_indexes(table: Table) -> list[Index]:
    """Return indexes of constraints that can be built separately and attached; this excludes exclusion constraints, and keys
    of partitioned tables."""
    if table.kind == "partitioned":
        return []
    attachable = {key.index for key in key_constraints(table) if key.kind != "exclusion"}
    return [index for index in table.indexes if index.name in attachable]


def over_ids_alone(project: Project, index: Index) -> bool:
    """Whether an index only covers ids, which are unique in whatever order rows were read."""
    ids = {ROW_ID, LEGACY_ID, project.manifest.tenant.column}
    return not index.unique or (
        index.predicate is None and bool({ROW_ID, LEGACY_ID} & set(index.columns)) and set(index.columns) <= ids
    )


def plain_indexes(table: Table) -> list[Index]:
    return [index for index in table.indexes if index.constraint is None and not index.inherited]


def drop_constraint(table: Table, constraint: Constraint, *, there: bool = True) -> str:
    """Return a statement that drops a constraint; with `there=False` it need not exist."""
    exists = "" if there else "if exists "
    return f"alter table {qualified(table)} drop constraint {exists}{ident(constraint.name)}"


def add_constraint(table: Table, constraint: Constraint, *, valid: bool = True) -> str:
    suffix = "" if valid or "NOT VALID" in constraint.definition else " not valid"
    return f"alter table {qualified(table)} add constraint {ident(constraint.name)} {constraint.definition}{suffix}"


def attach_key(table: Table, key: Constraint) -> str:
    if table.kind == "partitioned" or key.kind == "exclusion":
        return add_constraint(table, key)
    kind = "primary key" if key.kind == "primary" else "unique"
    timing = ""
    if key.deferrable:
        timing = " deferrable initially " + ("deferred" if key.initially_deferred else "immediate")
    return f"alter table {qualified(table)} add constraint {ident(key.name)} {kind} using index {ident(key.index or '')}{timing}"


def comment_on(table: Table, constraint: Constraint) -> Iterable[str]:
    if constraint.comment is not None:
        yield f"comment on constraint {ident(constraint.name)} on {qualified(table)} is {literal(constraint.comment)}"


def comments_on(table: Table) -> Iterable[str]:
    for key in key_constraints(table):
        yield from comment_on(table, key)
    for index in plain_indexes(table):
        if index.comment is not None:
            yield f"comment on index {ident(table.schema, index.name)} is {literal(index.comment)}"


def replica_identity(project: Project, table: Table) -> Iterable[str]:
    """Return the statements that set the replica identity of a table and its partitions as its files define it."""
    for each in table.holding:
        there = project.target.table(each.name) or table
        how = (
            f"using index {ident(there.replica_identity_index)}"
            if there.replica_identity == "index" and there.replica_identity_index is not None
            else there.replica_identity
        )
        yield f"alter table {ident(each.schema, each.name)} replica identity {how}"
