from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.manifest.model import Manifest

_FROZEN = re.compile(
    r"\b(?:now\s*\(|transaction_timestamp\s*\(|statement_timestamp\s*\(|current_timestamp\b|current_date\b|current_time\b|localtimestamp\b"
    r"|localtime\b)",
    re.IGNORECASE,
)


class FrozenTime(AnalysisRule):
    """These functions return the same time throughout a transaction or a statement. A caller who keeps a transaction open
    would keep using a share or a membership that has ended. Use `clock_timestamp()`.
    """

    code = "TA-163"
    severity = "warning"
    area = "tenancy"
    title = "an access condition uses a time that is fixed during a transaction"

    def find(self, case: Case) -> Iterator[Finding]:
        for where, table, condition in _conditions(case.project.manifest):
            found = _FROZEN.search(re.sub(r"'(?:[^']|'')*'", "''", condition))
            if found is not None:
                name = found[0].rstrip("( ")
                yield self.finding(
                    table, f"{where} uses {name}, which is fixed during a transaction",
                    advice="Access that has ended meanwhile remains until the transaction ends. Write clock_timestamp()"
                    " (for a date: clock_timestamp()::date).",
                )  # fmt: skip


def _conditions(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield the conditions that decide what a caller sees, with the manifest's key and the table."""
    if manifest.tenant.active:
        yield "[tenant] active", manifest.tenant.table, manifest.tenant.active
    if manifest.membership.active:
        yield "[membership] active", manifest.membership.table, manifest.membership.active
    for name, share in manifest.shares.items():
        for key, condition in (("active", share.active), ("accepted", share.accepted)):
            if condition:
                yield f"[shares.{name}] {key}", share.table, condition
