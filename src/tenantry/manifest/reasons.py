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
    name = mapping.source.name if mapping is not None else "the row"
    match reason:
        case "value_missing":
            return Explanation(
                f"{source} is null or empty where a value is needed",
                f"Give {source} a value, or a default in the manifest; then retry.",
            )
        case "value_invalid":
            return Explanation(f"{source} holds a value that cannot be read", f"Mend {source} in {name}, then retry.")
        case "reference_missing":
            return Explanation(f"{source} names a row that does not exist", f"Mend {source} in {name}, then retry.")
        case "parent_quarantined":
            return Explanation(
                f"{source} names a row that is itself in quarantine", "Mend that row; retry takes this one along."
            )
        case "tenant_missing":
            return Explanation(
                "no path leads to a tenant", "Say to which tenant the row belongs, by one of its tenant columns; then retry."
            )
        case "tenant_conflict":
            return Explanation(
                "its references lead to different tenants",
                "Decide to which tenant it belongs and mend the other reference; then retry.",
            )
        case "rule_broken":
            return Explanation(f"it breaks the check {column}", "Mend the columns that the check names; then retry.")
        case "row_refused":
            return Explanation("the server refuses the row", "See the detail; mend the row, then retry.")
    return Explanation(reason, "")
