from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class NumbersGivenTwice(AnalysisRule):
    """With `cutover --dual-write` two applications can make the same number. One of the rows is then refused on the
    other side, and named.
    """

    code = "TA-156"
    severity = "notice"
    area = "risk"
    title = "numbers that stand once are not drawn from sequences on both sides"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, sides in case.numbers:
            if len(sides) < 2:
                yield self.finding(
                    mapping.target.name, f"numbers in {column.name} are given out once, and not drawn from sequences on both sides",
                    column=column.name,
                    advice="With `cutover --dual-write` two applications can make the same number; one of the rows is then refused on"
                    " the other side, and named. Give both columns a sequence, or cut over without a dual-write window.",
                )  # fmt: skip
