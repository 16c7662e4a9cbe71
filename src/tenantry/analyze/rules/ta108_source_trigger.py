from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class SourceTrigger(AnalysisRule):
    """Decide whether the target needs it, and write it into the target's SQL files."""

    code = "TA-108"
    severity = "warning"
    area = "schema"
    title = "a trigger of the source has no counterpart in the target"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            for trigger in table.triggers:
                yield self.finding(
                    table.name, f"trigger {trigger.name} has no counterpart in the target",
                    advice="Decide whether the target needs it; write it into the target's files.",
                )  # fmt: skip
