"""Compact tokens, taken apart: sizes, base64url, JSON and header, all checked before any key is looked at.

Only what RFC 7515 and 7519 state is accepted, and less of it: a token with an embedded or linked key, a critical extension, a
detached or encrypted payload, or a key twice in one object is refused.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from typing import Any, Final, NamedTuple

from tenantry.auth.verify.errors import TokenRefused

HEADER_LIMIT = 1024
"""Characters of a header's segment."""
KID_LIMIT = 256
"""Characters of the name of a key."""
SIGNATURE_LIMIT = 1400
"""Characters of a signature's segment: an RSA key has at most 8,192 bits."""
DEPTH_LIMIT = 64
"""Objects and arrays within each other."""

_KEY_IN_TOKEN: Final = frozenset({"jwk", "jku", "x5u", "x5c"})
_NOT_SUPPORTED: Final = frozenset({"crit", "b64", "enc", "zip", "epk", "apu", "apv", "p2s", "p2c", "iv", "tag", "cty"})
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of a character that PostgreSQL does not store. After an even number of backslashes it is one."""
_KID = re.compile(r"[\x21-\x7e]+")


class Compact(NamedTuple):
    """A token taken apart; nothing of it is verified.

    Attributes:
        alg: what the header states. It selects nothing: the key says which algorithm is right.
        kid: the name of the key, or None.
    """

    alg: str
    kid: str | None
    payload: bytes
    signed: bytes
    signature: bytes


def read_header(segment: bytes) -> tuple[str, str | None]:
    """Return algorithm and key name of a header's segment.

    Raises:
        TokenRefused: it is no header that is accepted.
    """
    if len(segment) > HEADER_LIMIT:
        raise _refused("The token's header is too long.", "size")
    header = read_object(decode_segment(segment, "header"), "header")
    if not _KEY_IN_TOKEN.isdisjoint(header):
        raise _refused("The token carries or links a key. Only keys of the issuer count.", "embedded_key")
    if not _NOT_SUPPORTED.isdisjoint(header):
        raise _refused("The token's header asks for an extension that is not supported.", "header")
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str):
        raise _refused("The token's header names no algorithm.", "algorithm")
    if "kid" in header and not (isinstance(kid, str) and len(kid) <= KID_LIMIT and _KID.fullmatch(kid)):
        raise _refused("The token's header has an impossible key name.", "header")
    if "typ" in header and not (isinstance(typ, str) and typ.lower() in _TYPES):
        raise _refused("The token is of another type than JWT.", "type")
    return alg, kid


def split(token: bytes, limit: int) -> tuple[bytes, bytes, bytes]:
    """Return the three segments of a token, still encoded.

    Raises:
        TokenRefused: it is longer than `limit`, or does not have three segments.
    """
    if len(token) > limit:
        raise _refused(f"The token is longer than {limit} bytes.", "size")
    parts = token.split(b".")
    if len(parts) == 5:
        raise _refused("The token is encrypted (JWE). Only signed tokens are accepted.", "encrypted")
    if len(parts) != 3 or not all(parts):
        raise _refused("The token does not have three parts.", "malformed")
    if len(parts[2]) > SIGNATURE_LIMIT:
        raise _refused("The token's signature is too long.", "size")
    return parts[0], parts[1], parts[2]


def decode_segment(segment: bytes, what: str) -> bytes:
    """Decode base64url without padding, in its only canonical form: otherwise one token had several texts.

    Raises:
        TokenRefused: the segment is not base64url.
    """
    over = len(segment) % 4
    last = segment[-1:]
    # The last character may set no bit beyond the last byte.
    if over == 1 or (over == 2 and last not in _TWO_BITS) or (over == 3 and last not in _FOUR_BITS):
        raise _refused(f"The token's {what} is not base64url.", "malformed")
    try:
        return a2b_base64(segment.translate(_ALPHABET) + b"==="[: -over % 4], strict_mode=True)
    except ValueError:
        raise _refused(f"The token's {what} is not base64url.", "malformed") from None


_TWO_BITS: Final = frozenset((b"A", b"Q", b"g", b"w"))
_FOUR_BITS: Final = frozenset(bytes([each]) for each in b"AEIMQUYcgkosw048")
_ALPHABET: Final = bytes.maketrans(b"-_+/=", b"+/!!!")


class _Twice(ValueError):
    """A key stands twice in one object."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _constant(_text: str) -> Any:
    raise ValueError


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_constant)


def read_object(text: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        TokenRefused: it is not UTF-8, not JSON (NaN and Infinity are not), no object, nested too deeply, has a key twice or a NUL.
    """
    try:
        found = _DECODER.decode(text.decode())
        if isinstance(found, dict) and not (b"\\" in text and _NUL.search(text)):
            if text.count(b"{") + text.count(b"[") > DEPTH_LIMIT:
                _check_depth(found)
            return found
    except _Twice:
        raise _refused(f"The token's {what} has a key twice.", "duplicate") from None
    except (ValueError, RecursionError):
        pass
    raise _refused(f"The token's {what} is no JSON object that can be used.", "malformed")


def _check_depth(found: dict[str, Any]) -> None:
    """Refuse what would exhaust the stack where the claims are written again."""
    level: list[Any] = [found]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError


def _refused(message: str, reason: str) -> TokenRefused:
    return TokenRefused(message, reason=reason)
