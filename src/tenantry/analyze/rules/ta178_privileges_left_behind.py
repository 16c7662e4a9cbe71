from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.catalog import PUBLIC


class PrivilegesLeftBehind(AnalysisRule):
    """A role has privileges on source tables, and the access matrix grants it nothing: reports, replicas and support tools that
    log in with it see no row of the target. Give their queries a role of the manifest, or grant on the target what they
    need, with a policy of their own. Privileges of PUBLIC reach every role.
    """

    code = "TA-178"
    severity = "notice"
    area = "risk"
    title = "a role has privileges on source tables only"

    def find(self, case: Case) -> Iterator[Finding]:
        roles = case.project.manifest.database_roles
        known = {roles.anon, roles.authenticated, roles.service, roles.login, roles.definer}
        found: dict[str, dict[str, set[str]]] = {}
        for table in case.project.source_tables:
            for grant in table.grants:
                if grant.grantee != table.owner and grant.grantee not in known:
                    found.setdefault(grant.grantee, {}).setdefault(table.name, set()).add(grant.privilege)
        for role, tables in sorted(found.items()):
            privileges = sorted(set().union(*tables.values()))
            who = "every role (PUBLIC)" if role == PUBLIC else f"role {role}"
            yield self.finding(
                role, f"{who} has {', '.join(privileges)} on {len(tables)} source table{'' if len(tables) == 1 else 's'}", count=len(tables),
                keys=tuple(sorted(tables))[:5],
                advice="Decide what it needs of the target: a role of the manifest, or grants and a policy of its own.",
            )  # fmt: skip
