"""Shapes of ids: the form of a value limits the tables it can belong to, and shows whether a match can be chance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("uuid", re.compile(r"\{?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\}?")),
    ("integer", re.compile(r"-?\d{1,18}")),
    ("ulid", re.compile(r"[0-7](?=[0-9A-HJKMNP-TV-Z]*\d)[0-9A-HJKMNP-TV-Z]{25}")),
    ("cuid", re.compile(r"c(?=[a-z]*\d)[0-9a-z]{24}")),
    ("objectid", re.compile(r"(?=[a-f]*\d)[0-9a-f]{24}")),
    ("cuid2", re.compile(r"(?=[a-z]+\d)[a-z][0-9a-z]{23}")),
    ("ksuid", re.compile(r"(?=[A-Za-z]*\d)[0-9A-Za-z]{27}")),
    ("nanoid", re.compile(r"(?=[A-Za-z_-]*\d)(?=[^A-Z]*[A-Z])[A-Za-z0-9_-]{21}")),
    ("prefixed", re.compile(r"[a-z][a-z0-9]{1,11}_(?=[A-Za-z]*\d)[0-9A-Za-z]{8,40}")),
    ("token", re.compile(r"(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,64}")),
    ("code", re.compile(r"(?=[^\d]*\d)[A-Za-z0-9_.:-]{1,15}")),
    ("word", re.compile(r"[^\s@/]{1,40}")),
)

STRONG = frozenset(("uuid", "ulid", "cuid", "objectid", "cuid2", "ksuid", "nanoid", "prefixed", "token"))
"""Shapes that two tables do not share by chance."""

EMAIL = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]+\.[^\s@<>.]{2,}")

INSIDE = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|(?<![A-Za-z0-9])[A-Za-z0-9]{20,27}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{21}(?![A-Za-z0-9_-])"
    r"|(?<=[/:#=])\d{1,18}(?![\w.])"
    r"|(?<=[/:#=])[A-Za-z][A-Za-z0-9_-]*\d[A-Za-z0-9_-]*(?![\w.])"
)
"""Candidates for ids inside a longer text."""


def shape_of(value: str) -> str:
    """Return the name of a value's shape; "text" if it cannot be an id."""
    return next((name for name, pattern in _SHAPES if pattern.fullmatch(value)), "text")


def shapes_of(values: Iterable[str]) -> dict[str, float]:
    """Return the shapes of some values with their shares, most frequent first."""
    counted = Counter(shape_of(value) for value in values)
    total = sum(counted.values())
    return {name: count / total for name, count in counted.most_common()} if total else {}


def is_strong(value: str) -> bool:
    return shape_of(value) in STRONG


HASHES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("bcrypt", re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")),
    ("argon2", re.compile(r"\$argon2(id|i|d)\$.+")),
    ("pbkdf2 (Django)", re.compile(r"pbkdf2_sha(256|1)\$\d+\$.+")),
    ("scrypt", re.compile(r"(\$scrypt\$|\$fbscrypt\$|scrypt:|[0-9a-f]{32}:[0-9a-f]{128}$).*")),
    ("crypt", re.compile(r"\$(1|5|6)\$.+")),
    ("hex digest", re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}")),
)
"""The forms of password hashes, by kind."""
