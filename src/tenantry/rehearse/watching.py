"""Observers of a rehearsal's progress, and its measurements."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Protocol

import psycopg

from tenantry.migrate.session.observer import Observer, Silent
from tenantry.plan import Phase, Step
from tenantry.postgres import connect
from tenantry.rehearse.model import RehearsalStage

_EVERY = 0.5
"""Seconds between two readings of the copy's size."""


class RehearsalWatcher(Observer, Protocol):
    """Receives the progress of a rehearsal, e.g. tenantry.cli.progress.Bars."""

    def count(self, name: str, done: int, total: int) -> None: ...

    def stage(self, name: str) -> None:
        """Report that a part begins and the previous one is done."""


class Unwatched(Silent):
    """Drops all events."""

    def count(self, name: str, done: int, total: int) -> None: ...

    def stage(self, name: str) -> None: ...


class Meter:
    """Measures the copy's size and the server's WAL, periodically and on request."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, name="tenantry: rehearsal")
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self.peak = 0
        self.look()
        self._thread = threading.Thread(target=self._work, name="tenantry-meter", daemon=True)
        self._thread.start()

    def look(self) -> tuple[int, int]:
        """Return the size of the database, and the WAL bytes since the server was made."""
        with self._guard:
            row = self._connection.execute(
                "select pg_database_size(current_database()), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
            ).fetchone()
        assert row is not None
        size, wal = int(str(row[0])), int(str(row[1]))
        self.peak = max(self.peak, size)
        return size, wal

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._connection.close()

    def _work(self) -> None:
        while not self._stop.wait(_EVERY):
            with suppress(psycopg.Error):
                self.look()


class RehearsalListener:
    """Forwards the migration's events, and measures its phases."""

    def __init__(self, watcher: RehearsalWatcher, meter: Meter) -> None:
        self._watcher, self._meter = watcher, meter
        self.phases: list[RehearsalStage] = []
        self._open: tuple[str, float, int] | None = None

    def phase(self, phase: Phase, *, rows: int, steps: int) -> None:
        self.close()
        self._open = (phase, time.monotonic(), self._meter.look()[1])
        self._watcher.phase(phase, rows=rows, steps=steps)

    def close(self) -> None:
        if self._open is not None:
            name, begun, wal = self._open
            size, now = self._meter.look()
            self.phases.append(RehearsalStage(name, time.monotonic() - begun, now - wal, size))
            self._open = None

    def started(self, step: Step, *, rows: int, done_rows: int) -> None:
        self._watcher.started(step, rows=rows, done_rows=done_rows)

    def progress(self, step: Step, rows: int) -> None:
        self._watcher.progress(step, rows)

    def finished(self, step: Step, *, seconds: float, rows: int | None) -> None:
        self._watcher.finished(step, seconds=seconds, rows=rows)

    def notice(self, message: str) -> None:
        self._watcher.notice(message)


__all__ = ["Meter", "RehearsalListener", "RehearsalWatcher", "Unwatched"]
