"""Builds the tables of all views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

_LEAST = 12
"""Minimum width, in characters, of a column that shrinks."""


class _PlainTable(Table):
    """A table whose cells are plain text: names and values from a database are not markup."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def new_table(*columns: str, right: Sequence[str] = (), wrapped: Sequence[str] = ()) -> Table:
    """Build a table without lines. A cell with styles must be a Text.

    Args:
        right: columns of numbers.
        wrapped: columns that shrink on a narrow terminal. All others are never wrapped or cut, so that keys can be copied and
            numbers are complete.
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
