from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class NumbersGivenTwice(AnalysisRule):
    """With `cutover --dual-write` two applications can assign the same number. The other side then refuses one of the rows,
    and the row is reported.
    """

    code = "TA-156"
    severity = "notice"
    area = "risk"
    title = "unique numbers are not drawn from sequences on both sides"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, sides in case.numbers:
            if len(sides) < 2:
                yield self.finding(
                    mapping.target.name, f"numbers in {column.name} are given out once, and not drawn from sequences on both sides",
                    column=column.name,
                    advice="With `cutover --dual-write` two applications can assign the same number; the other side then refuses"
                    " one of the rows, and the row is reported. Give both columns a sequence, or cut over without a dual-write window.",
                )  # fmt: skip
