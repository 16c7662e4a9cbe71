from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import event_triggers
from tenantry.journal.names import JOURNAL


class RlsOnNewTables(AnalysisRule):
    """Tenantry switches it off again for the tables of its journal, which nobody else may use. The target's tables
    have policies anyway.
    """

    code = "TA-124"
    severity = "warning"
    area = "risk"
    title = "an event trigger switches row-level security on for new tables"

    def find(self, case: Case) -> Iterator[Finding]:
        around = case.around
        if not around.refused and not around.temporary.forced and (around.tables.enabled or around.tables.forced):
            yield self.finding(
                JOURNAL, f"{event_triggers(around)}: row-level security is switched on for every new table",
                advice=f"Tenantry switches it off again for its own tables in schema {JOURNAL}, which nobody but it may use; for those"
                f" of {case.project.target.schema} it makes policies.",
            )  # fmt: skip
