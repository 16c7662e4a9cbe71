"""The results of a comparison, as values."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import asdict, dataclass
from typing import Any

SAMPLES = 20
MOST_CANDIDATES = 1_000_000
"""The largest number of keys that are rechecked; more mean that the target is wrong."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference."""

    check: str
    table: str
    key: str
    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"{self.table} {self.key}" + (f", column {self.column}" if self.column else "")
        return f"{where}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Account:
    """The whereabouts of one mapping's rows: always source = target + quarantined + merged + outside the pilot."""

    mapping: str
    source_table: str
    source: int
    target: int
    quarantined: int
    merged: int
    outside: int = 0
    """Rows that a pilot does not migrate: rows of other tenants, and rows without a tenant that nothing brings along."""

    @property
    def balanced(self) -> bool:
        return self.source == self.target + self.quarantined + self.merged + self.outside


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of one check of one table, or of all tables."""

    check: str
    table: str
    compared: int
    """Number of checked rows or objects."""
    differences: tuple[Difference, ...] = ()
    more: int = 0
    """Differences beyond those listed."""
    account: Account | None = None
    ranges: int = 0

    @property
    def passed(self) -> bool:
        return not self.differences and (self.account is None or self.account.balanced)

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "passed": self.passed}


TargetOnly = MappingType[str, set[str]]
"""Legacy id → target-only columns; '' for whole rows."""


def show(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "…"


__all__ = ["MOST_CANDIDATES", "SAMPLES", "Account", "Difference", "TargetOnly", "Verification", "show"]
