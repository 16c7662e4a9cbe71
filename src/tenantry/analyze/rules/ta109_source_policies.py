from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class SourcePolicies(AnalysisRule):
    """The target's policies are compiled from the access matrix of the manifest. Compare it with what the old policies
    allowed.
    """

    code = "TA-109"
    severity = "notice"
    area = "schema"
    title = "policies of the source are replaced"

    def find(self, case: Case) -> Iterator[Finding]:
        for table in case.project.source_tables:
            if table.rls_enabled or table.policies:
                yield self.finding(
                    table.name,
                    f"{len(table.policies)} policies are replaced by compiled ones"
                    + (", which bind the owner, too (FORCE)" if table.rls_forced else ""),
                    count=len(table.policies),
                )
