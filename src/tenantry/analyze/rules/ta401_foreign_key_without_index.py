from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class ForeignKeyWithoutIndex(AnalysisRule):
    """The target has an index for each of its foreign keys."""

    code = "TA-401"
    severity = "notice"
    area = "risk"
    title = "a foreign key without an index"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            leads = {index.columns[: len(fk.columns)] for index in table.indexes for fk in table.foreign_keys}
            for fk in table.foreign_keys:
                if fk.columns not in leads:
                    yield self.finding(
                        table.name, f"foreign key without an index: {', '.join(fk.columns)}", column=fk.columns[0],
                        advice="The target has one for each of its foreign keys.",
                    )  # fmt: skip
