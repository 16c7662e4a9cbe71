"""A thread that records the progress of a run once per second, for `tenantry status` and the report's timeline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg.types.json import Jsonb

from tenantry.journal.journal import Journal
from tenantry.postgres import connect

_EVERY = 1.0


class Sampler:
    """Writes tenantry.sample over its own connection for the duration of the context; samples that fail are skipped."""

    def __init__(self, dsn: str, journal: Journal, facts: Callable[[], dict[str, object]]) -> None:
        """
        Args:
            facts: returns the facts of a sample; its `rows` is the number of rows migrated so far.
        """
        self._dsn, self._journal, self._facts = dsn, journal, facts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tenantry-sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _work(self) -> None:
        with suppress(Exception), connect(self._dsn, name="tenantry: samples") as connection:
            connection.execute("set synchronous_commit = off")
            ended = False
            while not ended:
                # Also at the end, so that the last second is not missing.
                ended = self._stop.wait(_EVERY)
                with suppress(psycopg.Error):
                    facts = self._facts()
                    rows = facts.pop("rows", 0)
                    self._journal.say(connection, "sample", rows=rows, data=Jsonb(facts))
