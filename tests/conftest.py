"""Servers for a test session, and a fresh database for each test.

The controller starts one server for each PostgreSQL version that has binaries here (18 and 16 from PyPI, 15 from the
system where it is installed); the xdist workers find them through the environment. Servers run without fsync: what is
tested is Tenantry, and a killed client, never a power cut.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tenantry.errors import EmbeddedServerFailed
from tenantry.postgres import EmbeddedServer
from tenantry.postgres.embedded import binaries

VERSIONS = (18, 16, 15)
SERVER_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "jit": "off",
    "shared_buffers": "'64MB'",
    "max_connections": "120",
    "max_wal_size": "'512MB'",
}
_FOLDER = "TENANTRY_TEST_SERVERS"
_MEMORY_FOR_SERVERS = 8 << 30
"""Bytes that must be free in /dev/shm for the servers' data to stand there; they take some hundred MB, and 2 GB of WAL at most."""
_OLD = 3600.0
"""Seconds after which a folder without a running server is nobody's."""
_serial = itertools.count()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests say with record_property("confusion", line): each check of the proof on what invites it, and on its twin."""
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    lines = {value for report in reports for key, value in getattr(report, "user_properties", ()) if key == "confusion"}
    if lines:
        terminalreporter.section("confusion table: check, lab, on the lab, on its mended twin")
        for line in sorted(lines):
            terminalreporter.write_line(line)


def available(version: int) -> bool:
    with contextlib.suppress(EmbeddedServerFailed):
        binaries(version)
        return True
    return False


def _place() -> str:
    """In memory where there is plenty of it: databases are copied twice as fast there, and hundreds of them are."""
    memory = Path("/dev/shm")  # noqa: S108 - the system's own, and the folder in it gets a name of its own
    with contextlib.suppress(OSError):
        if shutil.disk_usage(memory).free > _MEMORY_FOR_SERVERS and os.access(memory, os.W_OK | os.X_OK):
            return str(memory)
    return "/tmp"  # noqa: S108 - likewise


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def home_for_servers() -> Path:
    """A new folder for servers, after those were removed that killed runs left behind. Its path is short, since sockets have 107 bytes,
    and has room for every account: as root another one serves."""
    place = Path(_place())
    for left in place.glob("tt-*"):
        with contextlib.suppress(OSError):
            pids = [int(file.read_text().split("\n")[0]) for file in left.glob("**/postmaster.pid")]
            old = time.time() - left.stat().st_mtime > _OLD
            if old and not any(map(_lives, pids)):
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="tt-", dir=place))
    folder.chmod(0o755)
    return folder


def keep_bytecode() -> None:
    """Let the processes of tests keep what they compile, as Python does unless PYTHONDONTWRITEBYTECODE is set: from source a command
    takes more than twice as long to start."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    """Only the controller (or a run without xdist) makes the folder; it removes it at its end."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = folder = str(home_for_servers())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        keep_bytecode()
    # Plans and catalogs are large trees without cycles: Python's own thresholds have the collector look through all of them again and again.
    gc.set_threshold(100_000, 20, 20)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what runs in the background so, and the processes of tests, which are to be interrupted, would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("TENANTRY_DSN", "DATABASE_URL", "PGHOST", "PGUSER", "PGDATABASE", "PGPASSWORD"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[int, EmbeddedServer]]:
    """The running servers by major version, started when first asked for, shared by the workers."""
    started: dict[int, EmbeddedServer] = {}
    yield started
    for server in started.values():
        server.stop()


@dataclass(frozen=True)
class Database:
    """A fresh database that only this test knows."""

    server: EmbeddedServer
    name: str

    @property
    def version(self) -> int:
        return self.server.version

    @property
    def dsn(self) -> str:
        return self.dsn_as("postgres")

    def dsn_as(self, user: str) -> str:
        return self.server.dsn(self.name, user)

    def connect(self, autocommit: bool = True, user: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.dsn_as(user or "postgres"), autocommit=autocommit)


def running_server(servers: dict[int, EmbeddedServer], version: int) -> EmbeddedServer:
    if version not in servers:
        servers[version] = EmbeddedServer(Path(os.environ[_FOLDER]), version=version, settings=SERVER_SETTINGS).start()
    return servers[version]


@contextlib.contextmanager
def fresh_database(server: EmbeddedServer, template: str = "template0") -> Iterator[Database]:
    name = f"t_{os.getpid()}_{next(_serial)}"
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        yield Database(server, name)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def versions(*, every: bool = False) -> tuple[int, ...]:
    """The versions to test on, of those that are here: 15 is only the system's. The newest and the oldest show what differs; those
    between are tested by whole migrations (`every`), and everywhere with TENANTRY_TEST_EVERY_VERSION=1."""
    here = [version for version in VERSIONS if available(version)]
    if every or os.environ.get("TENANTRY_TEST_EVERY_VERSION") == "1":
        return tuple(here)
    return tuple(dict.fromkeys((here[0], here[-1])))


def version_parameters(*, every: bool = False) -> list[object]:
    return [pytest.param(version, id=f"pg{version}") for version in versions(every=every)]


@pytest.fixture
def database(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    """A fresh empty database on PostgreSQL 18."""
    with fresh_database(running_server(servers, 18)) as made:
        yield made


@pytest.fixture(params=version_parameters())
def database_each(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest) -> Iterator[Database]:
    """A fresh empty database, on the newest version and the oldest."""
    with fresh_database(running_server(servers, request.param)) as made:
        yield made
