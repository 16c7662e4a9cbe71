from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case

_RULE = re.compile(r'(?i)^\s*create rule (?P<name>"(?:[^"]|"")*"|\S+) as\s+on (?P<event>\w+)')


class RewriteRule(AnalysisRule):
    """What the rule does besides is not done for these changes. A cut-over with `--dual-write` is refused while the
    rule is awake (TN-422).
    """

    code = "TA-140"
    severity = "warning"
    area = "risk"
    title = "a rewrite rule of a source table sleeps while changes are carried back"

    def find(self, case: Case) -> Iterator[Finding]:
        for source in case.reverse:
            for definition in source.table.rules:
                found = _RULE.match(definition)
                name, event = (found["name"], found["event"].upper()) if found else ("", "")
                yield self.finding(
                    source.name, f"rewrite rule {name.strip(chr(34))} acts on {event}",
                    advice="It sleeps while changes are carried back, and wakes as it was: what it does besides is not done for them. A"
                    " cut-over with --dual-write is refused while it is awake (TN-422).",
                )  # fmt: skip
