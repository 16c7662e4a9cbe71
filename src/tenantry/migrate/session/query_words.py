"""The displayable part of others' statements: their first words, without values."""

from __future__ import annotations

import re

_WORDS = 60
"""The largest number of shown characters."""
_LITERAL = re.compile(r"\s*(?:\b[eEnNbBxX]|\b[uU]&)?(?:'|\$\w*\$)")
_NUMBER = re.compile(r"(?<![\w$\"])\d[\d.]*")


def first_words(query: str | None) -> str:
    """Return the beginning of a statement on one line, without values: it ends before the first quote, and numbers become `?`."""
    text = _NUMBER.sub("?", " ".join((query or "").split()))
    found = _LITERAL.search(text)
    kept = text[: found.start()] if found else text
    cut = len(kept) > _WORDS
    return (kept[:_WORDS].rstrip() if cut else kept) + (" …" if found or cut else "")
