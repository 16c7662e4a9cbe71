"""Analysis: findings about the schemas and the data. `probes` reads; `rules` draws conclusions, and is pure."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.analyze.finding import SEVERITIES, Evidence, Finding, Severity, Tally
from tenantry.analyze.probes.evidence import gather
from tenantry.analyze.probes.surroundings import look_around
from tenantry.analyze.rule import Case
from tenantry.analyze.rules import all_rules
from tenantry.analyze.surroundings import NOTHING_ELSE, Surroundings, Taken
from tenantry.mapping import Project

__all__ = [
    "SEVERITIES",
    "Case",
    "Evidence",
    "Finding",
    "Severity",
    "Surroundings",
    "Taken",
    "Tally",
    "all_rules",
    "analyze",
    "gather",
    "look_around",
]


def analyze(project: Project, evidence: Sequence[Evidence], around: Surroundings = NOTHING_ELSE) -> tuple[Finding, ...]:
    """Return all findings, the most severe first, then by code, table and column."""
    case = Case(project, tuple(evidence), around)
    found = [finding for rule in all_rules() for finding in rule.find(case)]
    order = {severity: position for position, severity in enumerate(SEVERITIES)}
    return tuple(sorted(found, key=lambda f: (order[f.severity], f.code, f.table, f.column)))
