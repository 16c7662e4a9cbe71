"""Ids as the old application created them: cuids, and other ids that tools wrote into the same columns."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(a + b for a in _DIGITS for b in _DIGITS)
_TRIPLES: Final = tuple(pair + c for pair in _PAIRS for c in _DIGITS)
_EPOCH: Final = datetime(1970, 1, 1)
_MILLISECOND: Final = timedelta(milliseconds=1)


def stamp(at: datetime) -> str:
    """Return eight base-36 digits for a time in UTC (without a zone), in milliseconds since 1970; sorts like the time."""
    rest = (at - _EPOCH) // _MILLISECOND
    digits = ""
    for _ in range(8):
        rest, digit = divmod(rest, 36)
        digits = _DIGITS[digit] + digits
    return digits


class Cuids:
    """cuids: `c`, 8 digits of time, 4 of a counter, 4 of the machine, 8 random ones.

    Two ids of one generator never agree: the counter repeats a value only after 36**4 ids, and no millisecond is used for
    that many.
    """

    def __init__(self, rng: Random) -> None:
        self._bits = rng.getrandbits
        self._machine = _PAIRS[rng.randrange(1296)] + _PAIRS[rng.randrange(1296)]
        self._count = rng.randrange(36**4)

    def make(self, time_stamp: str) -> str:
        """Return one id for a `stamp()`."""
        self._count = count = (self._count + 1) % 1_679_616
        high, low = divmod(count, 1296)
        bits = self._bits(40)
        return (
            f"c{time_stamp}{_PAIRS[high]}{_PAIRS[low]}{self._machine}"
            f"{_TRIPLES[bits & 32767]}{_TRIPLES[bits >> 15 & 32767]}{_PAIRS[bits >> 30]}"
        )

    def at(self, at: datetime) -> str:
        """Return one id for a time in UTC."""
        return self.make(stamp(at))


def canonical_uuid(rng: Random) -> str:
    """Return a version 4 UUID in its canonical text: lower case, four hyphens, no braces."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def spelled_otherwise(canonical: str, braced: bool) -> str:
    """Return the same UUID as Windows tools write it: upper case, and in braces if requested. Another text, the same uuid."""
    upper = canonical.upper()
    return "{" + upper + "}" if braced else upper


class Numbers:
    """Ids that were numbers in an older system: seven digits, no leading zero, unique."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._last = 1_000_000

    def make(self) -> str:
        """Return the next number as text."""
        self._last += self._rng.randint(1, 37)
        return str(self._last)
