from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.postgres import ident


class ChildrenByInheritance(AnalysisRule):
    """They are captured, refuse writes and are dropped like the table itself. Replay into the source inserts target-native
    rows into the table itself, not into a child.
    """

    code = "TA-128"
    severity = "notice"
    area = "schema"
    title = "children by inheritance hold rows of a source table"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            if table.kind != "partitioned" and table.below:
                names = ", ".join(ident(each.schema, each.name) for each in table.below)
                yield self.finding(
                    table.name, f"inheritance children hold rows of it: {names}", count=len(table.below),
                    advice="They are captured and refuse writes like the table itself, and the contract step drops them with it. Replay into the"
                    " source inserts target-native rows into the table itself, not into a child.",
                )  # fmt: skip
