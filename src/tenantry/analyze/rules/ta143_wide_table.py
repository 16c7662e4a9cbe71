from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case

_WIDE = 400


class WideTable(AnalysisRule):
    """A wide table takes more time and memory. Replay into the source supports at most 800 columns of a table; one with more
    is refused (TN-110).
    """

    code = "TA-143"
    severity = "notice"
    area = "risk"
    title = "a table has more than 400 migrated columns"

    def find(self, case: Case) -> Iterator[Finding]:
        for source in case.reverse:
            if len(source.slots) > _WIDE:
                yield self.finding(
                    source.name, f"{len(source.slots):,} columns are migrated", count=len(source.slots),
                    advice="Replay into the source supports at most 800 columns of a table; a wide table takes more time and memory.",
                )  # fmt: skip
