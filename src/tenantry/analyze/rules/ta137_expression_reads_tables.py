from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class ExpressionReadsTables(AnalysisRule):
    """After each change in such a table, all rows of the mapping are derived again. A column of the row itself is cheaper."""

    code = "TA-137"
    severity = "notice"
    area = "risk"
    title = "an expression reads other tables"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping in case.project:
            if mapping.reads:
                yield self.finding(
                    mapping.name, f"its expressions read {', '.join(mapping.reads)}",
                    advice="After each change there, all of its rows are derived again; a column of the row itself is cheaper.",
                )  # fmt: skip
