from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class Standby(AnalysisRule):
    """`tenantry analyze` and `tenantry plan` can read it. `tenantry migrate` and all that follows need the primary
    server (TN-408).
    """

    code = "TA-153"
    severity = "notice"
    area = "risk"
    title = "the server is a standby"

    def find(self, case: Case) -> Iterator[Finding]:
        if case.around.at_work.standby:
            yield self.finding(
                "", "this server is a standby, which nobody can write",
                advice="`tenantry analyze` and `plan` may read it. Give `tenantry migrate` and all that follows the address of the primary"
                " server: here they refuse to begin (TN-408).",
            )  # fmt: skip
