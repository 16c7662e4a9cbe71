"""Rules about rows that would be quarantined: one for each reason. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.mapping.reasons import explain_reason


class RefusedRows(AnalysisRule):
    """Rows that would be quarantined.

    Attributes:
        reason: the quarantine's code; None for all codes without a rule of their own.
    """

    reason: ClassVar[str | None]

    def find(self, case: Case) -> Iterator[Finding]:
        others = {rule.reason for rule in RefusedRows.__subclasses__()}
        for each in case.evidence:
            for problem, tally in sorted(each.refused.items(), key=lambda item: -item[1].count):
                reason, _, column = problem.partition(":")
                if reason == self.reason or (self.reason is None and reason not in others):
                    said = explain_reason(reason, column, case.project.mapping(each.mapping))
                    yield self.finding(
                        each.mapping, said.what + each.of_sample, count=tally.count, column=column, keys=tally.keys,
                        advice=f"Will be quarantined. {said.fix}",
                    )  # fmt: skip
