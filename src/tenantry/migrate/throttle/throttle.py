"""Backs off under load: between two pieces of work a run reads its effect on the server, and waits if necessary.

Settings come from the manifest; table tenantry.setting overrides them during a run (see overrides.py).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import errors as pg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tenantry.journal.journal import Connection
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.session.connections import Session
from tenantry.migrate.throttle.limits import (
    FIRST_SIZE,
    Course,
    Effect,
    Limits,
    Look,
    Reason,
    ServerReading,
    Work,
    judge,
    overridden,
)
from tenantry.postgres import explain, load_blocks

__all__ = ["Limits", "Reason", "ServerReading", "Throttle", "Work"]

INTERVAL = 0.25
"""Seconds between two readings, for all workers together."""
_NAP = 0.05
"""Seconds within which a stop is noticed."""
_SIZE_INTERVAL = 5.0
"""Seconds between calls of pg_database_size(), which reads the size of every file."""
_QUIET = 10.0
"""Slowdowns recur: seconds without one before its end is reported."""

_PACKAGE = "tenantry.migrate.throttle"
_LABEL: Mapping[Work, str] = {"copy": "Copying", "replay": "Replay"}
_UNANSWERED = Reason("unanswered", "the server does not answer when it is asked for its state")
# Rights and tables can appear and disappear during a run.
_CHANGED_UNDER_US = (pg.UndefinedTable, pg.InvalidSchemaName, pg.InsufficientPrivilege)


@dataclass(frozen=True, slots=True)
class _State:
    """The state at one moment."""

    at: float
    settings: Settings
    limits: Limits
    stored: Mapping[str, Any]
    readings: tuple[ServerReading, ...]
    reasons: tuple[Reason, ...]


@dataclass(slots=True)
class _Episode:
    """A reason that was reported, but not yet its end."""

    effect: Effect
    began: float
    seen: float


@dataclass(frozen=True, slots=True)
class _Rights:
    settings: bool
    wal_directory: bool
    data_directory: str | None


class Throttle:
    """Makes work wait, for all workers of a process. It has its own connection, opened at the first reading.

    Args:
        server: a connection string, or a function that opens a connection in autocommit mode for its exclusive use.
        settings: the manifest's settings.
        notice: receives why work waits, and later that it continues, once each; called from any worker's thread.
        stopped: whether the run should end; wait() returns then.
    """

    def __init__(
        self,
        server: str | Callable[[], Connection],
        settings: Settings,
        *,
        notice: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._session: Session | None = None
        self._open: Callable[[], Connection]
        if callable(server):
            self._open = server
        else:
            # A separate session detects a lost network, and ends the connection that waits for an answer.
            self._session = Session(server)
            self._open = partial(self._session.open, "tenantry: throttle")
        self._settings = settings
        self._notice = notice
        self._stopped = stopped
        self._looking = threading.Lock()
        self._connection: Connection | None = None
        self._rights: _Rights | None = None
        self._course = Course()
        self._state: _State | None = None
        self._size: tuple[float, int] | None = None
        self._telling = threading.Lock()
        self._episodes: dict[tuple[Work, str, tuple[str, ...]], _Episode] = {}
        self._told: set[str] = set()

    def wait(self, work: Work, table: str | None = None) -> float:
        """Block until the next piece of work may begin.

        A pause stops all work until it ends. All other reasons delay replay only briefly, since it has to keep up.

        Args:
            table: the source table to be copied, as ident(schema, name).

        Returns:
            Seconds waited.

        Raises:
            TenantryError: the server can no longer be reached.
        """
        waited = 0.0
        # `stopped` is called before the reading: a run that ends sends no more queries.
        if not self._stopped() and work == "copy" and self._state is not None:
            waited += self._rest(self._state.limits.sleep)
        held = 0.0
        while not self._stopped():
            state = self._look(working=True)
            self._tell(work, table, state)
            patience = max((each.patience(work, table, state.limits) for each in state.reasons), default=0.0)
            if held >= patience:
                break
            held += self._rest(min(INTERVAL, patience - held))
        return waited + held

    def limits(self) -> Limits:
        """The effective settings, in seconds and bytes; `chunk_target` is for the code that sizes the chunks."""
        return (self._state or self._look()).limits

    def settings(self) -> Settings:
        """The effective settings, in their written form."""
        return self._look().settings

    def reasons(self, tables: Collection[str] | None = None) -> list[Reason]:
        """Return the current reasons to back off; reasons about a single table only if it is one of `tables`.

        The rate of WAL is known from the second reading on.
        """
        return [
            reason
            for reason in self._look().reasons
            if tables is None or not reason.tables or not set(tables).isdisjoint(reason.tables)
        ]

    def readings(self) -> list[ServerReading]:
        """Return the current value of each limit, and what cannot be measured here."""
        return list(self._look().readings)

    def close(self) -> None:
        with self._looking:
            self._disconnect()
            if self._session is not None:
                self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    def _look(self, *, working: bool = False) -> _State:
        """Return the current state: from one query, or from another worker's recent one."""
        with self._looking:
            if self._state is None or time.monotonic() - self._state.at >= INTERVAL:
                self._state = self._renewed(working)
            return self._state

    def _renewed(self, working: bool) -> _State:
        before = Limits.of(self._settings) if self._state is None else self._state.limits
        try:
            look = self._ask(before, working)
        except (pg.QueryCanceled, pg.LockNotAvailable):
            return self._unanswered(before)
        stored, problems = overridden(self._settings, look.stored)
        self._once(problems)
        self._course.add(look.at, look.wal, Limits.of(stored).max_wal_per_second)
        readings, reasons = judge(look, stored, self._course)
        state = _State(look.at, stored, Limits.of(stored), look.stored, tuple(readings), tuple(reasons))
        if working:
            self._say_what_is_unknown(state)
        return state

    def _unanswered(self, limits: Limits) -> _State:
        settings = self._settings if self._state is None else self._state.settings
        stored = {} if self._state is None else self._state.stored
        return _State(time.monotonic(), settings, limits, stored, (), (_UNANSWERED,))

    def _ask(self, limits: Limits, working: bool) -> Look:
        for last in (False, True):
            try:
                return self._ask_once(limits, working)
            except _CHANGED_UNDER_US as error:
                self._rights = None
                if last:
                    raise explain(error, "looking at the server's state") from error
            except (pg.QueryCanceled, pg.LockNotAvailable):
                raise
            except psycopg.OperationalError as error:
                self._disconnect()
                if last or (self._session is not None and self._session.lost):
                    raise explain(error, "looking at the server's state") from error
        raise AssertionError

    def _ask_once(self, limits: Limits, working: bool) -> Look:
        blocks = load_blocks(_PACKAGE, "look")
        if self._connection is None:
            self._connection = self._open()
            self._connection.execute(blocks["prepare"])
        connection = self._connection
        if self._rights is None:
            asked = blocks["first_look"].replace("/* rights */", blocks["rights"])
            self._rights = _Rights(*_row(connection.execute(asked).fetchone()))
        rights = self._rights
        listing = rights.wal_directory and limits.max_wal_directory is not None
        text = (
            blocks["look"]
            .replace("/* rights */", blocks["rights"])
            .replace("/* settings */", blocks["settings" if rights.settings else "no_settings"])
            .replace("/* wal directory */", blocks["wal_directory" if listing else "no_wal_directory"])
        )
        size = self._size_is_due(limits, working)
        row = connection.cursor(row_factory=dict_row).execute(text, {"size": size}).fetchone()
        assert row is not None
        # Either right may be granted or revoked before the next reading.
        self._rights = replace(rights, settings=row["may_read_settings"], wal_directory=row["may_list_wal"])
        stored = dict(row["settings"])
        now = time.monotonic()
        if row["database_size"] is not None:
            self._size = (now, int(row["database_size"]))
            if working and rights.settings and FIRST_SIZE not in stored:
                stored[FIRST_SIZE] = {"value": self._size[1], "at": None}
                with suppress(pg.InsufficientPrivilege):
                    connection.execute(blocks["set_once"], {"name": FIRST_SIZE, "value": Jsonb(self._size[1])})
        free, unknown = _free_disk(connection, rights.data_directory)
        return Look(
            at=now,
            stored=stored,
            waiters=row["waiters"],
            transactions=row["transactions"],
            standbys=row["standbys"],
            slots=row["slots"],
            vacuums=row["vacuums"],
            wal=int(row["wal"]),
            wal_directory=None if row["wal_directory"] is None else int(row["wal_directory"]),
            database_size=None if self._size is None else self._size[1],
            may_see=row["may_see"],
            hidden_standbys=row["hidden_standbys"],
            free_disk=free,
            free_disk_unknown=unknown,
        )

    def _size_is_due(self, limits: Limits, working: bool) -> bool:
        # The initial size is recorded at once: a limit may be set later.
        wanted = limits.max_database_growth is not None or (
            working and (self._state is None or FIRST_SIZE not in self._state.stored)
        )
        return wanted and (self._size is None or time.monotonic() - self._size[0] >= _SIZE_INTERVAL)

    def _disconnect(self) -> None:
        connection, self._connection, self._rights = self._connection, None, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    # -- waiting and reporting ---------------------------------------------------------------------------------------

    def _rest(self, seconds: float) -> float:
        """Sleep until a stop at most; return the seconds slept."""
        if seconds <= 0:
            return 0.0
        began = time.monotonic()
        while not self._stopped():
            left = seconds - (time.monotonic() - began)
            if left <= 0:
                break
            time.sleep(min(_NAP, left))
        return time.monotonic() - began

    def _tell(self, work: Work, table: str | None, state: _State) -> None:
        """Report reasons that have begun or ended."""
        now = time.monotonic()
        with self._telling:
            begun: dict[Effect, list[str]] = {}
            present = set()
            for reason in state.reasons:
                effect = reason.effect(work, table)
                if effect == "goes on":
                    continue
                key = (work, reason.code, reason.tables)
                present.add(key)
                episode = self._episodes.get(key)
                if episode is None:
                    self._episodes[key] = _Episode(effect, now, now)
                    begun.setdefault(effect, []).append(reason.text)
                else:
                    episode.seen = now
            ended: dict[Effect, float] = {}
            for key, episode in list(self._episodes.items()):
                mine = key[0] == work and (not key[2] or key[2] not in {each.tables for each in state.reasons})
                quiet = 0.0 if episode.effect == "waits" else _QUIET
                if mine and key not in present and now - episode.seen >= quiet:
                    del self._episodes[key]
                    ended[episode.effect] = max(ended.get(episode.effect, 0.0), now - episode.began)
            left = {episode.effect for key, episode in self._episodes.items() if key[0] == work}
        for effect, texts in begun.items():
            self._notice(f"{_LABEL[work]} {'waits' if effect == 'waits' else 'slows down'}: {'; '.join(texts)}.")
        for effect, seconds in ended.items():
            if effect not in left:
                words = f"continues after {seconds:.1f} s" if effect == "waits" else "continues at full speed"
                self._notice(f"{_LABEL[work]} {words}.")

    def _say_what_is_unknown(self, state: _State) -> None:
        unknown = [
            f"{each.setting}: {each.unknown}"
            for each in state.readings
            if each.unknown and getattr(state.settings, each.setting) not in ("off", False)
        ]
        self._once([f"Not everything can be watched here. {'; '.join(unknown)}."] if unknown else [])

    def _once(self, messages: Sequence[str]) -> None:
        for message in messages:
            if message not in self._told:
                self._told.add(message)
                self._notice(message)


def _row(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    assert row is not None
    return row


def _free_disk(connection: Connection, folder: str | None) -> tuple[int | None, str]:
    """Return the free bytes of the server's data directory, or why they are unknown here."""
    if not connection.info.host.startswith("/"):
        return None, "the free disk of a server on another machine (or behind a network address) cannot be known"
    if folder is None:
        return None, "where the server keeps its data is shown to members of pg_read_all_settings (as pg_monitor) only"
    found = []
    # WAL may be on a separate disk, if this account can see it.
    for each in (folder, f"{folder}/pg_wal"):
        with suppress(OSError):
            said = os.statvfs(each)
            found.append(said.f_bavail * said.f_frsize)
    return (min(found), "") if found else (None, f"{folder} cannot be seen from here")
