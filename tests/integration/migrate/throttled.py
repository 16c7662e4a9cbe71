"""A throttle that is watched, and loads that make it hold work back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from tenantry.journal.ddl import journal_ddl
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.throttle.limits import Work
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database
from tests.migrate_support import PATIENCE, wait_for

# Workers share a server: of what is the server's and not the database's, a test switches on only what it is about.
NOTHING: dict[str, Any] = {
    "max_lock_wait": "off",
    "max_replication_lag": "off",
    "max_slot_lag": "off",
    "max_transaction_age": "off",
    "max_wal_per_second": "off",
    "min_free_disk": "off",
    "yield_to_autovacuum": False,
}


MB = 2**20


def settings(**values: object) -> Settings:
    return Settings.model_validate({**NOTHING, **values})


def journal(database: Database) -> Database:
    with database.connect() as admin:
        for statement in journal_ddl()[:2]:
            admin.execute(statement.encode())
    return database


@dataclass
class Watched:
    """A throttle, what it said, and a switch for its end."""

    throttle: Throttle
    notices: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def codes(self) -> list[str]:
        return [reason.code for reason in self.throttle.reasons()]

    def waits_briefly(self, work: Work, table: str | None = None, *, at_least: float = 0.0) -> bool:
        """Whether work is delayed and continues by itself, although the reasons to back off remain."""
        waited = self.throttle.wait(work, table)
        return waited > at_least and bool(self.codes())


@contextmanager
def watched(server: Database | str | Callable[[], Any], values: Settings | None = None) -> Iterator[Watched]:
    notices: list[str] = []
    stop = threading.Event()
    at = server.dsn if isinstance(server, Database) else server
    with Throttle(at, values or settings(), notice=notices.append, stopped=stop.is_set) as made:
        yield Watched(made, notices, stop)


class Waiting:
    """wait() in a thread of its own."""

    def __init__(self, by: Watched, work: Work, table: str | None = None) -> None:
        self._by = by
        self.waited: float | None = None
        self._thread = threading.Thread(target=self._run, args=(work, table))
        self._thread.start()

    def _run(self, work: Work, table: str | None) -> None:
        self.waited = self._by.throttle.wait(work, table)

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()

    def goes_on(self) -> float:
        """The seconds waited, once it has gone on; fails when it does not."""
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._by.stop.set()
            self._thread.join()
            raise AssertionError(f"still waits: {self._by.notices}")
        assert self.waited is not None
        return self.waited


@contextmanager
def session(database: Database, name: str) -> Iterator[psycopg.Connection[TupleRow]]:
    with psycopg.connect(database.dsn, autocommit=True, application_name=name) as made:
        yield made


@contextmanager
def blocked(database: Database, holder: str, *, on: str = "row") -> Iterator[psycopg.Connection[TupleRow]]:
    """A session of the name `holder` holds a lock that session 'web' waits for; committing what is given releases it."""
    statement = {
        "row": "update visits set note = 'x' where id = 1",
        "table": "lock table visits in share mode",
    }[on]
    with session(database, "admin") as admin, session(database, holder) as first, session(database, "web") as second:
        admin.execute("create table visits (id int primary key, note text)")
        admin.execute("insert into visits values (1, 'a')")
        first.execute("begin")
        first.execute(statement)
        waiter = threading.Thread(target=second.execute, args=("update visits set note = 'y' where id = 1",))
        waiter.start()
        try:
            pid = second.info.backend_pid
            wait_for(
                "the wait for a lock",
                lambda: admin.execute("select 1 from pg_locks where not granted and pid = %s", [pid]).fetchone(),
            )
            yield first
        finally:
            first.execute("rollback")
            waiter.join()


# -- WAL, slots, standbys, disk ------------------------------------------------------------------------------------------


def write(database: Database, megabytes: int) -> int:
    """Make WAL by inserts; the bytes."""
    with session(database, "writer") as other:
        other.execute("set synchronous_commit = on")  # what is committed is written, so that its size can be read
        other.execute("create table if not exists filled (content text)")
        (before,) = other.execute("select pg_current_wal_lsn()::text").fetchone() or ("",)
        for _ in range(megabytes):
            other.execute("insert into filled select repeat(md5(n::text), 32) from generate_series(1, 1000) n")
        found = other.execute("select pg_wal_lsn_diff(pg_current_wal_lsn(), %s)::bigint", [before]).fetchone()
        assert found is not None
        return int(found[0])


# -- a server of one's own: standby, autovacuum ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server with an eager autovacuum, whose standby may fall behind without hindering other tests."""
    folder = Path(os.environ["TENANTRY_TEST_SERVERS"]) / f"own-{os.getpid()}"
    eager = {
        "fsync": "off",
        "synchronous_commit": "off",
        "autovacuum_naptime": "'1s'",
        "wal_level": "replica",
        "max_connections": "30",
    }
    with EmbeddedServer(folder, version=18, settings=eager) as server:
        yield server


# -- a login with few rights -----------------------------------------------------------------------------------------------


@pytest.fixture
def plain(database_each: Database) -> Iterator[str]:
    """A login that may read tenantry.setting, and is member of nothing."""
    name = f"plain_{database_each.name}"
    with journal(database_each).connect() as admin:
        admin.execute(f"create role {name} login")
        admin.execute(f"grant usage on schema tenantry to {name}")
        admin.execute(f"grant select, insert, update, delete on tenantry.setting to {name}")
        yield name
        admin.execute(f"drop owned by {name}")
        admin.execute(f"drop role {name}")
