from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import carried_pairs


class NullNoMore(AnalysisRule):
    """A row whose value is null is quarantined, unless the manifest replaces it: `null = { default = … }` or `{ correct = …
    }`.
    """

    code = "TA-112"
    severity = "notice"
    area = "schema"
    title = "a column must not be null any more"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, source, target in carried_pairs(case.project):
            if source.nullable and not target.nullable:
                yield self.finding(mapping.target.name, f"{column.name} must not be null any more", column=column.name)
