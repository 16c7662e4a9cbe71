"""Findings about ids inside JSON documents that match no allowed row, shared by rules that differ in the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tenantry.analyze.finding import Evidence, Finding, Tally
from tenantry.analyze.rule import AnalysisRule, Case


def ids_in_documents(
    rule: AnalysisRule,
    case: Case,
    evidence: Evidence,
    found: Mapping[str, Tally],
    *,
    named: str,
    dropped: str,
    kept: str,
) -> Iterator[Finding]:
    """Yield the findings of one mapping.

    Args:
        found: the ids found by a probe, by column.
        named: what the documents refer to, such as "rows that do not exist".
        dropped, kept: the advice if the column drops such ids, and if it keeps them.
    """
    for column, tally in sorted(found.items()):
        drops = case.project.mapping(evidence.mapping).column(column).drop_stale
        yield rule.finding(
            evidence.mapping, f"{column} names {named}{evidence.of_sample}", count=tally.count, column=column, keys=tally.keys,
            advice=dropped if drops else kept,
        )  # fmt: skip
