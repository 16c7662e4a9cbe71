from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class TriggerElsewhere(AnalysisRule):
    """From the cut-over on the source is read-only, and statements that fire the trigger are refused. Before that, let the
    function write the new table, or drop the trigger.
    """

    code = "TA-131"
    severity = "warning"
    area = "risk"
    title = "a trigger of a table that is not migrated writes a source table"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.around.outsiders:
            for table in each.writes if not each.accounts else ():
                yield self.finding(
                    table, f"is written by trigger {each.trigger} on {each.table} (function {each.function})",
                    advice=f"From the cut-over on {case.project.source.schema}.{table} is read-only, and statements that fire the trigger are"
                    " refused. Before that, let the function write the new table, or drop the trigger.",
                )  # fmt: skip
