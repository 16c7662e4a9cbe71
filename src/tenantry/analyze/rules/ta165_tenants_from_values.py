from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class TenantsFromValues(AnalysisRule):
    """With `[tenant.values]` each distinct value of the column, as `up` returns it, becomes a tenant. A number near that of
    the rows means that the column is not what the application knows its customers by.
    """

    code = "TA-165"
    severity = "notice"
    area = "tenancy"
    title = "the values of a column become tenants"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.evidence:
            for (column, kind), tally in each.values.items():
                if kind == "tenants" and tally.count:
                    yield self.finding(
                        case.project.mapping(each.mapping).target.name,
                        f"{column} has {tally.count:,} different values in {each.rows:,} rows; each becomes a tenant{each.of_sample}",
                        column=column, count=tally.count, severity="info" if tally.count * 2 <= each.rows else "notice",
                    )  # fmt: skip
