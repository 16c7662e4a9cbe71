from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class BothDrawNumbers(AnalysisRule):
    """The target's sequence continues after the largest number. With `cutover --dual-write` the two sides alternate."""

    code = "TA-155"
    severity = "info"
    area = "risk"
    title = "both sides fill a column from sequences"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, sides in case.numbers:
            if len(sides) == 2:
                yield self.finding(
                    mapping.target.name, f"both sides fill {column.name} from sequences", column=column.name,
                    advice="The target's continues after the largest number. With `cutover --dual-write` they alternate.",
                )  # fmt: skip
