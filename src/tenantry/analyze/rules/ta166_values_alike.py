from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class ValuesAlike(AnalysisRule):
    """Values such as `Acme Inc` and `ACME, Inc.` become two tenants, and the members of one do not see the rows of the other.
    Let `up` of `[tenant.values]` return the same text for them, or correct the values in the source.
    """

    code = "TA-166"
    severity = "warning"
    area = "tenancy"
    title = "tenants whose values differ by case, blanks or punctuation alone"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.evidence:
            for (column, kind), tally in each.values.items():
                if kind == "alike" and tally.count:
                    yield self.finding(
                        case.project.mapping(each.mapping).target.name,
                        f"{tally.count:,} values of {column} differ from another one by case, blanks or punctuation alone{each.of_sample}",
                        column=column, count=tally.count, keys=tally.keys,
                        advice="They become different tenants. Normalise them with [tenant.values] up, or correct them in the source.",
                    )  # fmt: skip
