"""What a comparison found, as values."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import asdict, dataclass
from typing import Any

SAMPLES = 20
MOST_SUSPECTS = 1_000_000
"""Keys that are compared again at most; more of them mean that the target is not what it should be."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be."""

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
    """What became of the rows of one mapping: source = target + quarantined + merged + outside of the trial, always."""

    mapping: str
    source_table: str
    source: int
    target: int
    quarantined: int
    merged: int
    outside: int = 0
    """Rows that a trial leaves where they are: those of other tenants, and those that reach no tenant."""

    @property
    def balanced(self) -> bool:
        return self.source == self.target + self.quarantined + self.merged + self.outside


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of one check of one table, or of all tables."""

    check: str
    table: str
    compared: int
    """What was looked at: rows, or objects."""
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


Kept = MappingType[str, set[str]]
"""By legacy id the columns that stand in the target only; '' for whole rows."""


def show(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "…"


__all__ = ["MOST_SUSPECTS", "SAMPLES", "Account", "Difference", "Kept", "Verification", "show"]
