"""What a built-in transform is: a class, in a file of its own in the folder `transforms`; CONTRIBUTING.md shows how to add one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from tenantry.catalog import Catalog
from tenantry.catalog import Column as CatalogColumn
from tenantry.mapping import types
from tenantry.mapping.values.type_names import base_type, is_number, is_text


@dataclass(frozen=True, slots=True)
class Kind:
    """Columns that a transform reads or gives.

    Attributes:
        words: what they hold, as in "reads text".
        holds: whether a column, without its domain, is one of them.
        otherwise: what is added to the message about one that is not.
    """

    words: str
    holds: Callable[[CatalogColumn], bool]
    otherwise: str = ""


def of_types(words: str, *names: str, otherwise: str = "") -> Kind:
    """The columns of some types, whatever their modifiers."""
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
        name: of the key, which `manifest.model.ColumnRule` has.
        needed: how to write it, where the transform cannot be without; empty where it can.
    """

    name: str
    needed: str = ""


_UNKNOWN = Catalog("pg_catalog")

ZONE = Option("zone", 'zone = "tenant.<column>" or a time zone\'s name')


@dataclass(frozen=True, slots=True)
class Between:
    """The two columns that a value goes between, both without their domains.

    Attributes:
        zone: SQL of the time zone's name that the rule states; UTC without one.
        known, wanted: what is known of the source's types, and of the target's.
    """

    source: CatalogColumn
    target: CatalogColumn
    zone: str = "'UTC'"
    known: Catalog = _UNKNOWN
    wanted: Catalog = _UNKNOWN

    def cast(self, raw: str) -> str:
        """A plain cast there."""
        return types.carried(raw, self.source, self.known, self.target, self.wanted)

    def cast_back(self, value: str) -> str:
        """The inverse of a plain cast, by the types alone: numbers, words and moments become plain text."""
        return types.carried_back(value, self.target, self.wanted, self.source, self.known)


@dataclass(frozen=True, slots=True)
class Invalid:
    """What stands in an example for a value that is invalid."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """Values of one type, and what becomes of them; the documentation shows them, and a test runs them on PostgreSQL.

    Attributes:
        zone: of a transform that has the option `zone`.
        rows: by the text of a value, the text of what is made of it.
    """

    source: str
    target: str
    rows: Mapping[str, str | Invalid]
    zone: str = ""


class Transform(ABC):
    """A transform; its docstring is the text of its section in docs/reference/transforms.md.

    Attributes:
        name: as the manifest writes it, and the name of the file.
        reads: what the source's column must be, each asked in turn.
        gives: what the target's column must be.
        back: the way back in words. `back_never`: values for which there is none.
        becomes: `json_ids` where the ids inside a document are replaced by those of rows, both ways, by the derivation.
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
        """SQL of the target's value; null where `raw` is invalid, which is neither null nor blank. It never raises."""

    def down(self, value: str, between: Between) -> str:
        """SQL of a value of the source that `up` makes the target's again; null where there is none."""
        return between.cast_back(value)

    def misfit(self, source: CatalogColumn, target: CatalogColumn) -> str | None:
        """Why it cannot stand between two columns, in words; both without their domains."""
        for kind in self.reads:
            if not kind.holds(source):
                return f"{self.name!r} reads {kind.words}, but {source.name} is {source.type}{kind.otherwise}"
        if not self.gives.holds(target):
            return f"{self.name!r} gives {self.gives.words}, but {target.name} is {target.type}"
        return None

    def normal(self, raw: str) -> str | None:
        """SQL of the form in which a text is kept, where a change of it goes into the change log."""
        return None

    def refuses_word(self, word: str) -> bool:
        """Whether a word of `missing` is invalid by itself, so that values need not be compared with it first."""
        return False


def no_digit_no_at(word: str) -> bool:
    """Whether a word is certainly no number and no address."""
    return not any(char.isdigit() or char == "@" for char in word)
