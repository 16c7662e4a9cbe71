from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.catalog.descendants import unfit_below


class RowsElsewhere(AnalysisRule):
    """A foreign table, or a table that would be migrated twice, holds rows of a source table: triggers do not see
    writes there. Or a target table has inheritance children, which its policies and triggers do not cover.
    """

    code = "TA-126"
    severity = "blocker"
    area = "schema"
    title = "a table below another one cannot be migrated or protected"

    def find(self, case: Case) -> Iterator[Finding]:
        for unfit in unfit_below(case.project.source_tables):
            yield self.finding(unfit.table, unfit.why, advice=unfit.fix)
        for table in case.project.target.tables:
            if table.kind != "partitioned" and table.below:
                yield self.finding(
                    table.name, "is a target table with inheritance children, which its policies and triggers do not cover",
                    advice="Write it as a partitioned table, or as tables of their own.",
                )  # fmt: skip
