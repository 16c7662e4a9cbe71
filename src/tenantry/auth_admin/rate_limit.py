"""How fast requests may go out: a token bucket that threads share, and the waits between tries."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class TokenBucket:
    """Lets `rate` calls a second through, at most `burst` of them at once after a pause. Threads share it and go in turn."""

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
        """Wait until one more call may go. Returns the seconds that were waited."""
        with self._guard:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._rate)
            self._filled_at = max(now, self._filled_at)
            # Those who wait have taken their token already: it is below zero for them, and each waits his turn.
            self._tokens -= 1
            wait = max(0.0, -self._tokens / self._rate) + max(0.0, self._filled_at - now)
        if wait > 0:
            self._sleep(wait)
        return wait

    def hold(self, seconds: float) -> None:
        """Let nobody through for so long, as a server asked for; those who wait already are not held."""
        with self._guard:
            until = self._clock() + seconds
            if until > self._filled_at:
                self._filled_at = until
                self._tokens = min(self._tokens, 1.0)


def backoff(attempt: int, *, base: float, limit: float, chance: Callable[[], float] = random.random) -> float:
    """Seconds before try number `attempt` + 1: anywhere up to twice as long as before, so that many do not come at once.

    Args:
        attempt: the number of tries that failed, from 1.
        base, limit: seconds; the first wait's bound, and the bound of all.
        chance: a number from 0 to 1.
    """
    bound = min(limit, base * 2 ** min(attempt - 1, 30))
    return float(bound * (0.5 + chance() / 2))


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """What a Retry-After header asks for, in seconds: a number or a date; None where it says nothing that can be read."""
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
