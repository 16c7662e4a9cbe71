"""Limits the rate of requests: a token bucket that threads share, and the waits between attempts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class TokenBucket:
    """Allows `rate` calls a second, at most `burst` of them at once after a pause. Threads share it and proceed in order."""

    def __init__(
        self,
        rate: float,
        *,
        burst: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """
        Args:
            rate: calls a second; above 0.
            burst: how many may go at once; at least 1.
            clock: seconds, never going back.
        """
        if not rate > 0 or not burst >= 1:
            raise ValueError("rate must be above 0 and burst at least 1")
        self._rate, self._burst, self._clock, self._sleep = rate, burst, clock, sleep
        self._guard = threading.Lock()
        self._tokens = burst
        self._filled_at = clock()

    def take(self) -> float:
        """Wait until one more call is allowed. Return the seconds waited."""
        with self._guard:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._rate)
            self._filled_at = max(now, self._filled_at)
            # Waiting threads have already taken their token: the count is below zero, and each waits for its turn.
            self._tokens -= 1
            wait = max(0.0, -self._tokens / self._rate) + max(0.0, self._filled_at - now)
        if wait > 0:
            self._sleep(wait)
        return wait

    def hold(self, seconds: float) -> None:
        """Block new calls for some time, as a server requested; calls that already wait are not delayed."""
        with self._guard:
            until = self._clock() + seconds
            if until > self._filled_at:
                self._filled_at = until
                self._tokens = min(self._tokens, 1.0)


def backoff(attempt: int, *, base: float, limit: float, chance: Callable[[], float] = random.random) -> float:
    """Return the seconds before attempt number `attempt` + 1: random, up to a bound that doubles, so that clients spread out.

    Args:
        attempt: the number of failed attempts, from 1.
        base, limit: seconds; the bound of the first wait, and of all waits.
        chance: a random number from 0 to 1.
    """
    bound = min(limit, base * 2 ** min(attempt - 1, 30))
    return float(bound * (0.5 + chance() / 2))


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the wait in seconds that a Retry-After header requests: a number or a date; None if it is not readable."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


__all__ = ["TokenBucket", "backoff", "retry_after"]
