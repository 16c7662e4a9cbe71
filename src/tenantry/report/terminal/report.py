"""The summary of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from tenantry.report.foreign_text import escape
from tenantry.report.formatting import seconds


def report_summary(console: Console, report: Mapping[str, Any], folder: str | None) -> None:
    """The summary in plain words: found, moved, quarantined, verified, proved; how long; what next."""
    console.print()
    for sentence in report["summary"]:
        word, _, rest = sentence.partition(":")
        console.print(f"[bold]{word}:[/]{escape(rest)}", highlight=False)
    if report.get("planted"):
        lines = [line for line in report["planted"] if line["found"] is not None]
        right = sum(line["found"] == line["planted"] for line in lines)
        console.print(
            f"[bold]Checked against the planted defects:[/] {right} of {len(lines)} kinds were found in exactly the planted"
            " number.",
            highlight=False,
        )
        for line in lines:
            if line["found"] != line["planted"]:
                console.print(f"  [yellow]{line['code']}: planted {line['planted']}, found {line['found']}[/]")
    console.print(
        "[bold]Time:[/] "
        + ", ".join(f"{each['stage']} {seconds(each['seconds'])}" for each in report["durations"])
        + ".",
        highlight=False,
    )
    console.print("\n[bold]Next steps[/]")
    for step in report["next"]:
        console.print(f"  • {escape(step)}", highlight=False)
    if folder is not None:
        console.print(f"\nReport: {escape(folder)}/report.html (and report.json)", highlight=False)
