from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case

_RULE = re.compile(r'(?i)^\s*create rule (?P<name>"(?:[^"]|"")*"|\S+) as\s+on (?P<event>\w+)')


class RewriteRule(AnalysisRule):
    """The other effects of the rule are missing for these changes. A cut-over with `--dual-write` is refused while the rule
    is enabled (TN-422).
    """

    code = "TA-140"
    severity = "warning"
    area = "risk"
    title = "a rewrite rule of a source table is disabled during replay into the source"

    def find(self, case: Case) -> Iterator[Finding]:
        for source in case.reverse:
            for definition in source.table.rules:
                found = _RULE.match(definition)
                name, event = (found["name"], found["event"].upper()) if found else ("", "")
                yield self.finding(
                    source.name, f"rewrite rule {name.strip(chr(34))} acts on {event}",
                    advice="It is disabled while changes are replayed into the source, so its other effects are missing for them. A"
                    " cut-over with --dual-write is refused while it is enabled (TN-422).",
                )  # fmt: skip
