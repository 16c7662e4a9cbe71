from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import event_triggers, own_schemas
from tenantry.journal.names import JOURNAL


class EventTrigger(AnalysisRule):
    """Check that it does no harm to the schemas of the journal and the target."""

    code = "TA-125"
    severity = "notice"
    area = "risk"
    title = "an event trigger will fire for the tables of the run"

    def find(self, case: Case) -> Iterator[Finding]:
        around = case.around
        harmless = not (around.refused or around.temporary.forced or around.tables.enabled or around.tables.forced)
        if around.listeners and harmless:
            yield self.finding(
                JOURNAL, f"{event_triggers(around)} will fire for the tables of the run",
                advice=f"Check that it does no harm to the schemas {own_schemas(case.project)}.",
            )  # fmt: skip
