"""docs/reference/findings.md, from the rules of analysis."""

from __future__ import annotations

import inspect

from tenantry.analyze.finding import SEVERITIES
from tenantry.analyze.rule import AnalysisRule
from tenantry.analyze.rules import all_rules

_HEAD = f"""# Findings

The findings of `tenantry analyze`. The severities are {", ".join(SEVERITIES[:-1])} and {SEVERITIES[-1]}; the page states the highest
that a finding has. If there is a blocker about the schemas or the database, `tenantry migrate` does not start (TN-218). Keys of some rows are
given, never values.

Each code is one file in `src/tenantry/analyze/rules`, from which this page is made (`make docs`).

| code | severity | area | what is found |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The reference of the findings, in Markdown."""
    rows = [
        f"| [{each.code}](#{each.code.lower()}) | {each.severity} | {each.area} | {each.title} |"
        for each in all_rules()
    ]
    return _HEAD + "\n".join(rows) + "\n\n" + "\n".join(_section(each) for each in all_rules())


def _section(rule: AnalysisRule) -> str:
    title = rule.title[0].upper() + rule.title[1:]
    return f"## {rule.code}\n\n{title}.\n\n{inspect.cleandoc(rule.__doc__ or '')}\n"
