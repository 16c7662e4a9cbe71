"""Evidence into findings: what would be quarantined, merged and changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantry.analyze.finding import Evidence, Finding, Severity
from tenantry.mapping import Project
from tenantry.mapping.reasons import explain_reason

_CODES = {
    "value_missing": "TA-301",
    "value_invalid": "TA-302",
    "reference_missing": "TA-303",
    "parent_quarantined": "TA-304",
    "tenant_missing": "TA-202",
    "tenant_conflict": "TA-203",
    "rule_broken": "TA-305",
}


def zone_columns(project: Project) -> dict[str, set[str]]:
    """By column of the tenant's row that names a time zone, the columns whose times are read in it, as table.column."""
    found: dict[str, set[str]] = {}
    for table, rule in project.manifest.tables.items():
        for part in rule.parts().values():
            for name, column in part.columns.items():
                if column.zone is not None and column.zone.startswith("tenant."):
                    found.setdefault(column.zone.removeprefix("tenant."), set()).add(f"{table}.{name}")
    return found


def quality(project: Project, evidence: Sequence[Evidence]) -> Iterator[Finding]:
    """All findings about the data."""
    zones = zone_columns(project)
    for each in evidence:
        mapping = project.mapping(each.mapping)
        about = "  (of a sample)" if each.sampled else ""
        if each.failed:
            yield Finding("TA-300", "warning", "data", each.mapping, f"the probe failed: {each.failed}",
                          advice="Some value makes an expression of the manifest fail; the copy will find and quarantine the row.")  # fmt: skip
        for problem, tally in sorted(each.refused.items(), key=lambda item: -item[1].count):
            reason, _, column = problem.partition(":")
            said = explain_reason(reason, column, mapping)
            severity: Severity = "notice" if reason == "parent_quarantined" else "warning"
            yield Finding(
                _CODES.get(reason, "TA-306"), severity, "tenancy" if reason.startswith("tenant") else "data", each.mapping,
                said.what + about, tally.count, column, tally.keys, f"Will be quarantined. {said.mend}",
            )  # fmt: skip
        if each.merged.count and mapping.merge is not None:
            yield Finding(
                "TA-310", "notice", "data", each.mapping, f"rows that mean the same ({mapping.merge.reason}){about}",
                each.merged.count, ", ".join(mapping.merge.by), each.merged.keys,
                f"Will be merged; the first by {mapping.merge.keep} stays, the others are listed.",
            )  # fmt: skip
        for (column, rule), tally in sorted(each.changes.items()):
            zone = rule == "defaulted" and mapping.is_root and column in zones
            yield Finding(
                "TA-311", "warning" if zone else "notice", "data", each.mapping, f"{column} will be {rule}{about}", tally.count, column,
                tally.keys,
                f"Times of rows of these tenants will be read in the zone of the default ({', '.join(sorted(zones[column]))})."
                " Fill the column in the source where another zone is meant." if zone else "The originals are kept in the change log.",
            )  # fmt: skip
        for column, tally in sorted(each.stale.items()):
            dropped = mapping.column(column).drop_stale
            yield Finding(
                "TA-312", "notice", "data", each.mapping, f"{column} names rows that do not exist{about}", tally.count, column,
                tally.keys, "The dead ids will be dropped; the originals are kept in the change log." if dropped
                else "The dead ids are kept as they are.",
            )  # fmt: skip
        for column, tally in sorted(each.foreign.items()):
            dropped = mapping.column(column).drop_stale
            yield Finding(
                "TA-138", "warning", "tenancy", each.mapping, f"{column} names rows of another tenant{about}", tally.count, column,
                tally.keys, "These ids will be dropped; the originals are kept in the change log." if dropped
                else 'These ids are kept as they are, and mean nothing in the target; stale = "drop" drops them.',
            )  # fmt: skip
