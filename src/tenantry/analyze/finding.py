"""What analysis says: findings with evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Severity = Literal["blocker", "warning", "notice", "info"]
SEVERITIES: tuple[Severity, ...] = ("blocker", "warning", "notice", "info")
Area = Literal["schema", "tenancy", "data", "risk"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference, a risk or a data-quality defect.

    Attributes:
        code: stable; that of a rule, which docs/reference/findings.md lists.
        count: rows or objects concerned.
        keys: some of them; keys only, never values.
        advice: what to do about it, or why nothing need be done.
    """

    code: str
    severity: Severity
    area: Area
    table: str
    title: str
    count: int = 1
    column: str = ""
    keys: tuple[str, ...] = ()
    advice: str = ""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of rows, and the keys of some."""

    count: int
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What probes of one mapping's source rows found.

    Attributes:
        rows: rows looked at; all, unless `sampled`.
        refused: rows that would go to the quarantine, by their first problem `code:column`.
        problems: every problem, a row may have several.
        merged: rows that mean the same as another.
        changes: cells that a treatment would change, by (column, rule).
        stale: ids inside JSON documents that do not exist, by column: documents concerned.
        foreign: ids inside JSON documents that name rows of another tenant, by column: documents concerned.
        failed: what the server said where the probe could not be run.
    """

    mapping: str
    rows: int
    total: int
    sampled: bool = False
    refused: Mapping[str, Tally] = field(default_factory=dict)
    problems: Mapping[str, Tally] = field(default_factory=dict)
    merged: Tally = Tally(0)
    changes: Mapping[tuple[str, str], Tally] = field(default_factory=dict)
    stale: Mapping[str, Tally] = field(default_factory=dict)
    failed: str = ""
    foreign: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def of_sample(self) -> str:
        """What is added to a statement about all rows that holds for a sample."""
        return "  (of a sample)" if self.sampled else ""

    @property
    def carried(self) -> int:
        return self.rows - sum(tally.count for tally in self.refused.values()) - self.merged.count
