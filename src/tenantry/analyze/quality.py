"""Evidence into findings: what would be quarantined, merged and changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantry.analyze.finding import Evidence, Finding, Severity
from tenantry.manifest import Project
from tenantry.manifest.reasons import explain_reason

_CODES = {
    "value_missing": "TA-301",
    "value_invalid": "TA-302",
    "reference_missing": "TA-303",
    "parent_quarantined": "TA-304",
    "tenant_missing": "TA-202",
    "tenant_conflict": "TA-203",
    "rule_broken": "TA-305",
}


def quality(project: Project, evidence: Sequence[Evidence]) -> Iterator[Finding]:
    """All findings about the data."""
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
            yield Finding("TA-311", "notice", "data", each.mapping, f"{column} will be {rule}{about}", tally.count, column,
                          tally.keys, "The originals are kept in the change log.")  # fmt: skip
        for column, tally in sorted(each.stale.items()):
            dropped = mapping.column(column).drop_stale
            yield Finding(
                "TA-312", "notice", "data", each.mapping, f"{column} names rows that do not exist{about}", tally.count, column,
                tally.keys, "The dead ids will be dropped; the originals are kept in the change log." if dropped
                else "The dead ids are kept as they are.",
            )  # fmt: skip
