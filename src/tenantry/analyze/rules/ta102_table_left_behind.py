from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import shown_by


class TableLeftBehind(AnalysisRule):
    """`[source] ignore` lists it. Its rows stay in the source. If it is to stay for good, and the target refers to it, name it in
    `left`.
    """

    code = "TA-102"
    severity = "notice"
    area = "schema"
    title = "a source table is not migrated, because the manifest ignores it"

    def find(self, case: Case) -> Iterator[Finding]:
        shown = shown_by(case.project)
        for name in case.project.manifest.source.ignore:
            if name not in shown:
                yield self.finding(name, "not migrated, because [source] ignore lists it")
