from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class Standby(AnalysisRule):
    """`tenantry analyze` and `tenantry plan` can read it. `tenantry migrate` and all later commands need the primary server
    (TN-408).
    """

    code = "TA-153"
    severity = "notice"
    area = "risk"
    title = "the server is a standby"

    def find(self, case: Case) -> Iterator[Finding]:
        if case.around.at_work.standby:
            yield self.finding(
                "", "this server is a standby, which is read-only",
                advice="`tenantry analyze` and `plan` can read it. Give `tenantry migrate` and all later commands the address of the primary"
                " server: here they stop with TN-408.",
            )  # fmt: skip
