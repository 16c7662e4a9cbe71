from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class ProbeFailed(AnalysisRule):
    """A value makes an expression of the manifest fail. The copy finds the row and quarantines it."""

    code = "TA-300"
    severity = "warning"
    area = "data"
    title = "a probe failed on some value"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.evidence:
            if each.failed:
                yield self.finding(
                    each.mapping, f"the probe failed: {each.failed}",
                    advice="A value makes an expression of the manifest fail; the copy will find and quarantine the row.",
                )  # fmt: skip
