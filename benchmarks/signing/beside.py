"""The sign-in server beside a Supabase Auth server: sign-ins, refreshes and the user behind a token, on the same database.

What counts is the processor time of the server's process, and of the database's, for each request: clients run on the same machine, and
other processes may. `bcrypt` is the time of checking one password, which no server can undercut. The other server is an executable that
is not part of the project; it takes the database over and gets the same requests afterwards.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import bcrypt
import psycopg

from benchmarks.copying.main import Figure
from tenantry.auth.handover import hand_over
from tenantry.auth.install.database import install_database
from tenantry.postgres import EmbeddedServer

PASSWORD = "an invented password"  # noqa: S105 - of accounts that live as long as the benchmark
_LOGIN = "signing_bench"
_SECRET = "a secret for benchmarks, of 32 bytes or more"  # noqa: S105 - and of nothing else
_THREADS = 4
_GOALS = {"sign-in": 0.9, "refresh": 0.5}
_TICK = os.sysconf("SC_CLK_TCK")


def figures(executable: str, *, quick: bool) -> list[Figure]:
    """Measure ours, then the Supabase Auth server of this executable."""
    size = Size(1_000, 10, 3.0) if quick else Size(100_000, 10, 15.0)
    limit = _bcrypt_milliseconds()
    folder = Path(tempfile.mkdtemp(prefix="ttb-", dir="/dev/shm" if Path("/dev/shm").exists() else None))  # noqa: S108
    folder.chmod(0o755)
    port = _free_port()
    settings = {"listen_addresses": "'127.0.0.1'", "port": str(port), "synchronous_commit": "off", "jit": "off"}
    server = EmbeddedServer(folder, settings=settings).start()
    try:
        base = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        with psycopg.connect(base, autocommit=True) as owner:
            install_database(owner, _LOGIN, None)
            _fill(owner, size)
        postmaster = int((server.data / "postmaster.pid").read_text().split("\n")[0])
        ours = _measured(size, base, postmaster, _serve_ours(base.replace("postgres@", f"{_LOGIN}@", 1)))
        found = _figures("ours", ours, limit)
        with psycopg.connect(base, autocommit=True) as owner:
            hand_over(owner)
        theirs = _measured(size, base, postmaster, _serve_beside(executable, f"{base}?search_path=auth"))
        found += _figures("beside", theirs, limit)
        return [*found, *(_ratio(kind, theirs[kind], each) for kind, each in ours.items())]
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Size:
    sessions: int
    tokens: int
    """Refresh tokens of each session."""
    seconds: float
    """How long each kind of request is measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds for each request: of processor time, and by the clock."""

    server: float
    database: float
    p50: float
    p99: float
    a_second: float


def _figures(name: str, measured: dict[str, Measured], bcrypt_limit: float) -> list[Figure]:
    made = [Figure("bcrypt, one check", round(bcrypt_limit, 1), "ms", None, None)] if name == "ours" else []
    for kind, each in measured.items():
        made.append(Figure(f"{name}: {kind}, server", round(each.server, 2), "ms of processor", None, None))
        made.append(Figure(f"{name}: {kind}, database", round(each.database, 2), "ms of processor", None, None))
        made.append(Figure(f"{name}: {kind}, by the clock", round(each.a_second), "a second", None, None))
        made.append(Figure(f"{name}: {kind}, p50", round(each.p50, 1), "ms", None, None))
        made.append(Figure(f"{name}: {kind}, p99", round(each.p99, 1), "ms", None, None))
    share = bcrypt_limit / (measured["sign-in"].server)
    return [*made, Figure(f"{name}: bcrypt's share of a sign-in", round(share, 2), "×", "≥ 0.9", share >= 0.9)]


def _ratio(kind: str, theirs: Measured, ours: Measured) -> Figure:
    """How many requests of a kind ours answers in the processor time in which the other answers one."""
    ratio = theirs.server / ours.server
    goal = _GOALS.get(kind)
    met = None if goal is None else ratio >= goal
    return Figure(
        f"{kind}: ours for each of the other's", round(ratio, 2), "×", None if goal is None else f"≥ {goal}", met
    )


def _bcrypt_milliseconds() -> float:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10))
    times = []
    for _ in range(8):
        before = time.thread_time()
        bcrypt.checkpw(PASSWORD.encode(), hashed)
        times.append(time.thread_time() - before)
    return min(times) * 1000


def _fill(owner: psycopg.Connection[Any], size: Size) -> None:
    """Make accounts with ten sessions each, and for each session a chain of refresh tokens; only the last is not used up."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    users = size.sessions // 10
    owner.execute("set session_replication_role = replica")  # no foreign key is checked row by row
    owner.execute(
        """
        insert into auth.users (id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data)
        select md5('u' || n)::uuid, 'authenticated', 'authenticated', 'person.' || n || '@bench.example', %s, now(),
               '{"provider": "email", "providers": ["email"]}', '{"email_verified": true}'
          from generate_series(1, %s) as n
        """,
        [hashed, users],
    )
    owner.execute(
        """
        insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
        select id::text, id, jsonb_build_object('sub', id, 'email', email), 'email', now(), now(), now() from auth.users
        """
    )
    owner.execute(
        """
        insert into auth.sessions (id, user_id, created_at, updated_at, aal)
        select md5('s' || n)::uuid, md5('u' || 1 + n %% %s)::uuid, now(), now(), 'aal1' from generate_series(1, %s) as n
        """,
        [users, size.sessions],
    )
    owner.execute(
        """
        insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
        select gen_random_uuid(), id, now(), now(), 'password' from auth.sessions
        """
    )
    owner.execute(
        """
        insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, parent, session_id)
        select left(md5('t' || n || '-' || t), 12), md5('u' || 1 + n %% %s), t < %s, now(), now(),
               case when t > 1 then left(md5('t' || n || '-' || t - 1), 12) end, md5('s' || n)::uuid
          from generate_series(1, %s) as n, generate_series(1, %s) as t
            on conflict do nothing
        """,
        [users, size.tokens, size.sessions, size.tokens],
    )
    owner.execute("analyze")


