from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import shown_by


class IgnoredAndCarried(AnalysisRule):
    """A query of its parent includes its rows. Remove the name from `ignore`; or detach the table from its parent before the
    run, if its rows should not be migrated.
    """

    code = "TA-127"
    severity = "warning"
    area = "schema"
    title = "a table named in `ignore` is migrated anyway"

    def find(self, case: Case) -> Iterator[Finding]:
        shown = shown_by(case.project)
        for name in case.project.manifest.source.ignore:
            if name in shown:
                yield self.finding(
                    name, f"is named in [source] ignore, but its rows are migrated with those of {shown[name]}",
                    advice=f"A query of {shown[name]} includes them. Remove the name from ignore; or detach the table from"
                    f" {shown[name]} before the run, if its rows should not be migrated.",
                )  # fmt: skip
