from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case

_ROOM = 100_000


class SequenceUsedUp(AnalysisRule):
    """Fewer than 100,000 numbers are left, and `cutover --dual-write` needs some thousand. Raise the limit with `ALTER
    SEQUENCE … MAXVALUE …`, and use a larger column type.
    """

    code = "TA-157"
    severity = "warning"
    area = "risk"
    title = "a sequence is nearly used up"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, sides in case.numbers:
            for name, room in sides if len(sides) == 2 else ():
                if room < _ROOM:
                    yield self.finding(
                        mapping.target.name, f"the sequence of {name} has room for {room:,} numbers", count=max(room, 0), column=column.name,
                        advice="Use ALTER SEQUENCE … MAXVALUE …, and a larger column type. `cutover --dual-write` needs some"
                        " thousand numbers.",
                    )  # fmt: skip
