from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import carried_pairs, is_zoned


class TypeChanges(AnalysisRule):
    """A plain cast or the transform of its rule converts the values. A value that the new type cannot hold is invalid."""

    code = "TA-110"
    severity = "info"
    area = "schema"
    title = "a column changes its type"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, source, target in carried_pairs(case.project):
            if source.type != target.type and not is_zoned(source, target):
                yield self.finding(
                    mapping.target.name,
                    f"{column.source}: {source.type} becomes {column.name}: {target.type}",
                    column=column.name,
                )
