from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class DeadIdsInDocuments(AnalysisRule):
    """They are kept as they are, or dropped where the rule says `stale = "drop"`; the originals are then kept in the
    change log.
    """

    code = "TA-312"
    severity = "notice"
    area = "data"
    title = "ids inside JSON documents that do not exist"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.evidence:
            for column, tally in sorted(each.stale.items()):
                yield self.finding(
                    each.mapping, f"{column} names rows that do not exist{each.of_sample}", count=tally.count, column=column, keys=tally.keys,
                    advice="The dead ids will be dropped; the originals are kept in the change log."
                    if case.project.mapping(each.mapping).column(column).drop_stale
                    else "The dead ids are kept as they are.",
                )  # fmt: skip
