from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class SeveralRowsOnTheWay(AnalysisRule):
    """A path goes against a reference, and no unique key says that one row refers to each row at most. If a row has several, of
    different tenants, it belongs to none of them for certain, and is quarantined (TA-203 counts them).
    """

    code = "TA-167"
    severity = "notice"
    area = "tenancy"
    title = "a path to the tenant may lead to several rows"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping in case.project:
            for path in mapping.tenant_paths:
                for hop in path.hops():
                    if hop.several:
                        yield self.finding(
                            mapping.target.name, f"several rows of {hop.source} may have the same {hop.by[0]}", column=path.named_by,
                            advice=f"Make ({hop.by[0]}) of {hop.source} unique, or name a column that leads to one row."
                            " Rows for which they are of different tenants are quarantined.",
                        )  # fmt: skip
