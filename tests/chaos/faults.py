"""What befalls a database in its life, besides a killed tool: each fault is a function that does its work until it is told to stop.

They run in a thread of their own beside the tool and the application. Everything is taken back at the end.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import psycopg
from psycopg import errors as pg

from tenantry.postgres import EmbeddedServer, ident, with_parameters
from tests.chaos.load import APP

TOOL = "tenantry%"
"""The application names under which the tool connects."""

SOURCE_TABLES = (
    "clinics", "users", "providers", "metric_definitions", "data_sources", "column_mappings", "metric_values", "goals",
    "dashboards", "widgets",
)  # fmt: skip
TARGET_TABLES = (
    "clinics",
    "profiles",
    "user_clinic_roles",
    "providers",
    "metric_values",
    "goals",
    "dashboards",
    "widgets",
)


class Database(Protocol):
    @property
    def dsn(self) -> str: ...
    @property
    def server(self) -> EmbeddedServer: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Ground:
    """Where faults strike.

    Attributes:
        idle: a statement of the old application that is never committed.
        grow: a statement that changes many rows; its value is a text that is another one each time.
    """

    source_tables: tuple[str, ...]
    target: str
    target_tables: tuple[str, ...]
    idle: str
    grow: str


CLINIC = Ground(
    SOURCE_TABLES,
    "clinic",
    TARGET_TABLES,
    "insert into metric_definitions (id, name, description, data_type, category, updated_at)"
    " values (gen_random_uuid()::text, 'never', 'never', 'integer', 'patient', now())",
    "update metric_values set source_sheet = %s, updated_at = updated_at",
)


Doing = Callable[[Database, random.Random, threading.Event], int]
"""A fault at work: returns how often it struck."""


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    meaning: str
    do: Doing
    stalls: bool = False
    """It holds the application up by itself, so that its stalls are not the tool's."""


@contextmanager
def striking(fault: Fault, database: Database, seed: int) -> Iterator[list[int]]:
    """The fault at work for as long as the body runs; the list holds how often it struck, at the end."""
    stop, struck = threading.Event(), [0]
    failed: list[BaseException] = []

    def work() -> None:
        try:
            struck[0] = fault.do(database, random.Random(seed), stop)  # noqa: S311 - the same each time
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    thread = threading.Thread(target=work, name=f"fault {fault.name}", daemon=True)
    thread.start()
    try:
        yield struck
    finally:
        stop.set()
        thread.join(60)
    if failed:
        raise failed[0]


# -- connections -----------------------------------------------------------------------------------------------------------


def terminate(database: Database, names: str, rng: random.Random) -> bool:
    """End one connection of these, whichever; whether there was one."""
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        pids = admin.execute(
            "select pid from pg_stat_activity where datname = current_database() and application_name like %s order by pid",
            [names],
        ).fetchall()
        if not pids:
            return False
        row = admin.execute("select pg_terminate_backend(%s)", [rng.choice(pids)[0]]).fetchone()
        return row is not None and bool(row[0])


def _terminating(names: str, most: int) -> Doing:
    def do(database: Database, rng: random.Random, stop: threading.Event) -> int:
        struck = 0
        while struck < most and not stop.wait(rng.uniform(0.05, 0.7)):
            struck += terminate(database, names, rng)
        return struck

    return do


def crash(server: EmbeddedServer) -> None:
    """Stop the server as a power cut of the process would, and start it again: it recovers from its log."""
    server._pg_ctl("stop", "-m", "immediate")
    server._launch()


def _crashing(database: Database, rng: random.Random, stop: threading.Event) -> int:
    if stop.wait(rng.uniform(0.1, 1.5)):
        return 0
    crash(database.server)
    return 1


# -- locks -----------------------------------------------------------------------------------------------------------------


def _holding(schema: str, tables: tuple[str, ...], mode: str, longest: float) -> Doing:
    def do(database: Database, rng: random.Random, stop: threading.Event) -> int:
        struck = 0
        while not stop.wait(rng.uniform(0.02, 0.3)):
            table = rng.choice(tables)
            with (
                contextlib.suppress(pg.UndefinedTable, pg.InvalidSchemaName, pg.LockNotAvailable, pg.OperationalError),
                psycopg.connect(database.dsn, application_name="somebody else") as other,
            ):
                other.execute("set local lock_timeout = '500ms'")
                other.execute(f"lock table {ident(schema, table)} in {mode} mode")
                struck += 1
                stop.wait(rng.uniform(0.05, longest))
        return struck

    return do


