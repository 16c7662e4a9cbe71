from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class MergedRows(AnalysisRule):
    """Of the rows that are equal in `merge.by`, the first in the order of `merge.keep` stays. The others are listed."""

    code = "TA-310"
    severity = "notice"
    area = "data"
    title = "duplicate rows will be merged"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.evidence:
            merge = case.project.mapping(each.mapping).merge
            if each.merged.count and merge is not None:
                yield self.finding(
                    each.mapping, f"duplicate rows ({merge.reason}){each.of_sample}", count=each.merged.count,
                    column=", ".join(merge.by), keys=each.merged.keys,
                    advice=f"Will be merged; the first by {merge.keep} stays, the others are listed.",
                )  # fmt: skip
