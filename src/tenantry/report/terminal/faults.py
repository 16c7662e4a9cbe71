"""Prints faults: the worst first, each with its places below, every text within its column."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tenantry.prove.faults import Fault

STYLE = {"error": "bold red", "warning": "yellow", "info": "dim"}
_SHOWN = 40
"""Maximum number of places per fault."""


def show_faults(console: Console, found: Sequence[Fault]) -> None:
    """Print the faults, and name the one to begin with."""
    if not found:
        return
    first = found[0]
    if first.level != "info":
        console.print()
        said = f"Start here: {first.name}, {_places(first)}" + (
            f": {first.places[0]}" if len(first.places) == 1 else ""
        )
        console.print(Text(said, style="bold"))
    for fault in found:
        console.print()
        head = Text.assemble(
            (fault.level, STYLE[fault.level]), " ", (fault.name, "bold"), (f"  {_places(fault)}", "dim")
        )
        console.print(head)
        if fault.wanted:
            console.print(Padding(Text(f"Expected: {fault.wanted}", style="dim"), (0, 0, 0, 4)))
        console.print(_grid(fault))
        if fault.fix:
            console.print(Padding(Text(f"To fix it: {fault.fix}", style="dim"), (0, 0, 0, 4)))


def _places(fault: Fault) -> str:
    return "1 place" if len(fault.places) == 1 else f"{len(fault.places)} places"


def _grid(fault: Fault) -> Padding:
    """One place per line; a detail that several places share is printed once, after their names."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    together: dict[str, list[str]] = {}
    for place in fault.places[:_SHOWN]:
        together.setdefault(place.detail, []).append(place.object)
    for detail, objects in together.items():
        names = Text(", ".join(name for name in objects if name), style="cyan")
        table.add_row("-", names.append(f"{': ' if names and detail else ''}{detail}", style="default"))
    if len(fault.places) > _SHOWN:
        table.add_row("-", Text(f"and {len(fault.places) - _SHOWN} more (--json has all of them)", style="dim"))
    return Padding(table, (0, 0, 0, 4))


__all__ = ["STYLE", "show_faults"]
