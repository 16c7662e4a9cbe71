"""Frozen dataclasses as plain JSON values and back, and a digest of what is not volatile.

The annotations of a dataclass are its schema: str, int, bool, None, Literal, tuples, unions with None and other such
dataclasses. Fields declared with `volatile()` change without any DDL (sizes, estimates, positions) and stay out of the
digest.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

_T = TypeVar("_T")
_VOLATILE = "volatile"


def volatile(default: Any) -> Any:
    """A dataclass field that the digest leaves out."""
    return field(default=default, metadata={_VOLATILE: True})


def to_plain(value: object, *, with_volatile: bool = True) -> Any:
    """`value` as dicts (keys sorted), lists, strings, integers, booleans and None."""
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
    """The inverse of to_plain().

    Raises:
        ValueError: `plain` is not what to_plain() returns for a `kind`; the message names the place.
    """
    return cast(_T, _decode(kind, plain, kind.__name__))


def digest(value: object) -> str:
    """SHA-256, in hex, of the canonical JSON of `value` without its volatile fields."""
    plain = to_plain(value, with_volatile=False)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _decode(kind: Any, plain: object, path: str) -> object:
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _decode_record(cast(type, kind), plain, path)
    if origin is tuple:
        return _decode_tuple(get_args(kind), plain, path)
    if origin in (types.UnionType, Union):
        return _decode_optional(get_args(kind), plain, path)
    fits = plain in get_args(kind) if origin is Literal else type(plain) is kind
    if not fits:
        raise ValueError(f"{path}: expected {kind}, found {plain!r}")
    return plain


def _decode_record(kind: type, plain: object, path: str) -> object:
    if not isinstance(plain, Mapping):
        raise ValueError(f"{path}: expected an object, found {plain!r}")
    hints = _hints(kind)
    if unknown := sorted(plain.keys() - hints.keys()):
        raise ValueError(f"{path}: unknown {', '.join(unknown)}")
    if missing := sorted(hints.keys() - plain.keys()):
        raise ValueError(f"{path}: missing {', '.join(missing)}")
    return kind(**{name: _decode(hint, plain[name], f"{path}.{name}") for name, hint in hints.items()})


def _decode_tuple(items: tuple[Any, ...], plain: object, path: str) -> object:
    if not isinstance(plain, list):
        raise ValueError(f"{path}: expected a list, found {plain!r}")
    if items[-1] is Ellipsis:
        return tuple(_decode(items[0], value, f"{path}[{n}]") for n, value in enumerate(plain))
    if len(items) != len(plain):
        raise ValueError(f"{path}: expected {len(items)} items, found {len(plain)}")
    pairs = zip(items, plain, strict=True)
    return tuple(_decode(item, value, f"{path}[{n}]") for n, (item, value) in enumerate(pairs))


def _decode_optional(members: tuple[Any, ...], plain: object, path: str) -> object:
    if plain is None and type(None) in members:
        return None
    (only,) = (member for member in members if member is not type(None))
    return _decode(only, plain, path)


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(kind)}
