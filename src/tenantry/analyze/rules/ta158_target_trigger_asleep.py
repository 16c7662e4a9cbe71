from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class TargetTriggerAsleep(AnalysisRule):
    """Rows are migrated as they are in the source. Values that the trigger writes into columns or tables without a source are
    missing: fill them by the manifest, or afterwards.
    """

    code = "TA-158"
    severity = "notice"
    area = "risk"
    title = "a trigger of the target does not fire for migrated rows"

    def find(self, case: Case) -> Iterator[Finding]:
        for name in case.project.by_target:
            table = case.project.target.table(name)
            for trigger in table.triggers if table is not None else ():
                if trigger.enabled in ("origin", "always"):
                    yield self.finding(
                        name, f"trigger {trigger.name} does not fire for migrated rows",
                        advice="They are as in the source. Values that the trigger writes into columns or tables without a source"
                        " are missing: fill them by the manifest, or afterwards.",
                    )  # fmt: skip
