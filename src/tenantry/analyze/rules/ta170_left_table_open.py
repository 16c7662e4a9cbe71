from __future__ import annotations

from collections.abc import Iterator

from tenantry.access.left_tables import readers
from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.catalog import PUBLIC


class LeftTableOpen(AnalysisRule):
    """Tenantry writes no policies for tables that are left where they are. Revoke the rights; or decide for them in `[source.access]`
    if every client may see every row.
    """

    code = "TA-170"
    severity = "warning"
    area = "tenancy"
    title = "clients have rights on a table that is left where it is"

    def find(self, case: Case) -> Iterator[Finding]:
        manifest = case.project.manifest
        clients = {PUBLIC, manifest.database_roles.anon, manifest.database_roles.authenticated}
        for name in manifest.source.left:
            table = case.project.source.table(name)
            if table is None or table.rls_enabled:
                continue
            may = {(role, "SELECT") for role in readers(manifest, name)}
            may |= {(PUBLIC, "SELECT")} if manifest.source.access.get(name) == "public" else set()
            held = {(grant.grantee, grant.privilege.upper()) for grant in table.grants if grant.grantee in clients}
            if open_to := sorted({role for role, _ in held - may}):
                yield self.finding(
                    name, f"is left where it is, and open to {', '.join(open_to)}", count=len(open_to),
                    advice="Tenantry writes no policies for it. Revoke the rights; or decide for them in [source.access] if every client may"
                    " see every row.",
                )  # fmt: skip
