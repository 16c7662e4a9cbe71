from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class HiddenRows(AnalysisRule):
    """The run would treat hidden rows as missing. The advice has the statements that make every row visible."""

    code = "TA-120"
    severity = "blocker"
    area = "risk"
    title = "row-level security hides rows of a table from the login"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.around.hidden:
            yield self.finding(
                each.table,
                each.why,
                advice=f"Hidden rows would be treated as missing. Before the run, {each.fix}.",
            )
