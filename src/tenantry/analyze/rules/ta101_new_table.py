from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class NewTable(AnalysisRule):
    """It starts empty, and the application fills it. The table of a constant tenant starts with that tenant."""

    code = "TA-101"
    severity = "info"
    area = "schema"
    title = "a new table without a source"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.new_tables:
            if case.project.constant and table.name == case.project.manifest.tenant.table:
                yield self.finding(
                    table.name, "new table", advice="Starts with one tenant, which everything in the source belongs to."
                )
            elif case.project.tenants_made and table.name == case.project.manifest.tenant.table:
                yield self.finding(
                    table.name, "new table", advice="Starts with one tenant for each value in the source."
                )
            else:
                yield self.finding(table.name, "new table", advice="Starts empty.")
