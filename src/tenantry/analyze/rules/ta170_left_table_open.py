from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class LeftTableOpen(AnalysisRule):
    """Tenantry writes no policies for tables that are left where they are. Revoke the rights; or keep them if every client may see
    every row.
    """

    code = "TA-170"
    severity = "warning"
    area = "tenancy"
    title = "clients have rights on a table that is left where it is"

    def find(self, case: Case) -> Iterator[Finding]:
        roles = case.project.manifest.database_roles
        clients = {"public", roles.anon, roles.authenticated}
        for name in case.project.manifest.source.left:
            table = case.project.source.table(name)
            if table is None or table.rls_enabled:
                continue
            open_to = sorted({grant.grantee or "public" for grant in table.grants} & clients)
            if open_to:
                yield self.finding(
                    name, f"is left where it is, and open to {', '.join(open_to)}", count=len(open_to),
                    advice="Tenantry writes no policies for it. Revoke the rights; or keep them if every client may see every row.",
                )  # fmt: skip
