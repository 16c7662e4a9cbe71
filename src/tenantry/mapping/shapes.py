"""Shapes of columns whose values hold ids of other rows: a document, a list, a polymorphic pair, a text.

The derivation makes each of them a JSON document, in which it replaces old ids with new ones at given paths, and in reverse new ids
with old ones. A shape says how the document becomes the target's value, how it is made from the target's value again, and how it
becomes the source's value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from tenantry.mapping.id_patterns import held_text, joined
from tenantry.mapping.values.texts import as_text, trimmed
from tenantry.mapping.values.type_names import TEXTS, base_type
from tenantry.postgres import ident, literal


class Shape(ABC):
    """How one column holds ids. All methods return SQL."""

    @abstractmethod
    def value(self, made: str, document: str) -> str:
        """Return the target's value.

        Args:
            made: the document with new ids.
            document: the same document with old ids.
        """

    @abstractmethod
    def held(self) -> str:
        """Return the document of the value of the target row `t`."""

    @abstractmethod
    def restored(self, made: str) -> str:
        """Return the source's value, before it is cast to the column's type.

        Args:
            made: the document of the target row, with old ids.
        """

    def unjudged(self, document: str) -> str:
        """Return a value of the target's type for an analysis that does not look up ids; null if the source's value is invalid."""
        return self.value(document, document)

    @property
    def only_new_ids(self) -> bool:
        """Whether the target has no place for an old id."""
        return False

    @property
    def drops_in_reverse(self) -> bool:
        """Whether the source has no place for an id of a row that it does not have."""
        return False

    @property
    def numbers(self) -> bool:
        """Whether the source can only hold numbers as ids."""
        return False


@dataclass(frozen=True, slots=True)
class Document(Shape):
    """A document, in a JSON column or as text.

    Attributes:
        column, type: the target column and its type.
        raw: the source's value as text if the target's is text too: a text without replaced ids stays as it is.
        source_type: the source's type.
    """

    column: str
    type: str
    source_type: str
    server_version: int
    raw: str = ""

    def value(self, made: str, document: str) -> str:
        if not self.raw:
            return made
        # In a text that is not JSON, the document is null: the value is invalid.
        whole = (
            f"case when {trimmed(self.raw)} = '' then {self.raw}"
            f" else (select case when w.made = {document} then {self.raw} else w.made::text end from (select {made} as made) w) end"
        )
        return as_text(whole, self.type)

    def held(self) -> str:
        value = f"t.{ident(self.column)}"
        if self.type == "jsonb":
            return value
        if not self.raw:
            return f"{value}::jsonb"
        asked = "pg_input_is_valid" if self.server_version >= 160000 else "tenantry.readable"
        return f"(case when {asked}({value}, 'jsonb') then {value}::jsonb end)"

    def restored(self, made: str) -> str:
        if base_type(self.source_type) not in TEXTS:
            return made
        whole = f"({made})::text"
        if self.raw:
            value = f"t.{ident(self.column)}"
            whole = (
                f"(select case when w.made is null or w.made = w.held then {value} else w.made::text end"
                f" from (select {made} as made, {self.held()} as held) w)"
            )
        return as_text(whole, self.source_type)


@dataclass(frozen=True, slots=True)
class IdList(Shape):
    """An array of ids.

    Attributes:
        element: the type of the source's elements.
    """

    column: str
    type: str
    element: str

    def value(self, made: str, document: str) -> str:
        del document
        return as_array(made, "uuid")

    def unjudged(self, document: str) -> str:
        return f"case when {document} is not null then '{{}}'::{self.type} end"

    def held(self) -> str:
        return f"to_jsonb(t.{ident(self.column)})"

    def restored(self, made: str) -> str:
        return as_array(made, self.element)

    @property
    def drops_in_reverse(self) -> bool:
        return base_type(self.element) not in TEXTS

    @property
    def numbers(self) -> bool:
        return self.drops_in_reverse and base_type(self.element) != "uuid"


@dataclass(frozen=True, slots=True)
class Pair(Shape):
    """An id beside a column that says to which table it belongs. The document is an object with one list of one id; its key is the
    number of the type.

    Attributes:
        source_type: the type of the id in the source.
        type_column: the source column with the type.
        types: its values.
    """

    column: str
    type: str
    source_type: str
    type_column: str
    types: tuple[str, ...]

    def value(self, made: str, document: str) -> str:
        del document
        return f"(jsonb_path_query_first({made}, '$.*[0]') #>> '{{}}')::{self.type}"

    def unjudged(self, document: str) -> str:
        zeros = "'00000000-0000-0000-0000-000000000000'"
        return f"case when {document} is not null then {zeros}::{self.type} end"

    def held(self) -> str:
        return self.named(["true"] * len(self.types))

    def named(self, conditions: Sequence[str]) -> str:
        """Return the document of the value of the target row `t`, given the condition, for each type, that the row may have it. If
        several hold, the id belongs to the first table that has it."""
        value = f"t.{ident(self.column)}"
        meant = ", ".join(f"({literal(f'k{n}')}, {condition})" for n, condition in enumerate(conditions))
        return (
            f"(select jsonb_object_agg(w.key, jsonb_build_array({value})) from (values {meant}) w (key, meant)"
            f" where w.meant and {value} is not null)"
        )

    def restored(self, made: str) -> str:
        value = f"(jsonb_path_query_first({made}, '$.*[0]') #>> '{{}}')"
        return value if base_type(self.source_type) not in TEXTS else as_text(value, self.source_type)

    @property
    def only_new_ids(self) -> bool:
        return True

    @property
    def drops_in_reverse(self) -> bool:
        return True

    @property
    def numbers(self) -> bool:
        return base_type(self.source_type) not in TEXTS and base_type(self.source_type) != "uuid"


@dataclass(frozen=True, slots=True)
class TextWithIds(Shape):
    """A text with ids in it. The document is the list of its pieces."""

    column: str
    type: str
    source_type: str
    patterns: tuple[str, ...]

    def value(self, made: str, document: str) -> str:
        del document
        return joined(made, self.type)

    def held(self) -> str:
        return held_text(self.column, self.patterns)

    def restored(self, made: str) -> str:
        return joined(made, self.source_type)


def pair_document(type_of: str, value: str, types: tuple[str, ...]) -> str:
    """Return the document of a pair, given the SQL of its two columns and, by table, the type that names it; null if a type names no
    table, or the id is null."""
    whens = " ".join(f"when {literal(name)} then {literal(f'k{n}')}" for n, name in enumerate(types))
    return (
        f"(select jsonb_build_object(w.key, jsonb_build_array({value})) from (select case {type_of}::text {whens} end as key) w"
        f" where w.key is not null and {value} is not null)"
    )


def as_array(document: str, element: str) -> str:
    """Return SQL of a document's list as an array; null for null.

    Args:
        element: the type of its elements.
    """
    return (
        f"(select array(select (e.node #>> '{{}}')::{element} from jsonb_array_elements(w.list) with ordinality e (node, place)"
        f" order by e.place) from (select {document} as list) w where w.list is not null)"
    )


__all__ = ["Document", "IdList", "Pair", "Shape", "TextWithIds", "as_array", "pair_document"]
