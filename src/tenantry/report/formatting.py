"""Numbers, durations and sizes in words, for the pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from tenantry.report.terminal import seconds as in_words


def count(number: int, one: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")


def duration(value: float) -> str:
    """As in the terminal, but for what takes no time there: `19 ms`."""
    if 0 < value < 0.001:
        return "< 1 ms"
    return f"{1000 * value:.0f} ms" if 0 < value < 0.095 else in_words(value)


def size(value: float) -> str:
    """`812 kB`, `4.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit in ("bytes", "kB") else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def when(text: str) -> str:
    """`22 November 2026, 12:43 UTC`; the text as it is where it is no time."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def marked_up(text: str) -> Markup:
    """Escaped, with `commands` between backticks as code that can be copied."""
    # Every second piece stands between backticks; one without a partner stays as it is.
    return Markup("").join(
        Markup('<code class="command">{}</code>').format(piece) if odd % 2 else escape(piece)
        for odd, piece in enumerate(re.split(r"`([^`]*)`", text))
    )
