"""Prints what a migration did with every row, and whether the cut-over can follow."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tenantry.migrate.run.engine import Outcome
from tenantry.migrate.switch.cutover import Readiness
from tenantry.report.foreign_text import escape
from tenantry.report.formatting import seconds
from tenantry.report.terminal.table_layout import new_table


def accounts(console: Console, outcome: Outcome) -> None:
    """For each table: source rows = target rows + quarantined + merged, and for a pilot + rows outside it."""
    trial = any(account.outside for account in outcome.accounts)
    numbers = ("target\nrows", "+ quaran-\ntined", "+ merged", *(["+ outside\nthe pilot"] if trial else []))
    table = new_table(
        "source",
        "target",
        "source\nrows",
        "=",
        *numbers,
        "",
        right=("source\nrows", *numbers),
        wrapped=("source", "target"),
    )
    for account in sorted(outcome.accounts, key=lambda each: -each.source):
        mark = Text("✓", style="green") if account.balanced else Text("✗ does not add up", style="bold red")
        table.add_row(account.source_table, account.mapping, f"{account.source:,}", "=", f"{account.target:,}",
                      f"{account.quarantined:,}", f"{account.merged:,}",
                      *([f"{account.outside:,}"] if trial else []), mark)  # fmt: skip
    console.print(table)


def readiness_lines(console: Console, state: Readiness) -> None:
    """Whether the run is ready for the cut-over, and what blocks it."""
    if state.ready:
        console.print(
            "[green]✓[/] Ready for the cut-over: every row is migrated or accounted for, compared and secured."
        )
    elif state.trial and state.verified and not state.missing:
        console.print(f"[green]✓[/] This is {state.trial}: migrated, compared and secured. A pilot is not cut over.")
    else:
        console.print("[red]✗[/] Not ready for the cut-over.")
        for step in state.missing[:5]:
            console.print(f"  pending step: {escape(step)}")
        if not state.verified:
            console.print("  source and target have not been compared completely, or differ")
    console.print(f"  lag: {state.lag_entries:,} changes, the oldest {seconds(state.lag_seconds)} old")
    if state.quarantined:
        console.print(f"  {state.quarantined:,} rows in quarantine stay behind: `tenantry quarantine list`")
    for blocker in state.blockers:
        console.print(f"  blocked by: {escape(blocker)}")
    if state.trial:
        console.print(
            "To prove it: `tenantry prove`. To keep it synchronized: `tenantry replay`. To migrate all other tenants:"
            " `tenantry migrate --rest`. To undo it: `tenantry rollback --everything`."
        )
    if state.ready:
        console.print("Keep the target synchronized: `tenantry replay`. Next step: `tenantry cutover`.")