# -- servers --------------------------------------------------------------------------------------------------------------


def _settings(dsn: str, port: int) -> dict[str, str]:
    limits = ("TOKEN_REFRESH", "VERIFY", "OTP", "ANONYMOUS_USERS", "EMAIL_SENT")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GOTRUE_", "PG"))},
        "GOTRUE_DB_DRIVER": "postgres",
        "DATABASE_URL": dsn,
        "GOTRUE_DB_MAX_POOL_SIZE": "10",
        "GOTRUE_DB_MAX_IDLE_POOL_SIZE": "10",
        "API_EXTERNAL_URL": f"http://127.0.0.1:{port}",
        "GOTRUE_API_HOST": "127.0.0.1",
        "PORT": str(port),
        "GOTRUE_SITE_URL": "https://bench.example",
        "GOTRUE_JWT_SECRET": _SECRET,
        "GOTRUE_JWT_AUD": "authenticated",
        "GOTRUE_JWT_DEFAULT_GROUP_NAME": "authenticated",
        "GOTRUE_EXTERNAL_EMAIL_ENABLED": "true",
        "GOTRUE_LOG_LEVEL": "error",
        **{f"GOTRUE_RATE_LIMIT_{name}": "1000000000" for name in limits},
    }


def _serve_ours(dsn: str) -> Callable[[], Any]:
    return lambda: _process([sys.executable, "-m", "tenantry", "auth", "serve"], dsn)


def _serve_beside(executable: str, dsn: str) -> Callable[[], Any]:
    settings = _settings(dsn, 0)
    subprocess.run([executable, "migrate"], env=settings, check=True, stdout=subprocess.DEVNULL)
    return lambda: _process([executable, "serve"], dsn)


@contextmanager
def _process(command: list[str], dsn: str) -> Iterator[tuple[int, int]]:
    """Run a server; give its process id and port."""
    port = _free_port()
    # A file, not a pipe, which would fill up and stop the server.
    log = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(command, env=_settings(dsn, port), stdout=subprocess.DEVNULL, stderr=log)
    try:
        deadline = time.monotonic() + 90
        while True:
            if process.poll() is not None:
                log.seek(0)
                raise SystemExit(f"The server did not start:\n{log.read().decode(errors='replace')}")
            with suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            if time.monotonic() > deadline:
                raise SystemExit("The server does not answer.")
            time.sleep(0.1)
        yield process.pid, port
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        log.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


# -- measuring ------------------------------------------------------------------------------------------------------------


def _measured(size: Size, base: str, postmaster: int, serve: Callable[[], Any]) -> dict[str, Measured]:
    users = size.sessions // 10
    with psycopg.connect(base) as owner:
        rows = owner.execute(
            "select token from auth.refresh_tokens where not revoked order by random() limit %s", [_THREADS]
        ).fetchall()
    with serve() as (pid, port):
        clients = [Client(port, users, str(row[0])) for row in rows]
        kinds = {"sign-in": Client.sign_in, "refresh": Client.refresh, "user": Client.read_account}
        return {name: _rounds(kind, clients, size.seconds, pid, postmaster) for name, kind in kinds.items()}


class Client:
    """One connection that stays open, and the session that it renews."""

    def __init__(self, port: int, users: int, refresh_token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._users, self._refresh_token, self._token = users, refresh_token, ""

    def sign_in(self) -> None:
        email = f"person.{random.randint(1, self._users)}@bench.example"  # noqa: S311 - no secret
        self._call("POST", "/token?grant_type=password", {"email": email, "password": PASSWORD})

    def refresh(self) -> None:
        answer = self._call("POST", "/token?grant_type=refresh_token", {"refresh_token": self._refresh_token})
        self._refresh_token, self._token = answer["refresh_token"], answer["access_token"]

    def read_account(self) -> None:
        self._call("GET", "/user", None)

    def _call(self, method: str, path: str, body: dict[str, str] | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        read = response.read()
        if response.status != 200:
            raise SystemExit(f"{path}: {response.status} {read[:200]!r}")
        answer: dict[str, Any] = json.loads(read)
        return answer


def _rounds(
    kind: Callable[[Client], None], clients: list[Client], seconds: float, pid: int, postmaster: int
) -> Measured:
    for client in clients:
        kind(client)
    times: list[float] = []
    end = time.monotonic() + seconds
    server, database, begun = _used(pid), _used(postmaster), time.monotonic()

    def run(client: Client) -> None:
        while time.monotonic() < end:
            before = time.perf_counter()
            kind(client)
            times.append(time.perf_counter() - before)

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, count = time.monotonic() - begun, len(times)
    cuts = quantiles(times, n=100)
    return Measured(
        (_used(pid) - server) / count * 1000,
        (_used(postmaster) - database) / count * 1000,
        cuts[49] * 1000,
        cuts[98] * 1000,
        count / took,
    )


def _used(root: int) -> float:
    """Return the processor seconds of a process and of all below it."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
            # Its own, and that of children that ended: user and system.
            used[int(entry.name)] = sum(map(int, fields[11:15])) / _TICK
    total, left = 0.0, [root]
    while left:
        each = left.pop()
        total += used.get(each, 0.0)
        left += parents.get(each, [])
    return total
