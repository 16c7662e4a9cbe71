"""Checks constants of a manifest against column types, so that a run never uses one that PostgreSQL rejects."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from tenantry.errors import nearest
from tenantry.mapping.values.texts import FALSE_WORDS, TRUE_WORDS
from tenantry.mapping.values.type_names import base_type, numeric_limits, text_length

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RANGES = {"smallint": 15, "integer": 31, "bigint": 63}


def unfit(value: str | int | float, type_name: str, labels: Sequence[str] | None) -> str | None:
    """Return why a constant does not fit a column; None if it fits, or if only a server can tell.

    Args:
        type_name: the column's type; for a domain its base type.
        labels: the labels of an enum; None for any other type.
    """
    if labels is not None:
        if str(value) in labels:
            return None
        near = nearest(str(value), labels)
        return f"{value!r} is not a value of {type_name}" + (f"; did you mean {near!r}?" if near else "")
    base, length = base_type(type_name), text_length(type_name)
    fits = True
    if length is not None:
        fits = len(str(value)) <= length
    elif base == "boolean":
        fits = isinstance(value, bool) or str(value).strip().lower() in (*TRUE_WORDS, *FALSE_WORDS)
    elif base in _RANGES or base in ("numeric", "real", "double precision"):
        fits = not isinstance(value, bool) and _number_fits(str(value), type_name)
    elif base == "uuid":
        fits = _UUID.fullmatch(str(value)) is not None
    elif base in ("date", "timestamp without time zone", "timestamp with time zone"):
        fits = str(value) in ("infinity", "-infinity") or _is_moment(str(value), day=base == "date")
    return None if fits else f"{value!r} does not fit {type_name}"


def _number_fits(text: str, type_name: str) -> bool:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return False
    base = base_type(type_name)
    if not value.is_finite() or not re.fullmatch(r"[-+0-9.eE]+", text):
        return False
    if base in _RANGES:
        limit = 2 ** _RANGES[base]
        return re.fullmatch(r"[-+]?[0-9]+(\.0)?", text) is not None and -limit <= value < limit
    if base in ("real", "double precision"):
        return True
    limits = numeric_limits(type_name)
    if limits.whole is None or limits.scale is None:
        return True
    digits = value.normalize()
    exponent = digits.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent <= limits.scale and abs(value) < Decimal(10) ** limits.whole


def _is_moment(text: str, *, day: bool) -> bool:
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}" + (r"\Z" if day else r"([T ]|\Z)"), text):
        return False
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
