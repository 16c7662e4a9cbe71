"""Synthetic writes that exercise a rehearsal: they switch some rows of each table between two values.

They use another login than the migrator's, as an application does, so that capture, replay, the fence and reverse replay
are exercised. Only for a copy: they need rights there, which are revoked afterwards.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tenantry.journal.journal import Connection
from tenantry.mapping import Project
from tenantry.postgres import ident, load_blocks
from tenantry.rehearse.contexts import ClientContexts
from tenantry.rehearse.write_places import VALUE, WritePlace, assignment_of, enter, ready

_PAUSE = 0.004
"""Seconds between two writes of a load."""
_REFUSES = "25006"
"""read_only_sql_transaction: the fence of the inactive side."""


# -- places to write -----------------------------------------------------------------------------------------------------


# -- logins --------------------------------------------------------------------------------------------------------------


# -- writing -------------------------------------------------------------------------------------------------------------


@dataclass
class Written:
    """The writes of one side.

    Attributes:
        rows: number of distinct rows.
        changing: tables in which a value changed back and forth; in the others rows were rewritten unchanged.
        refused: the server's message → number of refusals.
        fenced: whether the side refused writes, since the other one is active now.
        longest: seconds of the slowest write, from its start to the commit.
    """

    side: str
    login: str
    tables: int
    changing: int
    rows: int
    writes: int = 0
    fenced: bool = False
    longest: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)


class Writer:
    """Writes back and forth over one connection."""

    def __init__(
        self, connection: Connection, places: Sequence[WritePlace], side: str, contexts: ClientContexts | None = None
    ) -> None:
        self._connection, self.places, self._contexts = connection, places, contexts
        self.triggered: set[tuple[str, str]] = set()
        """Schema and name of tables in which a write changed more than its own row: by a trigger or a key's action."""
        row = connection.execute("select session_user::text").fetchone()
        assert row is not None
        self.done = Written(
            side,
            str(row[0]),
            len(places),
            sum(place.column is not None for place in places),
            sum(len(place.keys) for place in places),
        )
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def forth(self) -> None:
        """Change each row once to its other value."""
        for place in self.places:
            for key in place.keys:
                self._write(place, assignment_of(place), {"key": key})

    def back(self) -> None:
        """Restore each row's value."""
        for place in self.places:
            for key in place.keys:
                self._back(place, key)

    def _back(self, place: WritePlace, key: str) -> None:
        if place.column is None:
            self._write(place, place.same, {"key": key})
            return
        assignment = f"{ident(place.column.name)} = ({VALUE})::{place.column.type}"
        self._write(place, assignment, {"key": key, "value": place.before[key]})

    def _write(self, place: WritePlace, assignment: str, values: dict[str, Any]) -> None:
        begun = time.monotonic()
        try:
            with self._connection.transaction():
                enter(self._connection, place, values["key"], self._contexts)
                before = self._changed()
                own = self._connection.execute(
                    ready(f"update {place.sql} set {assignment} where {place.find}"), values
                ).rowcount
                self._connection.execute("set constraints all immediate")
                changed = self._changed()
            changed.subtract(before)
            changed[place.relation] -= own
            self.triggered |= {name for name, rows in changed.items() if rows > 0}
            self.done.writes += 1
        except psycopg.Error as error:
            if error.sqlstate == _REFUSES:
                self.done.fenced = True
                self._stop.set()
            elif error.sqlstate is None or self._connection.closed:
                self._stop.set()
                self.done.refused["the connection was lost"] += 1
            else:
                self.done.refused[f"{place.table}: {error.diag.message_primary}"] += 1
        self.done.longest = max(self.done.longest, time.monotonic() - begun)

    def _changed(self) -> Counter[tuple[str, str]]:
        rows = self._connection.execute(load_blocks("tenantry.rehearse", "synthetic_writes")["written"])
        return Counter({(str(schema), str(name)): int(number) for schema, name, number in rows})

    def is_fenced(self, patience: float = 2.0) -> bool:
        """Whether this side refuses writes; a load gets a moment to notice."""
        if self._thread is not None:
            self._thread.join(timeout=patience)
            self.stop()
        if not self.done.fenced and self.places:
            place = self.places[0]
            self._back(place, place.keys[0])
        return self.done.fenced

    # -- load --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Write continuously in a thread, until stopped, or refused because the other side is active now."""
        self._thread = threading.Thread(target=self._work, name="tenantry-invented", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=60)
            self._thread = None

    def _work(self) -> None:
        def there(place: WritePlace, key: str) -> None:
            self._write(place, assignment_of(place), {"key": key})

        while not self._stop.is_set() and self.places:
            for write in (there, self._back):
                for place in self.places:
                    for key in place.keys:
                        write(place, key)
                        if self._stop.wait(_PAUSE):
                            return


# -- effects of triggers ------------------------------------------------------------------------------------------------


def triggered_tables(project: Project, writer: Writer) -> set[str]:
    """Return source tables in which triggers or keys' actions change further rows because of the synthetic writes."""
    source = {table.name for table in project.source_tables}
    found = {name for schema, name in writer.triggered if schema == project.source.schema and name in source}
    fed = {name for schema, name in writer.triggered if schema == project.target.schema}
    return found | {mapping.source.name for name in fed for mapping in project.by_target.get(name, ())}


def stamped_columns(project: Project, places: Sequence[WritePlace], *, target: bool) -> dict[str, set[str]]:
    """Return source table → columns that triggers change with the writes in these places."""
    found: dict[str, set[str]] = {}
    for place in places:
        names = set(place.also)
        if target:
            mapping = project.mapping(place.table)
            names = {
                column.source for column in mapping.columns if column.name in place.also and column.source is not None
            }
        found.setdefault(place.source, set()).update(names)
    return found


__all__ = ["Writer", "Written", "stamped_columns", "triggered_tables"]
