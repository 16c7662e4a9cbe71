"""Ids inside JSON documents that name no row they may name: what the rules say of them is the same but for why."""

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
    """The findings of one mapping.

    Args:
        found: by column, the ids that were found in a look at the rows.
        named: what the documents name, as "rows that do not exist".
        dropped, kept: the advice where the column drops such ids, and where it keeps them.
    """
    for column, tally in sorted(found.items()):
        drops = case.project.mapping(evidence.mapping).column(column).drop_stale
        yield rule.finding(
            evidence.mapping, f"{column} names {named}{evidence.of_sample}", count=tally.count, column=column, keys=tally.keys,
            advice=dropped if drops else kept,
        )  # fmt: skip
