from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class ForeignIdsInDocuments(AnalysisRule):
    """Kept as they are they mean nothing in the target. `stale = "drop"` drops them; the originals are kept in the
    change log.
    """

    code = "TA-138"
    severity = "warning"
    area = "tenancy"
    title = "ids inside JSON documents name rows of another tenant"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.evidence:
            for column, tally in sorted(each.foreign.items()):
                yield self.finding(
                    each.mapping, f"{column} names rows of another tenant{each.of_sample}", count=tally.count, column=column, keys=tally.keys,
                    advice="These ids will be dropped; the originals are kept in the change log."
                    if case.project.mapping(each.mapping).column(column).drop_stale
                    else 'These ids are kept as they are, and mean nothing in the target; stale = "drop" drops them.',
                )  # fmt: skip
