from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class CircleOfReferences(AnalysisRule):
    """Rows whose parent is quarantined are found after the copy, and then quarantined, too."""

    code = "TA-402"
    severity = "notice"
    area = "risk"
    title = "a table is part of a reference cycle"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping in case.project:
            if any(ref.late for ref in mapping.references):
                yield self.finding(
                    mapping.target.name, "is part of a reference cycle",
                    advice="Rows whose parent is quarantined are found after the copy.",
                )  # fmt: skip
