"""Reads JSON that clients wrote. PostgreSQL stores documents that Python's parser refuses: numbers of thousands of digits, and
thousands of nested arrays. One such document must not end a command, or hide all others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import accumulate
from math import isfinite
from typing import Any

_DIGITS = 1_000
"""Python converts longer integers slowly, and refuses those of more than 4300 digits."""
_DEPTH = 100
"""The deepest nesting that is parsed; the recursion of code that prints it must fit, too."""
_BETWEEN = re.compile(r'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")++', re.DOTALL)
"""Text between two brackets."""
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)


def read_json(data: str | bytes, *, parse_float: Callable[[str], Any] | None = None) -> Any:
    """Parse a JSON document.

    A number with very many digits becomes a Decimal. Text that is nested too deeply stays text: the whole document, or a member of
    the outermost object or array. Never raises for a document that PostgreSQL accepts.
    """
    text = data if isinstance(data, str) else bytes(data).decode()
    if not _is_deep(text):
        return _read(text, parse_float)
    pieces = list(_pieces(text))
    if text.lstrip().startswith("{"):
        names, values = pieces[::2], pieces[1::2]
        return {json.loads(name): _shallow(value, parse_float) for name, value in zip(names, values, strict=True)}
    return [_shallow(value, parse_float) for value in pieces]


def _shallow(text: str, parse_float: Callable[[str], Any] | None) -> Any:
    return text if _is_deep(text) else _read(text, parse_float)


def _read(text: str, parse_float: Callable[[str], Any] | None) -> Any:
    return json.loads(text, parse_int=_number, parse_float=parse_float or _float)


def _number(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _DIGITS else Decimal(digits)


def _float(text: str) -> float | Decimal:
    number = float(text)
    return number if isfinite(number) else Decimal(text)


def _is_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= _DEPTH:
        return False
    depths = accumulate(map(_STEP.__getitem__, _BETWEEN.sub("", text)))
    return any(depth > _DEPTH for depth in depths)


def _pieces(text: str) -> Iterator[str]:
    """Yield the names and values of the outermost object, or the values of the outermost array."""
    depth, begin = 0, 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "[{":
            depth += 1
            begin = token.end() if depth == 1 else begin
        elif (depth == 1 and sign in ",:") or sign in "]}":
            if depth == 1 and (piece := text[begin : token.start()].strip()):
                yield piece
            begin = token.end() if depth == 1 else begin
            depth -= sign in "]}"


__all__ = ["read_json"]
