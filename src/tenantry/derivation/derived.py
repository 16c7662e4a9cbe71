"""A derivation as a value, and a statement that runs one key range at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from pglast.parser import scan

RANGE = "/* key range */ true"
"""Placeholder for the key range of a chunk. Left in place it selects all rows, so the statement is valid as it is."""


def within(statement: str, condition: str) -> str:
    """A statement over the rows of one key range."""
    return condition.join(_around_ranges(statement))


@lru_cache(maxsize=256)
def _around_ranges(statement: str) -> tuple[str, ...]:
    """Split a statement at its RANGE tokens; ignore the same text inside a name or a literal."""
    comment, _, true = RANGE.rpartition(" ")
    tokens = scan(statement)
    pieces, last = [], 0
    for token, following in pairwise(tokens):
        if (
            token.name == "C_COMMENT"
            and statement[token.start : token.end + 1] == comment
            and statement[following.start : following.end + 1] == true
        ):
            pieces.append(statement[last : token.start])
            last = following.end + 1
    return (*pieces, statement[last:])


class Reading(Enum):
    COPY = "copy"
    VERIFY = "verify"
    PREVIEW = "preview"


@dataclass(frozen=True, slots=True)
class Derivation:
    """A derivation in parts: its common table expressions, and a select that yields one row for each source row.

    The select yields the target's columns and those that `Mapping.ours` names: `key` (text) and, except for VERIFY,
    `problems` (text or null), `parent` (jsonb or null), `original` (json, for rows with problems), `changes` (json documents
    as text[], or null).
    """

    common: tuple[tuple[str, str], ...]
    select: str
    once: bool = True
    """Whether the rows are read several times: then they are materialized. A comparison reads them once, and without
    materialized results, which parallel workers cannot read, the planner can merge everything into one parallel plan."""

    def statement(
        self, tail: str, *, name: str = "derived", more: Sequence[tuple[str, str]] = (), few: bool = False
    ) -> str:
        """Return `with … name as materialized (select) …more tail`.

        Args:
            few: only a few rows are derived: parents are looked up for them instead of all being computed first.
        """
        kind = " materialized" if self.once else " not materialized"
        parts = [
            *((label, " not materialized" if few else kind, body) for label, body in self.common),
            (name, kind, self.select),
            *((label, "", body) for label, body in more),
        ]
        return "with " + ",\n".join(f"{label} as{kept} (\n{body}\n)" for label, kept, body in parts) + "\n" + tail
