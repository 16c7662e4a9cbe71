"""Findings of the analysis, with evidence."""

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
        code: stable; the code of a rule, which docs/reference/findings.md lists.
        count: number of affected rows or objects.
        keys: some of their keys, never values.
        advice: what to do, or why nothing needs to be done.
        explanation: what such a finding means, as docs/reference/findings.md says it.
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
    explanation: str = ""

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
        rows: number of rows read; all, unless `sampled`.
        refused: rows that would be quarantined, by their first problem `code:column`.
        problems: every problem; a row may have several.
        merged: duplicates of other rows.
        changes: cells that a treatment would change, by (column, rule).
        stale: by column, documents with ids that do not exist.
        foreign: by column, documents with ids of another tenant's rows.
        values: by column whose values are tenants, and `tenants` or `alike`: the tenants that it names, and those of them that
            differ from another one by case, blanks and punctuation alone.
        wide: by index that only the target has, rows whose values are longer than an entry of it can be.
        failed: the server's message if the probe failed.
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
    values: Mapping[tuple[str, str], Tally] = field(default_factory=dict)
    wide: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def of_sample(self) -> str:
        """Return a suffix for statements that are based on a sample."""
        return "  (of a sample)" if self.sampled else ""

    @property
    def carried(self) -> int:
        return self.rows - sum(tally.count for tally in self.refused.values()) - self.merged.count
