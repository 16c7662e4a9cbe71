from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class CollationVersion(AnalysisRule):
    """The operating system or ICU sorts texts by other rules than when the database was made, for example after an upgrade of
    the system under it. Indexes on texts may then miss rows and accept duplicates, so a migration would not find rows that
    are there. Rebuild the indexes (`REINDEX DATABASE`), and then record the new version with
    `ALTER DATABASE … REFRESH COLLATION VERSION` or `ALTER COLLATION …`. Databases that are not UTF-8 are refused (TN-217).
    """

    code = "TA-173"
    severity = "warning"
    area = "risk"
    title = "texts are sorted by another version of a collation than when the indexes were built"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.around.collations:
            alter = f"ALTER {each.kind.upper()} {each.name} REFRESH"
            yield self.finding(
                each.name, f"{each.kind} {each.name} was made with version {each.recorded} of its collation; the server has {each.actual}",
                advice=f"Rebuild the indexes on texts, then: {alter} {'COLLATION ' if each.kind == 'database' else ''}VERSION.",
            )  # fmt: skip
