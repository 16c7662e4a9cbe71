"""A derivation as a value, and a statement that runs range by range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from pglast.parser import scan

RANGE = "/* key range */ true"
"""Stands where the key range of a chunk goes; as it stands it means all rows, so that the text runs as it is."""


def within(statement: str, condition: str) -> str:
    """A statement over the rows of a key range."""
    return condition.join(_around_ranges(statement))


@lru_cache(maxsize=256)
def _around_ranges(statement: str) -> tuple[str, ...]:
    """The pieces of a statement around its tokens RANGE; a name or a literal that holds the same text is none."""
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
    """A derivation in parts: the common table expressions it needs, and a select of one row for each source row.

    The select yields the target's columns, and beside them what `Mapping.ours` names: `key` (text), and unless it is for VERIFY
    `problems` (text or null), `parent` (jsonb or null), `original` (json, for rows with problems),
    `changes` (json documents as text[], or null).
    """

    common: tuple[tuple[str, str], ...]
    select: str
    once: bool = True
    """The rows are read several times, so they are computed once and kept. A comparison reads them once: then the planner
    may take everything into one plan, and into parallel workers, which may not read kept results."""

    def statement(
        self, tail: str, *, name: str = "derived", more: Sequence[tuple[str, str]] = (), few: bool = False
    ) -> str:
        """`with … name as materialized (select) …more tail`.

        Args:
            few: only a few rows are derived: parents are looked up for them, and not all of them computed first.
        """
        kind = " materialized" if self.once else " not materialized"
        parts = [
            *((label, " not materialized" if few else kind, body) for label, body in self.common),
            (name, kind, self.select),
            *((label, "", body) for label, body in more),
        ]
        return "with " + ",\n".join(f"{label} as{kept} (\n{body}\n)" for label, kept, body in parts) + "\n" + tail
