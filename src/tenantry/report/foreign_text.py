"""Text that others chose, on a terminal: names of clients, keys, values, what a server said.

It is no markup, and it moves no cursor: control characters, and those that change the direction of writing, are shown as a sign.
`escape` is for text within markup; `Terminal` is a console that lets no such character through, whatever it prints.
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
    """A text without characters that act on a terminal, and without halves of surrogate pairs, which no encoding has."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(SIGN if _acts(sign) else sign for sign in text)


def _acts(sign: str) -> bool:
    # Cc: control characters. Cf: marks that cannot be seen, such as those of direction. Cs: halves of surrogate pairs.
    return sign not in _KEPT and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def escape(text: object) -> str:
    """Foreign text within the markup of a console."""
    return rich.markup.escape(visible(str(text)))


class Terminal(Console):
    """A console that prints nothing that acts on the terminal but its own styles."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed."""
        for segment in super().render(renderable, options):
            if segment.control is not None or (segment.text.isascii() and segment.text.isprintable()):
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


__all__ = ["SIGN", "Terminal", "escape", "visible"]
