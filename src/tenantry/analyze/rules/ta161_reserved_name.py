from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class ReservedName(AnalysisRule):
    """The run does not start (TN-423). Rename the object, in the source or in the target's SQL files."""

    code = "TA-161"
    severity = "blocker"
    area = "schema"
    title = "a trigger, a policy or an index has a name that Tenantry needs"

    def find(self, case: Case) -> Iterator[Finding]:
        for taken in case.around.taken:
            yield self.finding(
                taken.table, f"{taken.what} has a name that Tenantry needs",
                advice="The run does not start (TN-423). Rename it, in the source or in the target's files.",
            )  # fmt: skip
