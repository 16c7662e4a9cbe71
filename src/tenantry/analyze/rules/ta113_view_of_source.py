from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class ViewOfSource(AnalysisRule):
    """It keeps reading the source after the cut-over. Write its counterpart into the target's SQL files."""

    code = "TA-113"
    severity = "warning"
    area = "schema"
    title = "a view reads source tables"

    def find(self, case: Case) -> Iterator[Finding]:
        names = {(case.project.source.schema, table.name) for table in case.project.source_tables}
        for view in case.project.source.views:
            if on := [name for schema, name in view.depends_on if (schema, name) in names]:
                yield self.finding(
                    view.name, f"{'materialized ' if view.materialized else ''}view reads {', '.join(on)}",
                    advice="It keeps reading the source; write its counterpart into the target's files.",
                )  # fmt: skip
