from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import shown_by


class TableLeftBehind(AnalysisRule):
    """`[source] ignore` names it. Its rows stay in the source, and go when the migration is made final."""

    code = "TA-102"
    severity = "notice"
    area = "schema"
    title = "a source table is left behind, as the manifest says"

    def find(self, case: Case) -> Iterator[Finding]:
        shown = shown_by(case.project)
        for name in case.project.manifest.source.ignore:
            if name not in shown:
                yield self.finding(name, "left behind, as [source] ignore says")
