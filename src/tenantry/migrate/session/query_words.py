"""Statements of others, as they may be shown: their first words, and none of their values."""

from __future__ import annotations

import re

_WORDS = 60
"""Characters that are shown."""
_LITERAL = re.compile(r"\s*(?:\b[eEnNbBxX]|\b[uU]&)?(?:'|\$\w*\$)")
_NUMBER = re.compile(r"(?<![\w$\"])\d[\d.]*")


def first_words(query: str | None) -> str:
    """The beginning of a statement on one line, without any value: it ends before the first quoted one, and numbers are `?`."""
    text = _NUMBER.sub("?", " ".join((query or "").split()))
    found = _LITERAL.search(text)
    kept = text[: found.start()] if found else text
    cut = len(kept) > _WORDS
    return (kept[:_WORDS].rstrip() if cut else kept) + (" …" if found or cut else "")
