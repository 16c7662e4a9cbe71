"""Rows in quarantine: the list, and one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from tenantry.migrate.copy.quarantine import Entry
from tenantry.report.terminal.table_layout import new_table


def quarantine_list(console: Console, found: Sequence[Entry], total: int) -> None:
    table = new_table(
        "no.", "table", "key", "reason", "what is wrong", right=("no.",), wrapped=("key", "what is wrong")
    )
    for entry in found:
        what = Text(entry.what)
        if entry.parent:
            what.append(f" ({entry.parent})", "dim")
        table.add_row(str(entry.id), entry.mapping, entry.source_key, entry.reason, what)
    console.print(table)
    if total > len(found):
        console.print(f"… {total - len(found):,} more; filter with --table or --reason, or print all with --limit 0")


def quarantine_entry(console: Console, entry: Entry) -> None:
    original = new_table("column", "value", wrapped=("value",))
    for name, value in entry.original.items():
        patched = f"  → {entry.patch[name]}" if name in entry.patch else ""
        original.add_row(name, ("null" if value is None else str(value)) + patched)
    lines: list[Any] = [
        Text(f"{entry.source_table} {entry.source_key}, for {entry.mapping}"),
        Text(f"reason: {', '.join(entry.problems)}: {entry.what}" + (f" ({entry.parent})" if entry.parent else "")),
        Text(f"to fix it: {entry.fix}", style="cyan"),
    ]
    if entry.detail:
        lines.append(Text(entry.detail))
    if entry.reason != "parent_quarantined":
        column = next((name for name in (entry.source_column, "<column>") if name), "")
        lines.append(Text(f"then: tenantry quarantine retry {entry.id} --set {column}=<value>", style="cyan"))
    console.print(Panel(Group(*lines, Text(""), original), title=f"quarantine no. {entry.id}", title_align="left"))
