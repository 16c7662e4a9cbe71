from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.postgres import ident


class ChildrenByInheritance(AnalysisRule):
    """They are captured and refuse writes like the table itself, and go with it. Rows that are born in the target go
    back into the table itself, not into a child.
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
                    table.name, f"children by inheritance hold rows of it: {names}", count=len(table.below),
                    advice="They are captured and refuse writes like the table itself, and the contract drops them with it. Rows that are"
                    " born in the target are carried back into the table itself, not into a child.",
                )  # fmt: skip
