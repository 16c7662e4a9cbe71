from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class CircleOfReferences(AnalysisRule):
    """Rows whose parent is quarantined are found behind the copy, and follow it then."""

    code = "TA-402"
    severity = "notice"
    area = "risk"
    title = "a table takes part in a circle of references"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping in case.project:
            if any(ref.late for ref in mapping.references):
                yield self.finding(
                    mapping.target.name, "takes part in a cycle of references",
                    advice="Rows whose parent is quarantined are swept behind the copy.",
                )  # fmt: skip
