"""Base of the built-in transforms, each a class in a file of its own in the folder `transforms`; CONTRIBUTING.md shows how to
add one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tenantry.catalog import Catalog
from tenantry.catalog import Column as CatalogColumn
from tenantry.mapping import types
from tenantry.mapping.values.type_names import base_type, is_number, is_text


@dataclass(frozen=True, slots=True)
class Kind:
    """Columns that a transform can read or produce.

    Attributes:
        words: description of their values, as in "reads text".
        holds: whether a column, with its domain removed, is one of them.
        otherwise: explanation added to the message about a column that is not.
    """

    words: str
    holds: Callable[[CatalogColumn], bool]
    otherwise: str = ""


def of_types(words: str, *names: str, otherwise: str = "") -> Kind:
    """Return the columns of some types, with any modifiers."""
    return Kind(words, lambda column: base_type(column.type) in names, otherwise)


TEXT = Kind("text", is_text)
NUMBER = Kind("a number", is_number)
BOOLEAN = of_types("true or false", "boolean")
MOMENT = of_types(
    "a date or timestamp", "date", "timestamp without time zone", "timestamp with time zone"
)  # fmt: skip
WALL_CLOCK = of_types(
    "a wall clock", "date", "timestamp without time zone", otherwise=", which is an instant already"
)  # fmt: skip
INSTANT = of_types("a timestamp with time zone", "timestamp with time zone")
DATE = of_types("a date", "date")
JSON = of_types("JSON", "json", "jsonb")


@dataclass(frozen=True, slots=True)
class Option:
    """A key of a column's rule that only some transforms read.

    Attributes:
        name: the key, a field of `manifest.model.ColumnRule`.
        needed: how to write it, if the transform requires it; otherwise empty.
    """

    name: str
    needed: str = ""


_UNKNOWN = Catalog("pg_catalog")

ZONE = Option("zone", 'zone = "tenant.<column>" or a time zone\'s name')


@dataclass(frozen=True, slots=True)
class Between:
    """The two columns between which a value is converted, both with their domains removed.

    Attributes:
        zone: SQL of the name of the rule's time zone; UTC without one.
        known, wanted: catalog facts about the source's types, and about the target's.
        ids: the rule's places of ids, and the target tables that they lead to.
        type_column: the source column that says to which table an id belongs; empty if the rule names none.
    """

    source: CatalogColumn
    target: CatalogColumn
    zone: str = "'UTC'"
    known: Catalog = _UNKNOWN
    wanted: Catalog = _UNKNOWN
    ids: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    type_column: str = ""

    def cast(self, raw: str) -> str:
        """Return a plain cast from source to target."""
        return types.carried(raw, self.source, self.known, self.target, self.wanted)

    def cast_back(self, value: str) -> str:
        """Invert a plain cast, by the types alone: numbers, words and timestamps become plain text."""
        return types.carried_back(value, self.target, self.wanted, self.source, self.known)


@dataclass(frozen=True, slots=True)
class Invalid:
    """Shown in an example as the result of an invalid value."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """Values of one type and their results; the documentation shows them, and a test runs them on PostgreSQL.

    Attributes:
        zone: for a transform with the option `zone`.
        rows: the text of the result, by the text of the value.
    """

    source: str
    target: str
    rows: Mapping[str, str | Invalid]
    zone: str = ""


class Transform(ABC):
    """A transform; its docstring is the text of its section in docs/reference/transforms.md.

    Attributes:
        name: the name in the manifest and of the file.
        reads: requirements for the source column, checked in turn.
        gives: requirements for the target column.
        back: describes the reverse conversion. `back_never`: values that have none.
        becomes: `json_ids` if the derivation replaces the ids inside a document, in both directions.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[Kind, ...]] = ()
    gives: ClassVar[Kind]
    options: ClassVar[tuple[Option, ...]] = ()
    examples: ClassVar[tuple[Examples, ...]] = ()
    back: ClassVar[str]
    back_never: ClassVar[str] = ""
    becomes: ClassVar[Literal["value", "json_ids"]] = "value"

    @abstractmethod
    def up(self, raw: str, between: Between) -> str:
        """Return SQL of the target's value; null if `raw`, which is neither null nor blank, is invalid. It never raises an
        error."""

    def down(self, value: str, between: Between) -> str:
        """Return SQL of a source value that `up` converts to the target's value again; null if none exists."""
        return between.cast_back(value)

    def misfit(self, source: CatalogColumn, target: CatalogColumn) -> str | None:
        """Explain why it cannot convert between two columns, whose domains are removed."""
        for kind in self.reads:
            if not kind.holds(source):
                return f"{self.name!r} reads {kind.words}, but {source.name} is {source.type}{kind.otherwise}"
        if not self.gives.holds(target):
            return f"{self.name!r} gives {self.gives.words}, but {target.name} is {target.type}"
        return None

    def normal(self, raw: str) -> str | None:
        """Return SQL of the form in which a text is stored, if the change log records changes of it."""
        return None

    def refuses_word(self, word: str) -> bool:
        """Whether a word of `missing` is invalid for the transform anyway, so values need not be compared with it first."""
        return False


def no_digit_no_at(word: str) -> bool:
    """Whether a word can be neither a number nor an address."""
    return not any(char.isdigit() or char == "@" for char in word)
