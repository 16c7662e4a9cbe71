"""Prints a comparison of source and target."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tenantry.migrate.verify.not_compared import NotCompared
from tenantry.migrate.verify.results import Difference, Verification
from tenantry.report.foreign_text import escape
from tenantry.report.formatting import seconds
from tenantry.report.shortened import not_compared_lines


def verification(
    console: Console,
    checks: Sequence[Verification],
    *,
    repaired: Sequence[Difference],
    not_compared: Sequence[NotCompared],
    trial: str,
    took: float,
    unrepaired: bool,
) -> None:
    """Print each check with its differences, repairs, and omissions.

    Args:
        trial: description of the pilot, if the run is one.
        unrepaired: a repair was requested, and some differences remain.
    """
    for check in checks:
        mark = "[green]✓[/]" if check.passed else "[red]✗[/]"
        console.print(f"{mark} {check.check:<10} {check.table:<28} {check.compared:>12,} compared")
        for difference in check.differences:
            console.print(f"    {escape(str(difference))}")
        if check.more:
            console.print(f"    … and {check.more:,} more rows")
    for difference in repaired:
        console.print(f"  repaired: {escape(str(difference))}")
    if trial:
        outside = sum(check.account.outside for check in checks if check.account is not None)
        console.print(f"This is {trial}: {outside:,} source rows are not part of it, and stay where they are.")
    if not_compared:
        console.print("Not compared (--json lists every table and column):")
        for line in not_compared_lines(not_compared):
            console.print(f"    {escape(line)}")
    console.print(f"Compared in {seconds(took)}.")
    if unrepaired:
        console.print("The differences listed above remain: deriving these rows again does not repair them.")


__all__ = ["verification"]
