"""Prints the findings of a lint, and the list of its checks."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tenantry.prove.baseline import REASON
from tenantry.prove.faults import faults, plain
from tenantry.prove.lint.checks import LEVELS, CheckFile
from tenantry.prove.lint.run import Lint
from tenantry.report.foreign_text import escape
from tenantry.report.terminal.faults import STYLE, show_faults
from tenantry.report.terminal.table_layout import new_table


def checks(console: Console, found: Sequence[CheckFile]) -> None:
    """Print every check, with what its absence of findings guarantees."""
    table = new_table("check", "level", "what a database without findings guarantees")
    table.columns[-1].no_wrap = False
    for each in found:
        table.add_row(each.name, Text(each.level, style=STYLE[each.level]), each.title)
    console.print(table)


def lint(console: Console, found: Lint) -> None:
    """Print what was checked, what is wrong, what is accepted, and what could not be checked."""
    for sentence in found.scope.sentences:
        console.print(f"[dim]{escape(sentence)}[/]")
    show_faults(console, faults(found.results(), found.rules))
    console.print()
    based = [by for _, by in found.allowed if by.reason == REASON]
    for finding, by in found.allowed:
        if by.reason != REASON:
            console.print(f"[dim]allowed: {escape(plain(str(finding)))}. {escape(by.reason)}[/]")
    if based:
        console.print(
            f"[dim]{len(based)} finding{'s are' if len(based) != 1 else ' is'} in the baseline (--json lists them).[/]"
        )
    for each in found.unused:
        console.print(f"[yellow]no longer needed:[/] the exception {escape(str(each))}")
    for reason in found.unread:
        console.print(f"[yellow]not checked:[/] {escape(reason)}")
    counts = found.counts
    said = ", ".join(f"{counts[level]} {level}" for level in LEVELS)
    console.print(f"{counts['checks']} checks in {found.seconds:.1f} s: {said}; {counts['allowed']} allowed.")
    if found.not_applicable:
        reasons: dict[str, list[str]] = {}
        for name, reason in found.not_applicable:
            reasons.setdefault(reason, []).append(name)
        said = "; ".join(f"{', '.join(names)}, since {reason}" for reason, names in reasons.items())
        console.print(f"[dim]Not applicable: {escape(said)}.[/]")


__all__ = ["checks", "lint"]
