"""Prints rows that the serving side does not have."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tenantry.migrate.verify.missing import Missing
from tenantry.report.foreign_text import escape


def missing(console: Console, count: int, rows: Sequence[Missing]) -> None:
    """Print their number, the first of them, and what to do."""
    console.print(f"[red]✗[/] {count:,} rows that applications have written are not on the side that serves them:")
    for each in rows:
        console.print(f"    {escape(str(each))}")
    if count > len(rows):
        console.print(f"    … and {count - len(rows):,} more")
    console.print(
        "  They are kept where they were written. Fix the row, or the key or check that refuses it, and run `tenantry replay`. Rows"
        " in quarantine can also be fixed there: `tenantry quarantine list`."
    )


__all__ = ["missing"]
