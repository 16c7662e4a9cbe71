"""A drafted target as values: tables, columns, keys and the manifest's rules. Other modules turn them into texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tenantry.survey.model import CONSTANT

Names = Literal["kept", "snake"]


@dataclass(frozen=True, slots=True)
class DraftOptions:
    """The owner's choices; everything else is drafted from the survey.

    Attributes:
        schema: the target's name.
        names: as in the source, or in snake_case.
        tenant: a table; `table.column` if each value of the column is a tenant; `constant` if everything belongs to one;
            None: the most likely one.
        values: the column of that name in all tables, if it was chosen among the candidates.
        users: the users table; None: the most likely one.
    """

    schema: str = "app"
    names: Names = "kept"
    tenant: str | None = None
    person: bool = False
    users: str | None = None
    name: str = ""
    values: str = ""
    keep: tuple[str, ...] = ()
    keep_ids: bool = False

    @property
    def constant(self) -> bool:
        """Whether everything belongs to one tenant."""
        return self.tenant == CONSTANT


@dataclass(slots=True)
class DraftColumn:
    """A column of the target.

    Attributes:
        rule: the manifest's keys for it; empty if a plain cast of the source column with the same name is enough.
        source: the source column that it is made from; "" for columns that Tenantry fills.
    """

    name: str
    type: str
    not_null: bool = False
    default: str = ""
    generated: str = ""
    identity: bool = False
    source: str = ""
    comment: str | None = None
    rule: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class DraftKey:
    """A foreign key of the target, by columns of both sides."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str = ""


@dataclass(slots=True)
class DraftTable:
    """A table of the target, and the source of its rows; `source` is empty for a new table.

    Attributes:
        kept_ids: the type of its ids if they are the source's; empty if rows get uuids.
    """

    name: str
    source: str
    kind: str
    scoped: bool
    columns: list[DraftColumn] = field(default_factory=list)
    uniques: list[tuple[str, ...]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    indexes: list[tuple[str, ...]] = field(default_factory=list)
    raw_indexes: list[str] = field(default_factory=list)
    keys: list[DraftKey] = field(default_factory=list)
    comment: str | None = None
    part: str = ""
    where: str = ""
    ways: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    access: object = "service"
    kept_ids: str = ""

    def column(self, name: str) -> DraftColumn | None:
        return next((each for each in self.columns if each.name == name), None)

    def of_source(self, source: str) -> DraftColumn | None:
        return next((each for each in self.columns if each.source == source), None)


@dataclass(frozen=True, slots=True)
class Question:
    """A decision that a person must review.

    Attributes:
        evidence: the facts in its favor, with numbers.
        chosen: what the draft does now; the safe choice.
        alternatives: other choices, and how to write them.
    """

    about: str
    question: str
    evidence: tuple[str, ...]
    chosen: str
    alternatives: tuple[str, ...] = ()
    weight: int = 1
    """The weight of the decision; the greatest come first."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything that `tenantry init` writes.

    Attributes:
        files: path below the folder → text.
    """

    tables: tuple[DraftTable, ...]
    questions: tuple[Question, ...]
    files: Mapping[str, str]
    left_out: Mapping[str, str]
    """Source table → why it is not migrated."""
