"""Converts frozen dataclasses to plain JSON values and back, and computes a digest of their non-volatile fields.

The annotations of a dataclass are its schema: str, int, bool, None, Literal, tuples, unions with None and other such
dataclasses. Fields declared with `volatile()` change without any DDL (sizes, estimates, positions) and are not part of the
digest.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import field, fields, is_dataclass
from functools import cache
from itertools import repeat
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

_T = TypeVar("_T")
_VOLATILE = "volatile"


def volatile(default: Any) -> Any:
    """Declare a dataclass field that the digest ignores."""
    return field(default=default, metadata={_VOLATILE: True})


def to_plain(value: object, *, with_volatile: bool = True) -> Any:
    """Convert `value` to dicts (keys sorted), lists, strings, integers, booleans and None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: to_plain(getattr(value, item.name), with_volatile=with_volatile)
            for item in sorted(fields(value), key=lambda item: item.name)
            if with_volatile or _VOLATILE not in item.metadata
        }
    if isinstance(value, tuple):
        return [to_plain(item, with_volatile=with_volatile) for item in value]
    return value


def from_plain(kind: type[_T], plain: object) -> _T:
    """Invert to_plain().

    Raises:
        ValueError: `plain` is not a result of to_plain() for a `kind`; the message names the position.
    """
    try:
        return cast(_T, _decoder(cast(Any, kind))(plain))
    except _Misfit as misfit:
        raise ValueError(f"{kind.__name__}{misfit.place}: {misfit}") from None


def digest(value: object) -> str:
    """Return the SHA-256, in hex, of the canonical JSON of `value` without its volatile fields."""
    plain = to_plain(value, with_volatile=False)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class _Misfit(ValueError):
    """A value that does not match; its position in the input is completed while the error propagates."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.place = ""


_Decode = Callable[[object], object]


@cache
def _decoder(kind: Any) -> _Decode:
    """Return the decoder of a kind. A catalog has some ten thousand values, so each kind is inspected once."""
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _record(cast(type, kind))
    if origin is tuple:
        return _tuple(get_args(kind))
    if origin in (types.UnionType, Union):
        return _optional(get_args(kind))
    allowed = frozenset(get_args(kind)) if origin is Literal else None

    def plain_value(plain: object) -> object:
        fits = type(plain) is kind if allowed is None else isinstance(plain, Hashable) and plain in allowed
        if not fits:
            raise _Misfit(f"expected {kind}, found {plain!r}")
        return plain

    return plain_value


def _record(kind: type) -> _Decode:
    hints = get_type_hints(kind)
    members = {item.name: _decoder(hints[item.name]) for item in fields(kind)}

    def record(plain: object) -> object:
        if not isinstance(plain, Mapping):
            raise _Misfit(f"expected an object, found {plain!r}")
        if plain.keys() != members.keys():
            if unknown := sorted(plain.keys() - members.keys()):
                raise _Misfit(f"unknown {', '.join(unknown)}")
            raise _Misfit(f"missing {', '.join(sorted(members.keys() - plain.keys()))}")
        values: dict[str, object] = {}
        for name, decode in members.items():
            try:
                values[name] = decode(plain[name])
            except _Misfit as misfit:
                misfit.place = f".{name}{misfit.place}"
                raise
        return kind(**values)

    return record


def _tuple(items: tuple[Any, ...]) -> _Decode:
    same = items[-1] is Ellipsis
    decoders = [_decoder(item) for item in items if item is not Ellipsis]

    def sequence(plain: object) -> object:
        if not isinstance(plain, list):
            raise _Misfit(f"expected a list, found {plain!r}")
        if not same and len(plain) != len(decoders):
            raise _Misfit(f"expected {len(decoders)} items, found {len(plain)}")
        values: list[object] = []
        for decode, value in zip(repeat(decoders[0]) if same else decoders, plain):  # noqa: B905 - endless on one side
            try:
                values.append(decode(value))
            except _Misfit as misfit:
                misfit.place = f"[{len(values)}]{misfit.place}"
                raise
        return tuple(values)

    return sequence


def _optional(members: tuple[Any, ...]) -> _Decode:
    (only,) = (member for member in members if member is not type(None))
    decode = _decoder(only)
    return lambda plain: None if plain is None else decode(plain)
