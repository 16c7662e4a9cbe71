"""Numbers, durations and sizes in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape


def count(number: int, one: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")


def seconds(value: float) -> str:
    """A duration: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 90:
        return f"{value:.0f} s"
    if value < 5400:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60)} min"


def duration(value: float) -> str:
    """Like seconds(), with milliseconds for short durations: `19 ms`."""
    if 0 < value < 0.001:
        return "< 1 ms"
    return f"{1000 * value:.0f} ms" if 0 < value < 0.095 else seconds(value)


def size(value: float) -> str:
    """`812 kB`, `4.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit in ("bytes", "kB") else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def when(text: str) -> str:
    """`22 November 2026, 12:43 UTC`; other texts are unchanged."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def marked_up(text: str) -> Markup:
    """Escape a text, and mark `commands` between backticks as code that can be copied."""
    # Every second piece is between backticks; an unpaired backtick stays.
    return Markup("").join(
        Markup('<code class="command">{}</code>').format(piece) if odd % 2 else escape(piece)
        for odd, piece in enumerate(re.split(r"`([^`]*)`", text))
    )
