"""Analysis: findings about the schemas and the data. `probe` reads; everything else is pure."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.analyze.both_sides import both_sides
from tenantry.analyze.compare import compare
from tenantry.analyze.finding import SEVERITIES, Evidence, Finding, Severity, Tally
from tenantry.analyze.probe import gather
from tenantry.analyze.quality import quality
from tenantry.analyze.surroundings import NOTHING_ELSE, Surroundings, Taken, look_around, surroundings
from tenantry.analyze.way_back import way_back
from tenantry.mapping import Project

__all__ = [
    "SEVERITIES",
    "Evidence",
    "Finding",
    "Severity",
    "Surroundings",
    "Taken",
    "Tally",
    "analyze",
    "gather",
    "look_around",
]


def analyze(project: Project, evidence: Sequence[Evidence], around: Surroundings = NOTHING_ELSE) -> tuple[Finding, ...]:
    """All findings, the gravest first, then by code, table and column."""
    found = [
        *compare(project),
        *both_sides(project),
        *way_back(project),
        *surroundings(project, around),
        *quality(project, evidence),
    ]
    order = {severity: position for position, severity in enumerate(SEVERITIES)}
    return tuple(sorted(found, key=lambda f: (order[f.severity], f.code, f.table, f.column)))
