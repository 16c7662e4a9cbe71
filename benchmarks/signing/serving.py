"""The sign-in server over HTTP: sign-ins against the bcrypt limit of the cores, refreshes, and the user behind a token.

The server runs as `tenantry auth serve` does, in a process of its own, on a database with many sessions; the client is this process, on
kept-alive connections. Both and PostgreSQL share the machine's cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from hashlib import md5
from pathlib import Path
from typing import Any

import bcrypt
import psycopg

from benchmarks.copying.main import Figure
from tenantry.auth.install.database import install_database
from tenantry.auth.keys import create_keys
from tenantry.postgres import EmbeddedServer

LOGIN, PASSWORD = "tenantry_auth_server", "correct horse battery staple"
CLIENTS = 16

_FILL = """
insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
                        created_at, updated_at)
select '00000000-0000-0000-0000-000000000000', md5('user ' || n)::uuid, 'authenticated', 'authenticated', 'user' || n || '@example.org',
       %(hash)s, now(), '{"provider": "email", "providers": ["email"]}', '{"email_verified": true}', now(), now()
  from generate_series(1, %(users)s) as n;
insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
select gen_random_uuid(), id::text, id, jsonb_build_object('sub', id, 'email', email), 'email', now(), now() from auth.users;
insert into auth.sessions (id, user_id, created_at, updated_at, aal)
select md5('session ' || n)::uuid, md5('user ' || 1 + n %% %(users)s)::uuid, now(), now(), 'aal1' from generate_series(1, %(sessions)s) as n;
insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
select gen_random_uuid(), id, now(), now(), 'password' from auth.sessions;
insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
select '00000000-0000-0000-0000-000000000000', substr(md5('token ' || n || ' ' || m), 1, 12),
       md5('user ' || 1 + n %% %(users)s)::uuid::text, m < %(each)s, now() - interval '1 hour',
       now() - interval '1 hour', case when m > 1 then substr(md5('token ' || n || ' ' || m - 1), 1, 12) end,
       md5('session ' || n)::uuid
  from generate_series(1, %(sessions)s) as n, generate_series(1, %(each)s) as m;
