"""The results of a survey of a database without a manifest. Values only; nothing here knows a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Form = Literal["value", "element", "json", "json key", "embedded"]
"""How a column holds ids: as its value, as elements of an array, as values or keys of a JSON document, or inside a text."""

CONSTANT = "constant"
"""Stands for a table's name if everything belongs to one tenant."""

TableKind = Literal["tenant", "users", "membership", "join", "lookup", "log", "credentials", "framework", "data"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place that holds ids.

    Attributes:
        path: within a JSON document, such as `rows[*].id`; `*` represents keys that are ids themselves.
        pattern: for an id within a text: the surrounding text with `{}` for the id, such as `/orders/{}`.
        json_text: the document is stored as text.
    """

    table: str
    column: str
    form: Form = "value"
    path: str = ""
    pattern: str = ""
    json_text: bool = False

    def __str__(self) -> str:
        inner = {"element": "[*]", "json": f" at {self.path}", "json key": f" at {self.path} (keys)"}
        return f"{self.table}.{self.column}" + inner.get(self.form, f" in {self.pattern}" if self.pattern else "")


@dataclass(frozen=True, slots=True)
class FoundReference:
    """A column, or a part of one, that refers to rows of a table.

    Attributes:
        columns: of the child; several if a foreign key has several.
        declared: a foreign key states the reference.
        when: of a polymorphic pair: the column that names the table, and its value for this parent.
        unknown: of a polymorphic pair: the sampled types whose ids are in no table.
        values: distinct values that were looked up; 0 if the table is empty.
        found: how many of them the parent has.
        reasons: why it counts as a reference, in words.
    """

    place: Place
    parent: str
    parent_columns: tuple[str, ...]
    columns: tuple[str, ...] = ()
    declared: bool = False
    when: tuple[str, str] | None = None
    unknown: tuple[str, ...] = ()
    values: int = 0
    found: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the looked-up values that the parent has; 0.0 without any."""
        return self.found / self.values if self.values else 0.0

    @property
    def proved(self) -> bool:
        """Whether a foreign key or values support it, and not only the name."""
        return self.declared or self.values > 0


@dataclass(frozen=True, slots=True)
class ExternalIds:
    """A column of ids that no table of this schema has: they belong to another system."""

    place: Place
    shape: str
    example_prefix: str = ""


@dataclass(frozen=True, slots=True)
class IdShape:
    """The shapes of a table's key values, with the share of each shape in the sample."""

    table: str
    column: str
    type: str
    shapes: Mapping[str, float]

    def __str__(self) -> str:
        if not self.shapes:
            return f"{self.type}, no rows"
        return ", ".join(f"{shape} {share:.0%}" if share < 1 else shape for shape, share in self.shapes.items())


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate for the tenant or the users table: a table, a column, or a constant; a higher score is more likely.

    Attributes:
        form: what a tenant is: a row of the table, each user, each distinct value of a column, or one constant.
    """

    table: str
    score: int
    reasons: tuple[str, ...]
    form: Literal["table", "person", "column", "constant"] = "table"
    column: str = ""


@dataclass(frozen=True, slots=True)
class UsersColumns:
    """The meaning of a users table's columns; empty if there is none."""

    email: str = ""
    password: str = ""
    password_table: str = ""
    """Another table that holds the hashes, such as the accounts of NextAuth and better-auth."""
    name: str = ""
    role: str = ""
    verified: str = ""
    deleted: str = ""
    hash_kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferenceHop:
    """One step of a path to the tenant: from a table to its parent by the child's columns, or against a key to a child."""

    table: str
    columns: tuple[str, ...]
    to: str
    backwards: bool = False

    def __str__(self) -> str:
        through = ", ".join(self.columns)
        return f"{self.to}.{through} (backwards)" if self.backwards else f"{self.table}.{through} -> {self.to}"


@dataclass(frozen=True, slots=True)
class TenantPath:
    """A path from a table's rows to their tenant.

    Attributes:
        rows: the number of sampled rows for which it was followed; 0 if it was not.
        reached: those that reach a tenant.
        disagree: rows for which it leads to another tenant than the table's first path.
    """

    table: str
    hops: tuple[ReferenceHop, ...]
    rows: int = 0
    reached: int = 0
    disagree: int = 0

    def __str__(self) -> str:
        return " · ".join(str(hop) for hop in self.hops) or "is the tenant"


@dataclass(frozen=True, slots=True)
class SurveyedTable:
    """A table, its classification, and the reason."""

    name: str
    kind: TableKind
    reason: str
    rows: int
    """PostgreSQL's estimate, or a count if the table is small; -1 if unknown."""
    bytes: int
    paths: tuple[TenantPath, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """All results of a survey."""

    database: str
    schema: str
    server: str
    tables: tuple[SurveyedTable, ...] = ()
    references: tuple[FoundReference, ...] = ()
    external: tuple[ExternalIds, ...] = ()
    ids: tuple[IdShape, ...] = ()
    tenants: tuple[Candidate, ...] = ()
    users: tuple[Candidate, ...] = ()
    users_columns: UsersColumns = UsersColumns()
    membership: str = ""
    role_place: tuple[str, str] | None = None
    """Table and column with a person's role in a tenant."""
    roles: tuple[str, ...] = ()
    """Its values, in no particular order."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    hidden: tuple[str, ...] = ()

    @property
    def tenant(self) -> Candidate | None:
        """The most likely tenant."""
        return self.tenants[0] if self.tenants else None

    @property
    def undeclared(self) -> tuple[FoundReference, ...]:
        return tuple(each for each in self.references if not each.declared)

    def table(self, name: str) -> SurveyedTable | None:
        return next((each for each in self.tables if each.name == name), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
