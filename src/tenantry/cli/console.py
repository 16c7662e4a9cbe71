"""The two consoles: results go to stdout, progress and messages to stderr."""

from __future__ import annotations

import json
import sys

import typer

from tenantry.errors import SettingsError
from tenantry.report.foreign_text import Terminal, escape

# Lines in a pipe or a file need not fit a screen.
_WIDE = 160
out = Terminal(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
err = Terminal(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDE)


def print_json(data: object, *, one_line: bool = False) -> None:
    """Print one JSON object; with `one_line`, each object on a line of its own, flushed at once."""
    print(json.dumps(data, indent=None if one_line else 1, default=str), flush=one_line)  # noqa: T201 - this is the output


def print_text(text: str) -> None:
    """Print a script, Markdown or another text that other programs read: rich would wrap its lines."""
    print(text)  # noqa: T201 - this is the output


def written(file: object, more: str = "") -> None:
    """Say on stderr which file was written."""
    err.print(f"Written: {escape(str(file))}{more}")


def confirmed(question: str, *, otherwise: str, hint: str) -> bool:
    """Ask at the terminal.

    Args:
        otherwise: what would be done, for the message if there is no terminal.

    Raises:
        SettingsError: there is no terminal.
    """
    if not err.is_terminal:
        raise SettingsError(otherwise, hint=hint)
    return typer.confirm(question, err=True)
