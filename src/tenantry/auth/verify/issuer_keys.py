"""The keys of an issuer over time: fetched when needed, one fetch at a time, and used while the issuer does not answer.

A fetch runs in a thread of its own, whoever needs it: callers of verify() wait for it as threads, those of verify_async() without
blocking their event loop. So one cache, with one set of rules, serves both, and a fetch that hangs holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import httpx

from tenantry.auth.verify.errors import KeysUnavailable
from tenantry.auth.verify.fetch import FetchedKeys, FetchFailed, FetchRules, check_url, fetch_keys
from tenantry.auth.verify.keys import VerificationKeys
from tenantry.errors import SettingsError

_AHEAD = 0.8
"""The share of their lifetime after which keys are fetched again, while they are still used."""
_NEVER = float("-inf")
_WAITS = 2
"""A fetch that had begun before the issuer published a key may lack it; the next one has it."""

Flight = Future[None]


@dataclass(frozen=True, slots=True)
class _Kept:
    keys: VerificationKeys
    renewed_from: float
    expires: float
    useless: float


class IssuerKeys:
    """The keys behind an address. Safe for use by threads and event loops at once.

    - Keys are fetched at their first use, and again in the background when most of their lifetime is over.
    - After their lifetime a request waits for the fetch, unless the issuer did not answer the last time: then the keys are used
      until `stale_for` is over, while fetches are tried again each `interval`.
    - A key name that is not known leads to a fetch, once in each `interval`, whatever the number of such tokens.
    """

    def __init__(
        self,
        url: str,
        rules: FetchRules,
        *,
        fetch: Callable[[httpx.URL, FetchRules], FetchedKeys] = fetch_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        ordered = 0 < rules.interval <= rules.min_ttl <= rules.default_ttl <= rules.max_ttl
        if not ordered or rules.timeout <= 0 or rules.stale_for < 0 or rules.max_bytes <= 0:
            raise SettingsError(
                "The bounds on fetching keys contradict each other.",
                hint="0 < interval ≤ min_ttl ≤ default_ttl ≤ max_ttl, and nothing is negative.",
            )
        self._url, self._rules, self._fetch, self._clock = check_url(url), rules, fetch, clock
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        self._flight: Flight | None = None
        self._began = self._asked = _NEVER
        self._failure: str | None = None

    def get(self, kid: str | None) -> VerificationKeys:
        """Return the keys, after a fetch if this name is not known and a fetch is due.

        Raises:
            KeysUnavailable: there are none that may be used.
        """
        for _ in range(_WAITS):
            found = self.look(kid)
            if not isinstance(found, Future):
                return found
            try:
                found.result(self._rules.timeout)
            except TimeoutError:
                self._late()
                break
        return self._after()

    async def get_async(self, kid: str | None) -> VerificationKeys:
        """Like get(), without blocking the event loop."""
        for _ in range(_WAITS):
            found = self.look(kid)
            if not isinstance(found, Future):
                return found
            try:
                await asyncio.wait_for(asyncio.wrap_future(found), self._rules.timeout)
            except TimeoutError:
                self._late()
                break
        return self._after()

    def look(self, kid: str | None) -> VerificationKeys | Flight:
        """Return the keys, or the fetch to wait for before asking again.

        Raises:
            KeysUnavailable: there are none that may be used, and the issuer did not answer a moment ago.
        """
        with self._lock:
            now, kept = self._clock(), self._kept
            may_try = self._failure is None or now - self._began >= self._rules.interval
            if kept is None or now >= kept.useless:
                if self._flight_of(now) is None and not may_try:
                    raise self._unavailable()
                return self._begin(now)
            if not kept.keys.knows(kid):
                if self._flight_of(now) is not None:
                    return self._begin(now)
                if may_try and now - self._asked >= self._rules.interval:
                    self._asked = now
                    return self._begin(now)
                return kept.keys
            if now >= kept.renewed_from and may_try:
                flight = self._begin(now)
                if now >= kept.expires and self._failure is None:
                    return flight
            return kept.keys

    def _flight_of(self, now: float) -> Flight | None:
        """The fetch that is under way; one that hangs for too long is given up."""
        if self._flight is not None and now - self._began > 2 * self._rules.timeout:
            self._flight = None
        return self._flight

    def _begin(self, now: float) -> Flight:
        """Return the fetch that is under way, or begin one."""
        if (running := self._flight_of(now)) is not None:
            return running
        flight: Flight = Future()
        flight.set_running_or_notify_cancel()  # so that a waiting task that is cancelled does not cancel it for others
        self._flight, self._began = flight, now
        try:
            threading.Thread(target=self._run, args=(flight,), name="tenantry-jwks", daemon=True).start()
        except RuntimeError:
            self._flight, self._failure = None, "no thread could be started"
            flight.set_result(None)
        return flight

    def _run(self, flight: Flight) -> None:
        try:
            fetched, failure = self._fetch(self._url, self._rules), None
        except FetchFailed as error:
            fetched, failure = None, str(error)
        except Exception as error:  # noqa: BLE001 - waiting requests must learn that the fetch is over, whatever ended it
            fetched, failure = None, type(error).__name__
        with self._lock:
            if self._flight is flight:
                self._flight, self._failure = None, failure
                if fetched is not None:
                    now = self._clock()
                    expires = now + fetched.ttl
                    self._kept = _Kept(
                        fetched.keys, now + _AHEAD * fetched.ttl, expires, expires + self._rules.stale_for
                    )
        flight.set_result(None)

    def _late(self) -> None:
        """Do not let the next requests wait for a fetch that takes longer than one may wait."""
        with self._lock:
            self._failure = self._failure or "no answer in time"

    def _after(self) -> VerificationKeys:
        with self._lock:
            if self._kept is None or self._clock() >= self._kept.useless:
                raise self._unavailable()
            return self._kept.keys

    def _unavailable(self) -> KeysUnavailable:
        return KeysUnavailable(f"The keys of the issuer could not be fetched: {self._failure or 'no answer in time'}.")
