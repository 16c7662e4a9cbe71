"""Properties of a type by its name: its kind and its limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tenantry.catalog import Column as CatalogColumn

_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
TEXTS = frozenset({"text", "character varying", "character", "citext", "bpchar"})
INTEGERS = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
# Numbers with this many digits (before and after the point) are exact in a binary float, and far from its limits.
_FLOATS = {"real": (4, 2), "double precision": (9, 6)}
FLOATS = frozenset(_FLOATS)
NUMBERS = frozenset({*INTEGERS, *_FLOATS, "numeric"})


@dataclass(frozen=True, slots=True)
class NumericLimits:
    """Return the digits before and after the point that a numeric type always holds; None: no limit."""

    whole: int | None
    scale: int | None


def base_type(name: str) -> str:
    """Return a type's name without its modifier: 'numeric(14,2)' → 'numeric'."""
    return re.sub(r"\(.*?\)", "", name).strip()


def is_text(column: CatalogColumn) -> bool:
    return base_type(column.type) in TEXTS or column.type_name == "citext"


def is_number(column: CatalogColumn) -> bool:
    return base_type(column.type) in NUMBERS


def text_length(type_name: str) -> int | None:
    """Return the maximum number of characters of a text type; None: no limit, or not a text type."""
    found = re.fullmatch(r"(?:character varying|character)\((\d+)\)", type_name)
    return int(found[1]) if found else None


def precision(type_name: str) -> int:
    """Return the number of fractional digits that a time or timestamp type holds."""
    found = re.search(r"\((\d+)\)", type_name)
    return int(found[1]) if found else 6


def numeric_limits(type_name: str) -> NumericLimits:
    if found := _NUMERIC.fullmatch(type_name):
        total, scale = int(found[1]), int(found[2])
        return NumericLimits(total - scale, scale)
    if base_type(type_name) in INTEGERS:
        return NumericLimits(len(str(INTEGERS[base_type(type_name)][1])) - 1, 0)
    if base_type(type_name) in _FLOATS:
        return NumericLimits(*_FLOATS[base_type(type_name)])
    return NumericLimits(None, None)


def has_zone(column: CatalogColumn) -> bool:
    return base_type(column.type) == "timestamp with time zone"
