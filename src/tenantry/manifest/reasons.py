"""Reason codes of the quarantine in words: what is wrong, and what would mend it."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.manifest.mapping import Mapping


@dataclass(frozen=True, slots=True)
class Explanation:
    what: str
    mend: str


def explain_reason(reason: str, column: str | None, mapping: Mapping | None) -> Explanation:
    """The words for a code; with the mapping they name source columns."""
    source = column or ""
    if mapping is not None and column:
        for each in mapping.columns:
            if each.name == column and each.source:
                source = each.source
    match reason:
        case "value_missing":
            return Explanation(
                f"{source} is null or empty where a value is needed",
                f"Give {source} a value; or say in the manifest, before the run, what stands in for it.",
            )
        case "value_invalid":
            return Explanation(
                f"{source} holds a value that cannot be read", f"Give {source} a value that can be read."
            )
        case "reference_missing":
            return Explanation(
                f"{source} names a row that does not exist", f"Let {source} name a row of its table, or none."
            )
        case "parent_quarantined":
            return Explanation(
                f"{source} names a row that is itself in quarantine", "Mend that row; this one comes along."
            )
        case "tenant_missing":
            return Explanation(
                "no path leads to a tenant", "Say to which tenant the row belongs, by one of its tenant columns."
            )
        case "tenant_conflict":
            return Explanation(
                "its references lead to different tenants",
                "Decide to which tenant it belongs, and change the reference that is wrong.",
            )
        case "rule_broken":
            return Explanation(f"it breaks the check {column}", "Change the columns that the check names.")
        case "row_refused":
            return Explanation("the server refuses the row", "The detail says why; change that column.")
    return Explanation(reason, "")
