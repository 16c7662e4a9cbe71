from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.ids_in_documents import ids_in_documents
from tenantry.analyze.rule import AnalysisRule, Case


class ForeignIdsInDocuments(AnalysisRule):
    """Ids that are kept mean nothing in the target. `stale = "drop"` drops them; the change log keeps the originals."""

    code = "TA-138"
    severity = "warning"
    area = "tenancy"
    title = "ids inside JSON documents refer to rows of another tenant"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.evidence:
            yield from ids_in_documents(
                self, case, each, each.foreign, named="rows of another tenant",
                dropped="These ids will be dropped; the originals are kept in the change log.",
                kept='These ids are kept, and mean nothing in the target; stale = "drop" drops them.',
            )  # fmt: skip
