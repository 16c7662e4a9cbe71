"""Prints text from outside on a terminal: names of clients, keys, values, messages of a server.

Such text must not act as markup or move the cursor: control characters, and those that change the writing direction, are
shown as a symbol. `escape` is for text within markup; `Terminal` is a console that never prints such a character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import rich.markup
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

SIGN = "\N{REPLACEMENT CHARACTER}"
_KEPT = "\t\n"


def visible(text: str) -> str:
    """Replace characters that act on a terminal, and unpaired surrogates, which no encoding has."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(SIGN if _acts(sign) else sign for sign in text)


def _acts(sign: str) -> bool:
    # Cc: control characters. Cf: invisible marks, such as those of direction. Cs: unpaired surrogates.
    return sign not in _KEPT and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def escape(text: object) -> str:
    """Prepare foreign text for the markup of a console."""
    return rich.markup.escape(visible(str(text)))


class Terminal(Console):
    """A console that acts on the terminal with its own styles only."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments of printed text."""
        for segment in super().render(renderable, options):
            if segment.control is not None or (segment.text.isascii() and segment.text.isprintable()):
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


__all__ = ["SIGN", "Terminal", "escape", "visible"]
