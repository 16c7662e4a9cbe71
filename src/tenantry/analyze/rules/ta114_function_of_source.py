from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class FunctionOfSource(AnalysisRule):
    """It keeps using the source after the cut-over. Write its counterpart into the target's SQL files. The check searches the
    function's text, so it can be wrong: every name in it counts as used.
    """

    code = "TA-114"
    severity = "warning"
    area = "schema"
    title = "a function reads or writes source tables"

    def find(self, case: Case) -> Iterator[Finding]:
        names = {(case.project.source.schema, table.name) for table in case.project.source_tables}
        for function in case.project.source.functions:
            on = {name for schema, name in (*function.depends_on, *function.mentions) if (schema, name) in names}
            if on:
                yield self.finding(
                    function.name, f"function reads or writes {', '.join(sorted(on))}",
                    advice="It keeps using the source; write its counterpart into the target's files.",
                )  # fmt: skip
