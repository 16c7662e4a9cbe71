from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class SplitTable(AnalysisRule):
    """Each of its rows becomes a row in every one of them. The ids differ by the `part` that the manifest gives."""

    code = "TA-103"
    severity = "info"
    area = "schema"
    title = "one source table feeds several target tables"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            targets = [mapping.target.name for mapping in case.project.of_source(table.name)]
            if len(targets) > 1:
                yield self.finding(table.name, f"split into {', '.join(targets)}", count=len(targets))
