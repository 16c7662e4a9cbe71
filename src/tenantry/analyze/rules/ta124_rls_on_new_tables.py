from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import event_triggers
from tenantry.journal.names import JOURNAL


class RlsOnNewTables(AnalysisRule):
    """Tenantry disables it again for the tables of its journal, which only Tenantry may use. The target's tables have
    policies anyway.
    """

    code = "TA-124"
    severity = "warning"
    area = "risk"
    title = "an event trigger enables row-level security on new tables"

    def find(self, case: Case) -> Iterator[Finding]:
        around = case.around
        if not around.refused and not around.temporary.forced and (around.tables.enabled or around.tables.forced):
            yield self.finding(
                JOURNAL, f"{event_triggers(around)}: it enables row-level security on every new table",
                advice=f"Tenantry disables it again for its own tables in schema {JOURNAL}, which only Tenantry may use; for those"
                f" of {case.project.target.schema} it creates policies.",
            )  # fmt: skip
