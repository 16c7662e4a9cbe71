from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class NoPrimaryKey(AnalysisRule):
    """The unique key identifies its rows instead. Every column of the key must be NOT NULL. A table without any key is
    refused.
    """

    code = "TA-105"
    severity = "warning"
    area = "schema"
    title = "no primary key; a unique key is used"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            if table.primary_key is None:
                key = ", ".join(table.row_key or ())
                yield self.finding(table.name, f"no primary key; the unique key ({key}) is used")
