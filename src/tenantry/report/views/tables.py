"""The tables of all views."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table


def new_table(*columns: str, right: Sequence[str] = (), wrapped: Sequence[str] = ()) -> Table:
    """A table without lines.

    Args:
        right: columns of numbers.
        wrapped: columns of prose. All others stay in one piece, so that keys and names can be copied.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column, justify="right" if column in right else "left", overflow="fold", no_wrap=column not in wrapped
        )
    return made


__all__ = ["new_table"]
