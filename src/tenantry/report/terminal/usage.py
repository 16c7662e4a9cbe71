"""Prints which lines of code and which queries touch what changes."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.text import Text

from tenantry.report.formatting import count
from tenantry.report.terminal.table_layout import new_table
from tenantry.usage.both import Usage
from tenantry.usage.queries import ExplainedPlan, QueryUse

_MOST = 200


def usage(console: Console, found: Usage, *, everything: bool = False) -> None:
    """Lines by file, then queries; likely lines only with `everything`."""
    if found.code is not None:
        _code(console, found, everything=everything)
    if found.queries is not None:
        touched = len(found.queries)
        console.print(f"\nQueries: {touched:,} of {found.queries_read:,} touch what changes", style="bold")
        for each in found.queries[:_MOST]:
            _query(console, each)
        if touched > _MOST:
            console.print(f"… and {touched - _MOST:,} more in --json")


def _code(console: Console, found: Usage, *, everything: bool) -> None:
    lines = found.code or ()
    sure = [each for each in lines if each.certainty == "sure"]
    likely = len(lines) - len(sure)
    files = len({each.file for each in lines})
    console.print(
        f"\nCode: {count(len(sure), 'place')} in {count(files, 'file')} touch what changes"
        + (f"; {likely:,} more are likely" + ("" if everything else " (--all)") if likely else ""),
        style="bold",
    )
    shown = lines if everything else sure
    for file, of_file in groupby(shown[:_MOST], key=lambda each: each.file):
        console.print(Text(file, "bold"))
        table = new_table("line", "touches", "what changes", "code", right=("line",), wrapped=("what changes", "code"))
        for each in of_file:
            name = f"{each.table}.{each.column}" if each.column else each.table
            table.add_row(
                str(each.line), name, each.what, Text(each.text, "dim" if each.certainty == "sure" else "yellow")
            )
        console.print(table)
    if len(shown) > _MOST:
        console.print(f"… and {len(shown) - _MOST:,} more in --json")


def _query(console: Console, each: QueryUse) -> None:
    calls = "" if each.calls is None else f" ({each.calls:,} calls)"
    console.print(Text(f"{each.number}. {each.query[:200]}{calls}"))
    for column in each.columns:
        console.print(Text(f"     {column}", "dim"))
    for side, plan in (("source", each.source), ("target", each.target)):
        if plan is not None:
            console.print(Text(f"     {side}: {_plan(plan)}", "yellow" if plan.error else "dim"))


def _plan(plan: ExplainedPlan) -> str:
    return plan.error or f"{plan.node}, cost {plan.cost:,.2f}"
