from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import UNPREPARED_HINT


class RolesNotPrepared(AnalysisRule):
    """Everybody may make temporary objects here, and one of them can stand in for what a function of higher rights
    means. Let a DBA run `tenantry roles --sql` in this database. The proof fails until then.
    """

    code = "TA-160"
    severity = "warning"
    area = "risk"
    title = "the script of the roles was not run in this database"

    def find(self, case: Case) -> Iterator[Finding]:
        if case.around.unprepared:
            yield self.finding(
                "", "the script of the roles was not run in this database: everybody may make temporary objects",
                advice=f"{UNPREPARED_HINT} The proof fails until then.",
            )  # fmt: skip
