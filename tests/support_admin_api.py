"""A local server that speaks the admin API of Supabase Auth over a real schema auth, and can be made to fail in every way.

It stands for a hosted Supabase, which cannot run here. Answers, status and error codes are those of Supabase Auth 2.196.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from tenantry.accounts.user_json import read_user

KEY = "sb_secret_" + "k3y0fThe" + "Tests"
Fault = Literal[
    "ok", "limit", "limit with date", "limit bare", "error before", "error after", "drop before", "drop after", "slow"
]


@dataclass
class Hosted:
    """What the server was asked, and what it shall do wrong.

    Attributes:
        fault: from the number of the request (1 is the first), its method and path: what to do with it.
        watch: called with the number of each request when it was carried out and is not yet answered.
        slow: seconds of a slow answer.
        auto_confirm: addresses count as confirmed at sign-up.
    """

    url: str
    fault: Callable[[int, str, str], Fault] = lambda _number, _method, _path: "ok"
    watch: Callable[[int], None] = lambda _number: None
    slow: float = 0.5
    auto_confirm: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    arrivals: list[float] = field(default_factory=list)
    most_at_once: int = 0


class _Refusal(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@contextmanager
def hosted(dsn: str, *, key: str = KEY) -> Iterator[Hosted]:
    """The server on a free port, over the schema auth of a database."""
    with ConnectionPool(dsn, min_size=2, max_size=8, kwargs={"autocommit": True}, open=True) as pool:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        state = Hosted(f"http://127.0.0.1:{server.server_address[1]}")
        server.tenantry = (state, _Api(pool, state), key, threading.Lock(), [0, 0])  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def _handle(self) -> None:
        state, api, key, guard, numbers = self.server.tenantry  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with guard:
            numbers[0] += 1
            numbers[1] += 1
            number = numbers[0]
            state.most_at_once = max(state.most_at_once, numbers[1])
            state.arrivals.append(time.monotonic())
            path = urlsplit(self.path).path
            state.asked[f"{self.command} {re.sub('/[0-9a-f-]{36}', '/{id}', path)}"] += 1
            fault = state.fault(number, self.command, path)
            state.faults[fault] += 1
        try:
            self._carry_out(state, api, key, body, number, fault)
        finally:
            with guard:
                numbers[1] -= 1

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def _carry_out(self, state: Hosted, api: _Api, key: str, body: bytes, number: int, fault: Fault) -> None:
        if fault.startswith("limit"):
            wait = {
                "limit": {"Retry-After": "0"},
                "limit with date": {"Retry-After": f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT"},
                "limit bare": {},
            }[fault]
            self._refuse(429, "over_request_rate_limit", "Request rate limit reached", wait)
            return
        if fault == "error before":
            self._refuse(500, "unexpected_failure", "Internal Server Error")
            return
        if fault == "drop before":
            self.close_connection = True
            return
        try:
            self._check_key(key)
            status, answer, headers = api.answer(self.command, self.path, body)
        except _Refusal as refusal:
            status, answer, headers = refusal.status, None, {}
            said = (refusal.code, str(refusal))
        state.watch(number)
        if fault == "slow":
            time.sleep(state.slow)
        if fault == "drop after":
            self.close_connection = True
        elif fault == "error after":
            self._refuse(502, "", "Bad Gateway")
        elif answer is None:
            self._refuse(status, *said)
        else:
            self._send(status, answer, headers)

    def _check_key(self, key: str) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not given:
            raise _Refusal(401, "no_authorization", "This endpoint requires a Bearer token")
        if not hmac.compare_digest(given, key) or self.headers.get("apikey") != given:
            # As a careless gateway in front of it does.
            raise _Refusal(403, "bad_jwt", f"invalid JWT: unable to parse or verify signature of {given}")

    def _refuse(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        version = self.headers.get("X-Supabase-Api-Version")
        if version == "2024-01-01":
            body: dict[str, object] = {"code": code, "message": message}
            more = {"X-Supabase-Api-Version": version}
        else:
            body, more = {"code": status, "error_code": code, "msg": message}, {}
        self._send(status, body, {"x-sb-error-code": code, **more, **(headers or {})})

    def _send(self, status: int, answer: Any, headers: Mapping[str, str]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        # One packet: the headers are flushed together with the body.
        self._headers_buffer.append(b"\r\n" + data)  # type: ignore[attr-defined]
        self.flush_headers()


class _Api:
    """What is done with a request."""

    def __init__(self, pool: ConnectionPool[Any], state: Hosted) -> None:
        self._pool, self._state = pool, state

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(target)
        given = json.loads(body) if body else {}
        found = re.fullmatch(r"/auth/v1/admin/users/([^/]+)", parts.path)
        with self._pool.connection() as connection, connection.transaction():
            match method, parts.path:
                case "GET", "/auth/v1/admin/users":
                    return self._list(connection, parse_qs(parts.query))
                case "GET", "/auth/v1/settings":
                    return 200, {"mailer_autoconfirm": self._state.auto_confirm}, {}
                case "POST", "/auth/v1/admin/users":
                    return 200, self._create(connection, given), {}
                case "POST", "/auth/v1/invite":
                    return 200, self._invite(connection, given), {}
            if found is None:
                raise _Refusal(404, "", "page not found")
            try:
                user = UUID(found[1])
            except ValueError:
                raise _Refusal(404, "validation_failed", "user_id must be an UUID") from None
            before = read_user(connection, user)
            if before is None:
                raise _Refusal(404, "user_not_found", "User not found")
            if method == "PUT":
                self._update(connection, user, given)
            elif method == "DELETE":
                return 200, self._delete(connection, user, given), {}
            return 200, read_user(connection, user), {}

    def _list(
        self, connection: psycopg.Connection[Any], query: Mapping[str, list[str]]
    ) -> tuple[int, Any, dict[str, str]]:
        page, per_page = int(query.get("page", ["1"])[0]), int(query.get("per_page", ["50"])[0])
        part = f"%{query.get('filter', [''])[0]}%"
        row = connection.execute("select count(*) from auth.users where email like %s", [part]).fetchone()
        total = int(row[0]) if row is not None else 0
        ids = connection.execute(
            "select id from auth.users where email like %s order by created_at desc, id limit %s offset %s",
            [part, per_page, (page - 1) * per_page],
        ).fetchall()
        last = max(1, -(-total // per_page))
        links = [f'<{self._state.url}/admin/users?page={last}&per_page={per_page}>; rel="last"']
        if page < last:
            links.insert(0, f'<{self._state.url}/admin/users?page={page + 1}&per_page={per_page}>; rel="next"')
        users = [read_user(connection, user) for (user,) in ids]
        return 200, {"users": users, "aud": "authenticated"}, {"X-Total-Count": str(total), "Link": ", ".join(links)}

    def _create(self, connection: psycopg.Connection[Any], given: Mapping[str, Any]) -> Any:
        user, email = UUID(given.get("id") or str(uuid4())), str(given.get("email") or "").lower()
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
            raise _Refusal(400, "validation_failed", "Unable to validate email address: invalid format")
        if connection.execute("select from auth.users where email = %s and not is_sso_user", [email]).rowcount:
            raise _Refusal(422, "email_exists", "A user with this email address has already been registered")
        self._insert(connection, user, email, given.get("user_metadata") or {})
        self._update(connection, user, {name: value for name, value in given.items() if name not in ("id", "email")})
        return read_user(connection, user)

    def _insert(self, connection: psycopg.Connection[Any], user: UUID, email: str, data: Mapping[str, Any]) -> None:
        try:
            connection.execute(
                "insert into auth.users (id, email, raw_app_meta_data, raw_user_meta_data) values (%s, %s, %s, %s)",
                [user, email, Jsonb({"provider": "email", "providers": ["email"]}), Jsonb(dict(data))],
            )
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name == "users_email_partial_key":
                raise _Refusal(
                    422, "email_exists", "A user with this email address has already been registered"
                ) from None
            raise _Refusal(500, "unexpected_failure", "Database error creating new user") from None
        connection.execute(
            "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)"
            " values (%s, %s, %s, 'email', now(), now())",
            [
                str(user),
                user,
                Jsonb({"sub": str(user), "email": email, "email_verified": False, "phone_verified": False}),
            ],
        )

    def _update(self, connection: psycopg.Connection[Any], user: UUID, given: Mapping[str, Any]) -> None:
        sets: dict[str, Any] = {}
        if given.get("email"):
            email = str(given["email"]).lower()
            if connection.execute("select from auth.users where email = %s and id <> %s", [email, user]).rowcount:
                raise _Refusal(422, "email_exists", "A user with this email address has already been registered")
            sets["email"] = email
        if given.get("password_hash"):
            sets["encrypted_password"] = given["password_hash"]
        if given.get("role"):
            sets["role"] = given["role"]
        if given.get("ban_duration"):
            sets["banned_until"] = _until(given["ban_duration"])
        if given.get("email_confirm"):
            sets["email_confirmed_at"] = datetime.now(UTC)
        for name, value in sets.items():
            connection.execute(
                f"update auth.users set {name} = %s, updated_at = now() where id = %s".encode(), [value, user]
            )
        for column, name in (("raw_app_meta_data", "app_metadata"), ("raw_user_meta_data", "user_metadata")):
            if given.get(name):
                connection.execute(
                    f"update auth.users set {column} = {column} || %s where id = %s".encode(),
                    [Jsonb(given[name]), user],
                )

    def _invite(self, connection: psycopg.Connection[Any], given: Mapping[str, Any]) -> Any:
        email = str(given.get("email") or "").lower()
        row = connection.execute("select id, email_confirmed_at from auth.users where email = %s", [email]).fetchone()
        if row is not None and row[1] is not None:
            raise _Refusal(422, "email_exists", "A user with this email address has already been registered")
        user = row[0] if row is not None else uuid4()
        if row is None:
            self._insert(connection, user, email, given.get("data") or {})
        connection.execute(
            "update auth.users set invited_at = now(), confirmation_sent_at = now(), confirmation_token = %s where id = %s",
            [secrets.token_hex(28), user],
        )
        self._state.mails[email] += 1
        return read_user(connection, user)

    def _delete(self, connection: psycopg.Connection[Any], user: UUID, given: Mapping[str, Any]) -> Any:
        if given.get("should_soft_delete"):
            connection.execute("update auth.users set deleted_at = now(), email = md5(email) where id = %s", [user])
        else:
            connection.execute("delete from auth.users where id = %s", [user])
        return {}


def _until(duration: str) -> datetime | None:
    if duration == "none":
        return None
    found = re.fullmatch(r"(\d+)h", duration)
    if found is None:
        raise _Refusal(400, "validation_failed", f"Invalid format for ban duration: {duration}")
    return datetime.now(UTC) + timedelta(hours=int(found[1]))
