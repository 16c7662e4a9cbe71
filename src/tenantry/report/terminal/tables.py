"""The tables of all views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

_LEAST = 12
"""Characters that remain of a column that gives way."""


class _PlainTable(Table):
    """A table whose cells are text as it is: names and values of a database are no markup."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def new_table(*columns: str, right: Sequence[str] = (), wrapped: Sequence[str] = ()) -> Table:
    """A table without lines. A cell with styles is given as a Text.

    Args:
        right: columns of numbers.
        wrapped: columns that give way where the terminal is narrow. All others stay in one piece, so that keys can be copied and
            no number is cut off.
    """
    made = _PlainTable(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in wrapped,
            min_width=_LEAST if column in wrapped else None,
        )
    return made


__all__ = ["new_table"]
