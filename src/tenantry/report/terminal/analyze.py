"""Findings of `tenantry analyze`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tenantry.analyze import Finding
from tenantry.report.terminal.table_layout import new_table

_STYLE = {"blocker": "bold red", "warning": "yellow", "notice": "cyan", "info": "dim"}


def findings(console: Console, found: Sequence[Finding], *, everything: bool = False) -> None:
    """Print findings by severity; those of level info are only counted unless `everything` is set."""
    shown = [finding for finding in found if everything or finding.severity != "info"]
    table = new_table("code", "severity", "table", "rows", "finding", right=("rows",), wrapped=("table", "finding"))
    for finding in shown:
        said = Text(finding.title)
        if finding.keys:
            said.append(f" ({', '.join(finding.keys[:2])}{', …' if finding.count > 2 else ''})", "dim")
        if finding.advice:
            said.append(f"\n{finding.advice}", "dim")
        table.add_row(
            finding.code,
            Text(finding.severity, style=_STYLE[finding.severity]),
            finding.table,
            f"{finding.count:,}" if finding.area in ("data", "tenancy") and finding.keys else "",
            said,
        )
    console.print(table)
    counts = {severity: sum(f.severity == severity for f in found) for severity in _STYLE}
    info = counts.pop("info")
    parts = [f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items()]
    hidden = "" if everything or not info else " (--all shows them)"
    console.print(f"\n{', '.join(parts)}, {info} informative{hidden}")
