from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.ids_in_documents import ids_in_documents
from tenantry.analyze.rule import AnalysisRule, Case


class DeadIdsInDocuments(AnalysisRule):
    """They are kept, or dropped if the rule has `stale = "drop"`; then the change log keeps the originals."""

    code = "TA-312"
    severity = "notice"
    area = "data"
    title = "ids inside JSON documents that do not exist"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.evidence:
            yield from ids_in_documents(
                self, case, each, each.stale, named="rows that do not exist",
                dropped="The dead ids will be dropped; the originals are kept in the change log.",
                kept="The dead ids are kept.",
            )  # fmt: skip
