from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import carried_pairs


class DefaultLeftBehind(AnalysisRule):
    """The column is filled by itself in the source: by a default, an identity or an expression. In the target it is not, so an
    INSERT that leaves it out is refused (warning), or leaves null (notice). Add the default to the target's files.
    """

    code = "TA-184"
    severity = "warning"
    area = "schema"
    title = "a column of the source has a default, and the target's has none"

    def find(self, case: Case) -> Iterator[Finding]:
        membership = case.project.manifest.membership
        for mapping, column, source, target in carried_pairs(case.project):
            of_members = (mapping.target.name, column.name) == (membership.table, membership.role)
            if column.kind in ("legacy", "tenant", "account") or of_members:
                continue
            before = source.default or source.identity or source.generated
            if before and not (target.default or target.identity or target.generated):
                what = (
                    "is an identity column"
                    if source.identity
                    else f"has the default {before}"
                    if source.default
                    else "is generated"
                )
                yield self.finding(
                    mapping.target.name, f"{source.name} {what}, and {target.name} none", column=target.name,
                    severity="notice" if target.nullable else "warning",
                    advice="Add a default to the target's files, or let the application give the value.",
                )  # fmt: skip
