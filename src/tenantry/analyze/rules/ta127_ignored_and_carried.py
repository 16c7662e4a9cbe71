from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import shown_by


class IgnoredAndCarried(AnalysisRule):
    """A query of the table above it shows its rows. Take the name out of `ignore`; or take the table off its parent
    before the run, if its rows are to stay behind.
    """

    code = "TA-127"
    severity = "warning"
    area = "schema"
    title = "a table named in `ignore` is carried over all the same"

    def find(self, case: Case) -> Iterator[Finding]:
        shown = shown_by(case.project)
        for name in case.project.manifest.source.ignore:
            if name in shown:
                yield self.finding(
                    name, f"is named in [source] ignore, and its rows are carried over all the same, with those of {shown[name]}",
                    advice=f"A query of {shown[name]} shows them. Take the name out of ignore; or take the table off"
                    f" {shown[name]} before the run, if its rows are to stay behind.",
                )  # fmt: skip
