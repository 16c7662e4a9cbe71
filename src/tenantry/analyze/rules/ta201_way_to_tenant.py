from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.mapping import Reference


class WayToTenant(AnalysisRule):
    """A single path is information. Several paths are a notice: rows for which they disagree are quarantined, not guessed."""

    code = "TA-201"
    severity = "notice"
    area = "tenancy"
    title = "how a table reaches its tenant"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping in case.project:
            if mapping.scoped and mapping.tenant_paths:
                direct = (
                    len({(path.only and path.named_by) or path for path in mapping.tenant_paths if not path.fallback})
                    == 1
                )
                paths = ", then ".join(map(_said, mapping.tenant_paths))
                yield self.finding(
                    mapping.target.name, f"reaches its tenant by {paths}", severity="info" if direct else "notice",
                    advice="" if direct else "Rows for which the paths disagree are quarantined, not guessed.",
                )  # fmt: skip


def _said(path: Reference) -> str:
    way = " and from there ".join(
        f"{hop.columns[0]} ← {hop.parent}.{hop.by[0]}" if hop.backward else f"{hop.columns[0]} → {hop.parent}"
        for hop in path.hops()
    )
    way += f" where {path.only[0]} is {path.only[1]}" if path.only else ""
    return f"{way} as a fallback" if path.fallback else way
