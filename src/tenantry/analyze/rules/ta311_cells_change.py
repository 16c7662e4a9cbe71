from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import zone_columns


class CellsChange(AnalysisRule):
    """The change log keeps the originals. It is a warning if a tenant's time zone is filled by its default: times of that
    tenant's rows are read in it.
    """

    code = "TA-311"
    severity = "warning"
    area = "data"
    title = "cells that a treatment will change"

    def find(self, case: Case) -> Iterator[Finding]:
        zones = zone_columns(case.project)
        for each in case.evidence:
            is_root = case.project.mapping(each.mapping).is_root
            for (column, rule), tally in sorted(each.changes.items()):
                zone = rule == "defaulted" and is_root and column in zones
                yield self.finding(
                    each.mapping, f"{column} will be {rule}{each.of_sample}", count=tally.count, column=column, keys=tally.keys,
                    severity="warning" if zone else "notice",
                    advice=f"Times of rows of these tenants will be read in the default zone ({', '.join(sorted(zones[column]))})."
                    " Fill the column in the source for tenants in another zone." if zone else "The originals are kept in the change log.",
                )  # fmt: skip
