"""Base of the transforms of values that hold ids of other rows.

The SQL of such a transform makes a JSON document of the value; the derivation replaces the ids in it, in both directions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from tenantry.catalog import Column as CatalogColumn
from tenantry.manifest.model import Stale
from tenantry.mapping.shapes import Shape
from tenantry.mapping.transform import Between, Transform

Ids = Mapping[str, str | tuple[str, ...]]
"""The key `ids` of a column's rule: where ids are, and the target tables of their rows."""


class IdTransform(Transform):
    """A transform that replaces the ids inside a value.

    `up` returns the document with the old ids; null if the value is invalid.

    Attributes:
        stale: what happens to an id that names no row, unless the rule says so; `stales`: all that a rule may say.
    """

    becomes = "json_ids"
    stale: ClassVar[Stale] = "keep"
    stales: ClassVar[tuple[Stale, ...]] = ("keep", "drop", "quarantine")

    @abstractmethod
    def shape(self, raw: str, source: CatalogColumn, target: CatalogColumn, between: Between) -> Shape:
        """Return how the document becomes the target's value, and the source's in reverse."""

    def places(self, ids: Ids) -> Iterator[tuple[str, str, str]]:
        """Return the key in `ids`, the path in the document and the target table of each place with ids."""
        for key, tables in ids.items():
            assert isinstance(tables, str)
            yield key, key, tables

    def present(self, raw: str, between: Between) -> str | None:
        """Return a condition that the source has a value, so that a null document means an invalid one; None if no value is
        invalid."""
        del between
        return f"{raw} is not null"

    def missing(self, raw: str, between: Between) -> str:
        """Return a condition that the source has no value for a column that must have one."""
        del between
        return f"{raw} is null"

    def wrong_place(self, key: str, tables: str | Sequence[str]) -> str | None:
        """Explain why an entry of `ids` cannot be read."""
        if isinstance(tables, str):
            return None
        return f"{key!r} leads to one table: write its name"


__all__ = ["IdTransform", "Ids"]
