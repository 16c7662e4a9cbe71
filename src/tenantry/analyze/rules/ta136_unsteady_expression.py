from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.mapping.tables_read import unsteady_expressions


class UnsteadyExpression(AnalysisRule):
    """A row is derived again when it changes. If the result of such an expression changes on its own, only a full comparison
    detects it. The cut-over begins with one.
    """

    code = "TA-136"
    severity = "warning"
    area = "risk"
    title = "an expression depends on the time, on chance, or on a function that is not immutable"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, where, _sql, what in unsteady_expressions(case.project):
            yield self.finding(
                mapping.name, f"{where} depends on {what}", column="" if where == "where" else where,
                advice="Only a full comparison detects a change of its result; the cut-over begins with one.",
            )  # fmt: skip
