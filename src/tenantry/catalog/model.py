"""The catalog: a frozen model of one schema as PostgreSQL reports it.

Every value is immutable and holds no connection. Collections are tuples in a fixed order (columns by position, everything
else by name), whatever their input order, so two catalogs of the same schema are equal.

SQL texts (types, defaults, definitions) are as PostgreSQL prints them with only `pg_catalog` on the search path: objects of
user schemas are written with their schema. Names are bare and unquoted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from tenantry.catalog import canonical
from tenantry.catalog.canonical import volatile
from tenantry.catalog.table import (
    PUBLIC,
    Below,
    Column,
    Constraint,
    Grant,
    Index,
    Policy,
    Publication,
    QualifiedName,
    Table,
    Trigger,
    by_name,
    find,
    grant_order,
    put_in_order,
)

__all__ = [
    "PUBLIC",
    "Below",
    "Catalog",
    "Column",
    "CompositeType",
    "Constraint",
    "DomainType",
    "EnumType",
    "Function",
    "Grant",
    "Index",
    "Policy",
    "Publication",
    "QualifiedName",
    "RangeType",
    "Sequence",
    "Table",
    "Trigger",
    "View",
]


@dataclass(frozen=True, slots=True)
class View:
    """A view, materialized or not. `depends_on` lists the relations that its query reads, in any schema."""

    schema: str
    name: str
    materialized: bool = False
    owner: str = ""
    definition: str = ""
    options: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    grants: tuple[Grant, ...] = ()
    depends_on: tuple[QualifiedName, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    comment: str | None = None

    def __post_init__(self) -> None:
        put_in_order(
            self,
            options=str,
            columns=lambda column: column.position,
            grants=grant_order,
            depends_on=tuple,
            indexes=by_name,
            triggers=by_name,
        )

    def column(self, name: str) -> Column | None:
        return find(name, self.columns)


@dataclass(frozen=True, slots=True)
class Function:
    """A function, procedure, aggregate or window function; its identity is its name with its `arguments`.

    `depends_on` lists the relations that PostgreSQL knows it to use: row types in its signature, and everything in a BEGIN
    ATOMIC body. `mentions` lists the schema's relations whose names occur in a body that PostgreSQL stores as text: a hint
    that can be wrong in both directions. `definition` is None for an aggregate.
    """

    schema: str
    name: str
    arguments: str = ""
    returns: str | None = None
    kind: Literal["function", "procedure", "aggregate", "window"] = "function"
    language: str = "sql"
    security_definer: bool = False
    volatility: Literal["immutable", "stable", "volatile"] = "volatile"
    parallel: Literal["safe", "restricted", "unsafe"] = "unsafe"
    config: tuple[str, ...] = ()
    owner: str = ""
    definition: str | None = None
    grants: tuple[Grant, ...] = ()
    depends_on: tuple[QualifiedName, ...] = ()
    mentions: tuple[QualifiedName, ...] = ()
    comment: str | None = None

    def __post_init__(self) -> None:
        put_in_order(self, config=str, grants=grant_order, depends_on=tuple, mentions=tuple)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence. `owned_by` is the (table, column) that it serves and is dropped with, by serial or by identity.

    `last_value` is None if it was never called, or if the login may not read it.
    """

    schema: str
    name: str
    type: str = "bigint"
    start: int = 1
    increment: int = 1
    min: int = 1
    max: int = 2**63 - 1
    cycle: bool = False
    cache: int = 1
    last_value: int | None = volatile(None)
    owned_by: tuple[str, str] | None = None
    grants: tuple[Grant, ...] = ()
    owner: str = ""
    comment: str | None = None

    def __post_init__(self) -> None:
        put_in_order(self, grants=grant_order)


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum; `labels` in their sort order."""

    schema: str
    name: str
    labels: tuple[str, ...] = ()
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None

    def __post_init__(self) -> None:
        put_in_order(self, grants=grant_order)


@dataclass(frozen=True, slots=True)
class DomainType:
    """A domain over the type `base`; its checks have no columns."""

    schema: str
    name: str
    base: str = "text"
    nullable: bool = True
    default: str | None = None
    collation: str | None = None
    checks: tuple[Constraint, ...] = ()
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None

    def __post_init__(self) -> None:
        put_in_order(self, checks=by_name, grants=grant_order)


@dataclass(frozen=True, slots=True)
class RangeType:
    """A range type, with the multirange type that comes with it."""

    schema: str
    name: str
    subtype: str
    multirange: str


@dataclass(frozen=True, slots=True)
class CompositeType:
    """A composite type of its own; row types of tables are not listed."""

    schema: str
    name: str
    columns: tuple[Column, ...] = ()
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None

    def __post_init__(self) -> None:
        put_in_order(self, columns=lambda column: column.position, grants=grant_order)


@dataclass(frozen=True, slots=True)
class Catalog:
    """One schema of one database. `server_version` is in libpq's form: 180004 is 18.4.

    Objects that belong to an extension are omitted, and the extension is listed.
    """

    schema: str
    database: str = volatile("")
    server_version: int = volatile(0)
    owner: str = ""
    grants: tuple[Grant, ...] = ()
    comment: str | None = None
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    functions: tuple[Function, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    enums: tuple[EnumType, ...] = ()
    domains: tuple[DomainType, ...] = ()
    composites: tuple[CompositeType, ...] = ()
    ranges: tuple[RangeType, ...] = volatile(())
    """Not part of the digest: plans made before it was read store digests without it."""
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put_in_order(
            self,
            grants=grant_order,
            tables=by_name,
            views=by_name,
            functions=lambda function: (function.name, function.arguments),
            sequences=by_name,
            enums=by_name,
            domains=by_name,
            composites=by_name,
            ranges=by_name,
            extensions=str,
        )

    def table(self, name: str) -> Table | None:
        return find(name, self.tables)

    def view(self, name: str) -> View | None:
        return find(name, self.views)

    def sequence(self, name: str) -> Sequence | None:
        return find(name, self.sequences)

    def enum(self, name: str) -> EnumType | None:
        return find(name, self.enums)

    def domain(self, name: str) -> DomainType | None:
        return find(name, self.domains)

    def references_to(self, table: str) -> tuple[tuple[Table, Constraint], ...]:
        """Return the foreign keys, with their tables, that lead to a table of this schema."""
        return tuple(
            (other, key)
            for other in self.tables
            for key in other.foreign_keys
            if (key.ref_schema, key.ref_table) == (self.schema, table)
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values with sorted keys, the same for equal catalogs."""
        plain: dict[str, Any] = canonical.to_plain(self)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Invert to_json().

        Raises:
            ValueError: the value is not a result of to_json(); the message names the position.
        """
        return canonical.from_plain(cls, plain)

    def digest(self) -> str:
        """Return the SHA-256, in hex, of the schema without facts that change while the schema stays the same.

        It excludes sizes, row estimates, sequence positions, the server's version and the database's name, so a restored copy
        of a database has the original's digest.
        """
        return canonical.digest(self)
