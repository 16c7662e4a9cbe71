"""Tables and their parts: columns, constraints, indexes, triggers, policies, grants, publications."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from tenantry.catalog.canonical import volatile

QualifiedName: TypeAlias = tuple[str, str]
"""(schema, name), both bare."""

TypeKind: TypeAlias = Literal["base", "enum", "domain", "composite", "range", "array"]
Action: TypeAlias = Literal["no action", "restrict", "cascade", "set null", "set default"]

PUBLIC = "PUBLIC"
"""The grantee that means every role."""

_N = TypeVar("_N", bound="_Named")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def put_in_order(record: object, **keys: Callable[[Any], Any]) -> None:
    """Sort tuple fields of a frozen record, each by its key; only for __post_init__."""
    for name, key in keys.items():
        object.__setattr__(record, name, tuple(sorted(getattr(record, name), key=key)))


def find(name: str, items: Iterable[_N]) -> _N | None:
    """Return the one of `items` with this name."""
    for item in items:
        if item.name == name:
            return item
    return None


def by_name(item: Any) -> str:
    name: str = item.name
    return name


@dataclass(frozen=True, slots=True)
class Grant:
    """A privilege on an object, or on one column of it. An owner's default privileges are omitted while the owner has all of
    them."""

    grantee: str
    privilege: str
    grantable: bool = False
    column: str | None = None
    grantor: str = ""


def grant_order(grant: Grant) -> tuple[str, str, str, str]:
    return grant.grantee, grant.column or "", grant.privilege, grant.grantor


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, a view or a composite type.

    `nullable` is False only if no null can occur: a NOT NULL constraint that is not validated (PostgreSQL 18) does not count.
    `position` counts the existing columns, from 1. `element_type` is set for arrays.
    """

    name: str
    type: str
    type_kind: TypeKind = "base"
    type_schema: str = "pg_catalog"
    type_name: str = ""
    position: int = 1
    nullable: bool = True
    default: str | None = None
    identity: Literal["always", "by default"] | None = None
    generated: str | None = None
    generated_kind: Literal["stored", "virtual"] | None = None
    collation: str | None = None
    comment: str | None = None
    element_type: str | None = None
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Constraint:
    """A table constraint, or a check of a domain. NOT NULL is `Column.nullable`, whatever the version lists.

    `index` backs this constraint; a foreign key has none. `on_delete_columns` is the list of SET NULL (…) or SET DEFAULT (…),
    empty for all columns. `inherited` means that a parent table has the constraint too and passes it on. `enforced` is False
    only for NOT ENFORCED (PostgreSQL 18).
    """

    name: str
    kind: Literal["primary", "unique", "foreign", "check", "exclusion"]
    columns: tuple[str, ...] = ()
    definition: str = ""
    expression: str | None = None
    deferrable: bool = False
    initially_deferred: bool = False
    validated: bool = True
    enforced: bool = True
    nulls_not_distinct: bool = False
    ref_schema: str | None = None
    ref_table: str | None = None
    ref_columns: tuple[str, ...] = ()
    on_update: Action = "no action"
    on_delete: Action = "no action"
    on_delete_columns: tuple[str, ...] = ()
    match: Literal["simple", "full", "partial"] = "simple"
    comment: str | None = None
    index: str | None = None
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """An index, including those that back a constraint. `columns` are its keys; None represents an expression."""

    name: str
    definition: str
    columns: tuple[str | None, ...] = ()
    included: tuple[str, ...] = ()
    unique: bool = False
    primary: bool = False
    valid: bool = True
    method: str = "btree"
    predicate: str | None = None
    constraint: str | None = None
    nulls_not_distinct: bool = False
    size_bytes: int = volatile(0)
    comment: str | None = None
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Trigger:
    """A user-defined trigger; those that enforce constraints are omitted. `function` is written as in SQL."""

    name: str
    definition: str
    enabled: Literal["origin", "disabled", "replica", "always"] = "origin"
    function: str = ""
    comment: str | None = None
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A row-level security policy. `roles` holds PUBLIC if it applies to everyone."""

    name: str
    command: Literal["all", "select", "insert", "update", "delete"] = "all"
    permissive: bool = True
    roles: tuple[str, ...] = (PUBLIC,)
    using: str | None = None
    check: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        put_in_order(self, roles=str)


@dataclass(frozen=True, slots=True)
class Publication:
    """How a table is published: by its own name, with its schema, or with all tables. `columns` is empty for all."""

    name: str
    scope: Literal["table", "schema", "all"] = "table"
    columns: tuple[str, ...] = ()
    row_filter: str | None = None


@dataclass(frozen=True, slots=True)
class Below:
    """A table whose rows a query of another one includes: a partition that is not partitioned itself, or a child by
    inheritance, at any depth and in any schema."""

    schema: str
    name: str
    kind: Literal["table", "foreign"] = "table"


@dataclass(frozen=True, slots=True)
class Table:
    """A table that holds rows, or a partitioned parent.

    A partition that is partitioned itself has kind 'partitioned', a foreign one 'foreign', and both have `partition_of`.
    `row_estimate` is PostgreSQL's own, -1 if it was never analyzed. `size_bytes` includes indexes and TOAST and is 0 for a
    partitioned parent. `rules` and `statistics` are definitions.
    """

    schema: str
    name: str
    kind: Literal["table", "partitioned", "partition", "foreign"] = "table"
    owner: str = ""
    comment: str | None = None
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    policies: tuple[Policy, ...] = ()
    grants: tuple[Grant, ...] = ()
    rls_enabled: bool = False
    rls_forced: bool = False
    replica_identity: Literal["default", "full", "nothing", "index"] = "default"
    replica_identity_index: str | None = None
    publications: tuple[Publication, ...] = ()
    partition_key: str | None = None
    partition_of: QualifiedName | None = None
    partition_bound: str | None = None
    inherits: tuple[QualifiedName, ...] = ()
    below: tuple[Below, ...] = ()
    persistence: Literal["permanent", "unlogged", "temporary"] = "permanent"
    options: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    row_estimate: int = volatile(-1)
    size_bytes: int = volatile(0)

    def __post_init__(self) -> None:
        put_in_order(
            self,
            columns=lambda column: column.position,
            constraints=by_name,
            indexes=by_name,
            triggers=by_name,
            policies=by_name,
            grants=grant_order,
            publications=lambda publication: (publication.name, publication.scope),
            options=str,
            rules=str,
            statistics=str,
            below=lambda each: (each.schema, each.name),
        )

    @property
    def holding(self) -> tuple[Below, ...]:
        """Return the tables that hold its rows: itself, unless its partitions hold them, and all its descendants, foreign ones too."""
        own = () if self.kind == "partitioned" and self.below else (Below(self.schema, self.name),)
        return (*own, *self.below)

    def column(self, name: str) -> Column | None:
        return find(name, self.columns)

    def constraint(self, name: str) -> Constraint | None:
        return find(name, self.constraints)

    @property
    def primary_key(self) -> Constraint | None:
        return next(iter(self._of_kind("primary")), None)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        return self._of_kind("foreign")

    @property
    def checks(self) -> tuple[Constraint, ...]:
        return self._of_kind("check")

    @property
    def uniques(self) -> tuple[Constraint, ...]:
        return self._of_kind("unique")

    @property
    def row_key(self) -> tuple[str, ...] | None:
        """Return the columns that identify each row.

        These are the primary key, or otherwise the columns of the narrowest (then first by name) valid unique index or
        constraint that covers all rows, is not deferrable, and has no nullable column; None if there is none.
        """
        if self.primary_key is not None:
            return self.primary_key.columns
        never_null = {column.name for column in self.columns if not column.nullable}
        keys = [
            (len(columns), index.name, columns)
            for index in self.indexes
            if index.unique and index.valid and index.predicate is None and not self._is_deferrable(index)
            for columns in [tuple(name for name in index.columns if name in never_null)]
            if columns and len(columns) == len(index.columns)
        ]
        return min(keys)[2] if keys else None

    def _is_deferrable(self, index: Index) -> bool:
        constraint = None if index.constraint is None else self.constraint(index.constraint)
        return constraint is not None and constraint.deferrable

    def _of_kind(self, kind: str) -> tuple[Constraint, ...]:
        return tuple(constraint for constraint in self.constraints if constraint.kind == kind)
