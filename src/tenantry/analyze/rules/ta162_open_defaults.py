from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import own_schemas


class DefaultsOpen(AnalysisRule):
    """Default privileges of the tables' owner (`alter default privileges … grant …`) give the application's roles privileges
    on everything that the owner creates later. The run revokes them for its own tables; those you create later are open.
    """

    code = "TA-162"
    severity = "warning"
    area = "risk"
    title = "default privileges open later objects to clients"

    def find(self, case: Case) -> Iterator[Finding]:
        if case.around.opened:
            yield self.finding(
                "", f"default privileges open later objects to clients: {'; '.join(case.around.opened)}",
                advice=f"The run closes what it makes in {own_schemas(case.project)}. Tables and functions that you make afterwards are"
                " open all the same: alter default privileges for role … revoke … from …. `tenantry access apply` does that for those"
                " of the tables' owner.",
            )  # fmt: skip
