from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import UNPREPARED_HINT


class RolesNotPrepared(AnalysisRule):
    """Every role may create temporary objects here, and one of them could replace a name in a function with higher
    privileges. Let a DBA run `tenantry roles --sql` in this database. The proof fails until then.
    """

    code = "TA-160"
    severity = "warning"
    area = "risk"
    title = "the role script was not run in this database"

    def find(self, case: Case) -> Iterator[Finding]:
        if case.around.unprepared:
            yield self.finding(
                "", "the role script was not run in this database: every role may create temporary objects",
                advice=f"{UNPREPARED_HINT} The proof fails until then.",
            )  # fmt: skip
