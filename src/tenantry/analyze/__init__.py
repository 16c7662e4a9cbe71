"""Analysis: findings about the schemas and the data. `probe` reads; everything else is pure."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.analyze.compare import compare
from tenantry.analyze.finding import SEVERITIES, Evidence, Finding, Severity, Tally
from tenantry.analyze.probe import gather
from tenantry.analyze.quality import quality
from tenantry.manifest import Project

__all__ = ["SEVERITIES", "Evidence", "Finding", "Severity", "Tally", "analyze", "gather"]


def analyze(project: Project, evidence: Sequence[Evidence]) -> tuple[Finding, ...]:
    """All findings, the gravest first, then by code, table and column."""
    found = [*compare(project), *quality(project, evidence)]
    order = {severity: position for position, severity in enumerate(SEVERITIES)}
    return tuple(sorted(found, key=lambda f: (order[f.severity], f.code, f.table, f.column)))
