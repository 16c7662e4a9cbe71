"""Ids as the old application made them: cuids, and the strays that other tools wrote into the same columns."""

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
    """Eight base-36 digits for a time in UTC (no zone attached), in milliseconds since 1970; sorts like the time."""
    rest = (at - _EPOCH) // _MILLISECOND
    digits = ""
    for _ in range(8):
        rest, digit = divmod(rest, 36)
        digits = _DIGITS[digit] + digits
    return digits


class Cuids:
    """cuids: `c`, 8 digits of time, 4 of a counter, 4 of the machine, 8 of chance.

    Two ids of one maker never agree: the counter returns to a value only after 36**4 ids, and a stamp of one
    millisecond is never used for so many.
    """

    def __init__(self, rng: Random) -> None:
        self._bits = rng.getrandbits
        self._machine = _PAIRS[rng.randrange(1296)] + _PAIRS[rng.randrange(1296)]
        self._count = rng.randrange(36**4)

    def make(self, time_stamp: str) -> str:
        """One id for a `stamp()`."""
        self._count = count = (self._count + 1) % 1_679_616
        high, low = divmod(count, 1296)
        bits = self._bits(40)
        return (
            f"c{time_stamp}{_PAIRS[high]}{_PAIRS[low]}{self._machine}"
            f"{_TRIPLES[bits & 32767]}{_TRIPLES[bits >> 15 & 32767]}{_PAIRS[bits >> 30]}"
        )

    def at(self, at: datetime) -> str:
        """One id for a time in UTC."""
        return self.make(stamp(at))


def canonical_uuid(rng: Random) -> str:
    """A version 4 UUID in its canonical text: lower case, four hyphens, no braces."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def spelled_otherwise(canonical: str, braced: bool) -> str:
    """The same UUID as Windows tools write it: upper case, and in braces if asked. Another text, one uuid."""
    upper = canonical.upper()
    return "{" + upper + "}" if braced else upper


class Numbers:
    """Ids that were numbers in some older system: seven digits, no leading zero, never twice."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._last = 1_000_000

    def make(self) -> str:
        """The next number, as text."""
        self._last += self._rng.randint(1, 37)
        return str(self._last)
