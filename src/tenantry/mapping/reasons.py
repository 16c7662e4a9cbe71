"""Describes the reason codes of the quarantine in words: what is wrong, and how to fix it.

A row's problems are one text: `reason:name` for each, separated by semicolons. A name may hold any character, so a semicolon
and a backslash in it are written `\\s` and `\\b`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.mapping.project import Mapping
from tenantry.postgres import literal


@dataclass(frozen=True, slots=True)
class Explanation:
    what: str
    fix: str


def written(problem: str) -> str:
    """Encode a problem, `reason:name`, for the list."""
    return problem.replace("\\", "\\b").replace(";", "\\s")


def read(problem: str) -> str:
    """Decode the result of `written`."""
    return problem.replace("\\s", ";").replace("\\b", "\\")


def first_problem(problems: str) -> str:
    """Return SQL of a row source: `reason` and `name` (or null) of the first problem in a list.

    Args:
        problems: the list, as SQL.
    """
    name = "substr(w.code, strpos(w.code, ':') + 1)"
    return (
        f"(select split_part(w.code, ':', 1) as reason, case when strpos(w.code, ':') > 0 then"
        f" replace(replace({name}, {literal(chr(92) + 's')}, ';'), {literal(chr(92) + 'b')}, {literal(chr(92))}) end as name"
        f" from (select split_part({problems}, ';', 1)) w (code))"
    )


def explain_reason(reason: str, column: str | None, mapping: Mapping | None) -> Explanation:
    """Describe a code; given the mapping, the text names source columns."""
    source = column or ""
    if mapping is not None and column:
        for each in mapping.columns:
            if each.name == column and each.source:
                source = each.source
    match reason:
        case "value_missing":
            return Explanation(
                f"{source} is null or empty where a value is needed",
                f"Give {source} a value, or say in the manifest, before the run, what replaces it.",
            )
        case "value_invalid":
            return Explanation(f"{source} holds a value that cannot be read", f"Give {source} a readable value.")
        case "reference_missing":
            return Explanation(
                f"{source} refers to a row that does not exist", f"Change {source} to an existing row, or to null."
            )
        case "parent_quarantined":
            return Explanation(
                f"{source} refers to a row that is itself in quarantine", "Repair that row; this one follows."
            )
        case "tenant_missing":
            return Explanation("no path leads to a tenant", "Assign the row to a tenant, by one of its tenant columns.")
        case "tenant_conflict":
            return Explanation(
                "its references lead to different tenants",
                "Decide to which tenant it belongs, and correct the wrong reference.",
            )
        case "rule_broken":
            return Explanation(f"it violates the check {column}", "Change the columns that the check names.")
        case "row_refused":
            return Explanation("the server refuses the row", "The detail says why; change that column.")
    return Explanation(reason, "")