def _deadlocking(ground: Ground, database: Database, rng: random.Random, stop: threading.Event) -> int:
    """Takes rows and tables of both sides in an order of its own; the server ends either it, or the tool's transaction."""
    struck = 0
    while not stop.wait(rng.uniform(0.2, 0.8)):
        names = [ident(ground.target, table) for table in rng.sample(ground.target_tables, 3)]
        names.insert(rng.randrange(4), "tenantry.quarantine")
        with (
            contextlib.suppress(pg.UndefinedTable, pg.InvalidSchemaName, pg.DeadlockDetected, pg.OperationalError),
            psycopg.connect(database.dsn, application_name="somebody else") as other,
        ):
            # It looks for a deadlock later than the tool's connections: so those are the ones that find it.
            other.execute("set local deadlock_timeout = '3s'")
            other.execute("set local lock_timeout = '4s'")
            for name in names:
                other.execute(f"lock table {name} in share row exclusive mode")
                struck += 1
                stop.wait(rng.uniform(0.02, 0.2))
    return struck


def _idling(ground: Ground, database: Database, rng: random.Random, stop: threading.Event) -> int:
    """Sessions of the application that have begun a transaction, have written, and do nothing; then they roll back."""
    struck = 0
    dsn = with_parameters(database.dsn, user=APP["source"])
    while not stop.wait(rng.uniform(0.05, 0.3)):
        with (
            contextlib.suppress(psycopg.OperationalError, pg.ReadOnlySqlTransaction),
            psycopg.connect(dsn, application_name="idle in transaction") as idle,
        ):
            idle.execute(ground.idle.encode())
            struck += 1
            stop.wait(rng.uniform(0.2, 1.6))
            idle.rollback()
    return struck


# -- settings --------------------------------------------------------------------------------------------------------------


def _timeouts(database: Database, rng: random.Random, stop: threading.Event) -> int:
    """Timeouts that a DBA has set for the migrator's role."""
    settings = {"statement_timeout": "250ms", "lock_timeout": "30ms", "idle_in_transaction_session_timeout": "300ms",
                "idle_session_timeout": "250ms"}  # fmt: skip
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        if admin.info.server_version >= 170000:
            settings["transaction_timeout"] = "600ms"
        owner = admin.execute(
            "select pg_get_userbyid(relowner) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' limit 1"
        ).fetchone()
        assert owner is not None
        where = f"alter role {ident(owner[0])} in database {ident(database.name)}"
        for name, value in settings.items():
            admin.execute(f"{where} set {name} = '{value}'")
    stop.wait()
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        admin.execute(f"{where} reset all")
    return len(settings)


def grow_log(database: Database, ground: Ground = CLINIC, *, rounds: int = 20) -> int:
    """Change every value of the source, many times over, while the tool does not run; how many rows were changed.

    The application must stand still: its rows' locks would be taken in another order.
    """
    changed = 0
    dsn = with_parameters(database.dsn, user=APP["source"])
    with psycopg.connect(dsn, autocommit=True, application_name="the application") as application:
        for number in range(rounds):
            changed += application.execute(ground.grow.encode(), [f"sheet {number}"]).rowcount
    return changed


def faults_on(ground: Ground) -> tuple[Fault, ...]:
    """What befalls a database with these tables."""
    return (
        Fault("tool's connections", "connections of the tool are ended, one by one", _terminating(TOOL, 4)),
        Fault(
            "application's connections", "connections of the application are ended", _terminating("the application", 6)
        ),
        Fault(
            "write locks on the source",
            "other sessions hold tables of the source as writers do",
            _holding("public", ground.source_tables, "row exclusive", 1.5),
        ),
        Fault(
            "exclusive locks on the source",
            "other sessions lock tables of the source against everybody",
            _holding("public", ground.source_tables, "access exclusive", 0.4),
            stalls=True,
        ),
        Fault(
            "locks on the target",
            "other sessions lock tables of the target against everybody",
            _holding(ground.target, ground.target_tables, "access exclusive", 1.2),
            stalls=True,
        ),
        Fault(
            "deadlocks",
            "another session locks tables of the target and of the journal in another order",
            partial(_deadlocking, ground),
        ),
        Fault(
            "idle transactions", "sessions have written, and are idle in their transaction", partial(_idling, ground)
        ),
        Fault("timeouts", "statement, lock, idle and transaction timeouts are set on the migrator's role", _timeouts),
    )


FAULTS = faults_on(CLINIC)

CRASH = Fault("server crash", "the server is stopped without a checkpoint, and started again", _crashing, stalls=True)


def wait_until_up(database: Database, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(database.dsn).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


__all__ = [
    "CLINIC",
    "CRASH",
    "FAULTS",
    "Fault",
    "Ground",
    "crash",
    "faults_on",
    "grow_log",
    "striking",
    "terminate",
    "wait_until_up",
]
