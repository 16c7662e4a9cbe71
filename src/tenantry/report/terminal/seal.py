"""The keys of the sealed context, without their secrets."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tenantry.access.seal_keys import KeyState
from tenantry.report.terminal.table_layout import new_table


def keys(console: Console, found: Sequence[KeyState]) -> None:
    """Name, since when, until when, and whether they open contexts now."""
    table = new_table("key", "since", "until", "opens contexts")
    for each in found:
        until = "" if each.not_after is None else f"{each.not_after:%Y-%m-%d %H:%M}"
        table.add_row(each.name, f"{each.created_at:%Y-%m-%d %H:%M}", until, "yes" if each.opens else "no")
    console.print(table)


__all__ = ["keys"]