analyze;
"""


def figures(*, quick: bool) -> list[Figure]:
    users, sessions = (200, 1_000) if quick else (10_000, 100_000)
    seconds = 2.0 if quick else 15.0
    with tempfile.TemporaryDirectory(prefix="tenantry-sign-in-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedServer(folder, settings={"shared_buffers": "256MB"}) as server:
            return _measured(server.dsn(), folder, users, sessions, seconds)


def _measured(postgres: str, folder: Path, users: int, sessions: int, seconds: float) -> list[Figure]:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    with psycopg.connect(postgres, autocommit=True) as owner:
        install_database(owner, LOGIN, None)
        filling = {"hash": hashed, "users": users, "sessions": sessions, "each": 10}
        psycopg.ClientCursor(owner).execute(_FILL, filling)
    with serving(postgres, folder) as port:
        limit = _bcrypt_limit(hashed, seconds / 3)
        signed_in = asyncio.run(_signing_in(port, users, seconds))
        refreshed, times = asyncio.run(_refreshing(port, sessions, seconds))
        asked, asked_times = asyncio.run(_asking(port, users, seconds))
    return [
        Figure("sign-ins a second", round(signed_in, 1), "1/s", None, None),
        Figure(
            "sign-ins, of the bcrypt limit of the cores",
            round(signed_in / limit, 2),
            "ratio",
            "≥ 0.9",
            signed_in / limit >= 0.9,
        ),
        Figure("refreshes a second", round(refreshed), "1/s", None, None),
        *_percentiles("refresh", times),
        Figure("GET /user a second", round(asked), "1/s", None, None),
        *_percentiles("GET /user", asked_times),
    ]


def _percentiles(name: str, times: list[float]) -> list[Figure]:
    ordered = sorted(times)
    return [
        Figure(
            f"{name}, p{share}",
            round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1000, 1),
            "ms",
            None,
            None,
        )
        for share in (50, 99)
    ]


@contextmanager
def serving(dsn: str, folder: Path) -> Iterator[int]:
    """Serve in a process of its own, with limits that do not count; return the port."""
    keys = folder / "keys.json"
    create_keys(keys)
    environment = {
        **os.environ,
        "DATABASE_URL": psycopg.conninfo.make_conninfo(dsn, user=LOGIN),
        "GOTRUE_JWT_KEYS_FILE": str(keys),
        "GOTRUE_MAILER_AUTOCONFIRM": "true",
        "GOTRUE_API_MAX_REQUEST_DURATION": "120s",
        **{f"GOTRUE_RATE_LIMIT_{name}": "100000000" for name in ("TOKEN_REFRESH", "VERIFY", "OTP")},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tenantry", "auth", "serve", "--port", "0", "--json"],
        env=environment, stdout=subprocess.PIPE, cwd=folder,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line.decode()
            if line == b"}\n":
                break
        yield int(json.loads(text)["port"])
    finally:
        process.terminate()
        process.wait(30)


def _bcrypt_limit(hashed: str, seconds: float) -> float:
    """Return how many passwords a second all cores check, when nothing else runs."""
    cores = os.cpu_count() or 1
    until = time.perf_counter() + seconds

    def work(_: int) -> int:
        done = 0
        while time.perf_counter() < until:
            bcrypt.checkpw(PASSWORD.encode(), hashed.encode())
            done += 1
        return done

    begun = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        done = sum(pool.map(work, range(cores)))
    return done / (time.perf_counter() - begun)


class Line:
    """One kept-alive HTTP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        self.writer.write(head.encode() + b"\r\n" + content)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        read = await self.reader.readexactly(length)
        assert status == 200, (status, read)
        return json.loads(read)


@asynccontextmanager
async def _line(port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


async def _load(
    port: int, seconds: float, one: Callable[[Line, int, int], Awaitable[None]]
) -> tuple[float, list[float]]:
    """Call from CLIENTS connections for a time; return calls a second, and how long each took."""
    times: list[float] = []
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        async with _line(port) as line:
            turn = 0
            while time.perf_counter() < until:
                begun = time.perf_counter()
                await one(line, number, turn)
                times.append(time.perf_counter() - begun)
                turn += 1

    begun = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return len(times) / (time.perf_counter() - begun), times


async def _signing_in(port: int, users: int, seconds: float) -> float:
    async def one(line: Line, number: int, turn: int) -> None:
        email = f"user{1 + (number + turn * CLIENTS) % users}@example.org"
        await line.call("POST", "/token?grant_type=password", {"email": email, "password": PASSWORD})

    return (await _load(port, seconds, one))[0]


async def _refreshing(port: int, sessions: int, seconds: float) -> tuple[float, list[float]]:
    # Each client goes on with its own session, as a browser does.
    held = {
        n: md5(f"token {1 + n * (sessions // CLIENTS)} 10".encode(), usedforsecurity=False).hexdigest()[:12]
        for n in range(CLIENTS)
    }

    async def one(line: Line, number: int, _turn: int) -> None:
        answer = await line.call("POST", "/token?grant_type=refresh_token", {"refresh_token": held[number]})
        held[number] = answer["refresh_token"]

    return await _load(port, seconds, one)


async def _asking(port: int, users: int, seconds: float) -> tuple[float, list[float]]:
    async with _line(port) as line:
        body = {"email": f"user{users}@example.org", "password": PASSWORD}
        token = (await line.call("POST", "/token?grant_type=password", body))["access_token"]

    async def one(line: Line, _number: int, _turn: int) -> None:
        await line.call("GET", "/user", token=token)

    return await _load(port, seconds, one)


__all__ = ["figures", "serving"]
