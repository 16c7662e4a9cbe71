"""The part of a manifest about tables and columns: `[tables.*]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from tenantry.manifest.access_rules import Access
from tenantry.manifest.scalars import FUNCTION, ManifestRecord, Name, Scalar, Sql, Way, listed, table_or_none


class Default(ManifestRecord):
    """Replace the value with a constant; the transform audit lists the cell."""

    default: Scalar


class Correct(ManifestRecord):
    """Replace the value with that of a SQL expression over the source row `s`; the transform audit lists the cell."""

    correct: Sql


def _kind_of_treatment(value: object) -> str:
    if isinstance(value, Default | Correct):
        return f"<{type(value).__name__.lower()}>"
    if isinstance(value, Mapping):
        return "<correct>" if "correct" in value and "default" not in value else "<default>"
    return "<word>"


# The alternative is chosen before validation, so that errors are about the intended one.
Treatment = Annotated[
    Annotated[Literal["carry", "quarantine"], Tag("<word>")]
    | Annotated[Default, Tag("<default>")]
    | Annotated[Correct, Tag("<correct>")],
    Discriminator(_kind_of_treatment),
]
"""What to do with a null, empty or invalid value: migrate it as null (or as the empty text), quarantine the row, or
replace it."""


Stale = Literal["keep", "drop", "quarantine"]
"""What to do with an id inside a value that names no row, or a row of another tenant."""

Orphan = Annotated[
    Annotated[Literal["quarantine", "null"], Tag("<word>")] | Annotated[Correct, Tag("<correct>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<correct>"),
]
"""What to do with a reference to a row that does not exist: quarantine its row, set the reference to null, or replace it with
the old id that a SQL expression over `s` returns. The transform audit keeps the original."""


class PythonTransform(ManifestRecord):
    """Python functions over batches, for transforms that SQL cannot express: `module:function`, list of values → list of values."""

    up: str
    down: str

    @field_validator("up", "down")
    @classmethod
    def _is_function(cls, value: str) -> str:
        if not FUNCTION.fullmatch(value):
            raise ValueError('name a function as "package.module:function"')
        return value


class ColumnRule(ManifestRecord):
    """How one target column gets its value. Without a rule it is the source column of the same name, cast."""

    source: Annotated[Name | None, Field(alias="from")] = None
    ref: Annotated[str | Literal[False] | None, BeforeValidator(table_or_none)] = None
    """The target table that the column references; False: none, whatever foreign keys exist."""
    transform: Annotated[str | None, Field(alias="as")] = None
    """The name of a transform. mapping/check_transforms.py knows the existing names and which other columns each reads."""
    zone: Name | None = None
    map: Mapping[str, Scalar] | None = None
    up: Sql | None = None
    down: Sql | None = None
    python: PythonTransform | None = None
    orphan: Orphan | None = None
    type: Name | None = None
    """The source column that says to which table the ids of a polymorphic pair belong."""
    ids: Mapping[str, Name | tuple[Name, ...]] | None = None
    """Where ids are, and the target tables of their rows; the transform says what the keys are."""
    stale: Stale | None = None
    """None: as the transform says."""
    missing: tuple[str, ...] = ()
    null: Treatment | None = None
    empty: Treatment | None = None
    invalid: Treatment | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ColumnRule:
        ways = [
            name
            for name, given in (
                ("ref", self.ref or None),
                ("as", self.transform),
                ("map", self.map),
                ("up", self.up),
                ("python", self.python),
            )
            if given is not None
        ]
        if len(ways) > 1:
            raise ValueError(
                f"{listed(ways)} exclude each other: a column gets its value in one way only; take the others out"
            )
        if self.orphan is not None and not self.ref:
            raise ValueError("orphan needs ref: it says what becomes of a reference to a row that does not exist")
        if self.down is not None and self.up is None and self.map is None:
            raise ValueError("down needs up or map: Tenantry reverses all other rules by itself; take it out")
        self._nothing_unread(ways[0] if ways else "")
        return self

    def _nothing_unread(self, way: str) -> None:
        """Refuse keys that this kind of rule would silently ignore."""
        if self.map is not None and not self.map:
            raise ValueError('map is empty; give it entries: { "old" = "new" }')
        if way in ("ref", "up", "python"):
            given = [name for name in ("missing", "null", "empty", "invalid") if name in self.model_fields_set]
            if given:
                verb = "has" if len(given) == 1 else "have"
                raise ValueError(f"{listed(given)} {verb} no effect together with {way}; take it out")


class Merge(ManifestRecord):
    """Duplicate rows: of the rows equal in `by` (target columns), the first in the order `keep` survives."""

    by: tuple[Name, ...]
    keep: Sql
    reason: Name

    @field_validator("by")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one target column")
        return value


def _part(value: str) -> str:
    if not re.fullmatch(r"\w+", value):
        raise ValueError("must be a word of letters, digits and underscores")
    if value == "account":
        raise ValueError("'account' already means the ids of accounts; choose another word")
    return value


Part = Annotated[str, AfterValidator(_part)]
"""A word that is part of the derived ids, so that two tables from one source have different ids."""


class SourceRule(ManifestRecord):
    """One source table of a target table that several fill."""

    source: Annotated[Name, Field(alias="from")]
    part: Part | None = None
    where: Sql | None = None
    tenant: tuple[Way, ...] = ()
    fallback: tuple[Way, ...] = ()
    columns: Mapping[str, ColumnRule] = {}


class TableRule(ManifestRecord):
    """One target table: where it comes from, how its rows reach their tenant, and who may do what."""

    source: Annotated[Name | None, Field(alias="from")] = None
    ids: Literal["derive", "keep"] = "derive"
    """Whether rows get a uuid, or keep the id that they have."""
    part: Part | None = None
    where: Sql | None = None
    tenant: tuple[Way, ...] = ()
    fallback: tuple[Way, ...] = ()
    """Paths for rows that no path in `tenant` leads to a tenant; unlike those, they check nothing."""
    columns: Mapping[str, ColumnRule] = {}
    sources: Mapping[str, SourceRule] = {}
    merge: Merge | None = None
    access: Access

    @model_validator(mode="after")
    def _one_form(self) -> TableRule:
        if self.sources and (self.source or self.columns or self.tenant or self.fallback or self.where or self.part):
            raise ValueError(
                "with [sources], write the keys from, part, where, tenant, fallback and columns into each source"
            )
        if self.ids == "keep" and (self.sources or self.part):
            raise ValueError(
                'ids = "keep" needs a table with one source and without part: its ids are those of the source'
            )
        said = [
            name
            for name, given in (
                ("ids", self.ids == "keep"),
                ("part", self.part),
                ("where", self.where),
                ("tenant", self.tenant),
                ("fallback", self.fallback),
                ("columns", self.columns),
                ("merge", self.merge),
            )
            if given
        ]
        if said and not self.sources and not self.source:
            verb = "says" if len(said) == 1 else "say"
            raise ValueError(f"{listed(said)} {verb} how rows are migrated, but from is missing")
        return self

    def parts(self) -> Mapping[str, SourceRule]:
        """The source tables by name; empty for a new table."""
        if self.sources:
            return self.sources
        if self.source is None:
            return {}
        return {
            "": SourceRule.model_construct(
                **{"from": self.source},  # type: ignore[arg-type]  # the alias is a keyword of Python
                part=self.part,
                where=self.where,
                tenant=self.tenant,
                fallback=self.fallback,
                columns=self.columns,
            )
        }


__all__ = [
    "ColumnRule",
    "Correct",
    "Default",
    "Merge",
    "Orphan",
    "Part",
    "PythonTransform",
    "SourceRule",
    "Stale",
    "TableRule",
    "Treatment",
]
