"""Prints how a database differs from its access matrix, and the statements that repair it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console

from tenantry.access.difference import AccessChange, AccessDifference
from tenantry.access.telling_columns import doubts
from tenantry.mapping import Project
from tenantry.postgres import comment
from tenantry.report.foreign_text import escape

_COLORS = {"missing": "yellow", "different": "yellow", "extra": "red"}


def differences(console: Console, found: Sequence[AccessDifference]) -> None:
    """What differs, object by object."""
    if not found:
        console.print("[green]✓[/] The database matches the manifest.")
        return
    for on, group in groupby(sorted(found, key=lambda each: each.on), key=lambda each: each.on):
        console.print(f"[bold]{escape(on)}[/]")
        for each in group:
            console.print(f"  [{_COLORS[each.state]}]{each.state:<9}[/] {escape(each.what)}", soft_wrap=True)
            console.print(f"            expected  {escape(each.expected)}", soft_wrap=True)
            console.print(f"            found     {escape(each.found)}", soft_wrap=True)
            if each.advice:
                console.print(f"            [cyan]{escape(each.advice)}[/]", soft_wrap=True)
    console.print(f"{len(found)} {'difference' if len(found) == 1 else 'differences'}.")


def warnings(console: Console, project: Project) -> None:
    """Print columns that need one decision in the manifest; they do not change the exit code."""
    found = doubts(project)
    for each in found:
        console.print(f"[yellow]warning[/] {escape(str(each))}", soft_wrap=True)
    if found:
        console.print(
            "Decide once, in the access section of each table: list what clients may write in insert_columns and update_columns, or"
            " confirm the columns named here in reviewed.",
            soft_wrap=True,
        )


def changes(console: Console, planned: Sequence[AccessChange]) -> None:
    """Print what would be removed, then what would be added."""
    for title, group in _groups(planned):
        console.print(f"[bold]{title}[/]")
        for change in group:
            console.print(escape(f"  {change.on}: {change.title}"), soft_wrap=True)


def changes_sql(planned: Sequence[AccessChange]) -> str:
    """Print the same as a script for review."""
    lines = []
    for title, group in _groups(planned):
        lines.append(f"-- {title}")
        for change in group:
            lines += [comment(f"{change.on}: {change.title}"), *change.statements, ""]
    return "\n".join(lines)


def _groups(planned: Sequence[AccessChange]) -> list[tuple[str, list[AccessChange]]]:
    groups = [
        ("Removes", [change for change in planned if change.removes]),
        ("Adds", [change for change in planned if not change.removes]),
    ]
    return [(title, group) for title, group in groups if group]


__all__ = ["changes", "changes_sql", "differences", "warnings"]
