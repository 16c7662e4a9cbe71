"""Runs sql/hand_written.sql, as one session would, or with the indexes of large tables built by two."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from benchmarks.copying.ground import Connection, Ground
from clinic.platform.tokens import encrypt
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import connect

_FILE = Path(__file__).resolve().parents[1] / "sql" / "hand_written.sql"
_LEFT_OUT = {"expand.id_map", "expand.defer"}
"""Steps of Tenantry's own that the script does its own way, or has no use for."""


def blocks() -> dict[str, str]:
    """The script's blocks, in order."""
    pieces = re.split(r"^-- name: (\w+)\s*$", _FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def expand(ground: Ground, dsn: str) -> None:
    """The empty target beside the source, from the same files as Tenantry's; not measured for either."""
    connection = connect(dsn)
    try:
        for step in prepare(connection, ground.manifest).plan.phase("expand"):
            if step.id in _LEFT_OUT:
                continue
            with connection.transaction():
                for statement in step.sql:
                    connection.execute(statement.encode())
        connection.execute(
            "insert into tenantry.run (name, manifest_digest, manifest_path, source_schema, target_schema, tool_version,"
            " source_catalog, target_catalog) values ('by hand', '', '', 'public', 'clinic', '', '{}', '{}')"
        )
    finally:
        connection.close()


def run(ground: Ground, dsn: str, *, sessions: int = 1) -> float:
    """Seconds that the whole script takes on an expanded database."""
    expand(ground, dsn)
    script = blocks()
    connection = connect(dsn)
    connection.execute("set lock_timeout = 0")  # autovacuum gives way after a second, which is longer than the engine's
    begun = time.monotonic()
    try:
        for name, text in script.items():
            if not name.startswith("each_"):
                # psql sends statement by statement, so that each is a transaction of its own.
                for statement in _statements(text):
                    connection.execute(statement.encode())
            elif name == "each_index" and sessions > 1:
                _side_by_side(dsn, script["settings"], _yielded(connection, text), sessions)
            else:
                for statement in _yielded(connection, text):
                    connection.execute(statement.encode())
            if name == "clinics":
                _encrypt_tokens(connection)
        return time.monotonic() - begun
    finally:
        connection.close()


def _statements(text: str) -> list[str]:
    """The statements of a block: each ends with a semicolon at a line's end, outside of $$ … $$."""
    found, inside = [""], False
    for line in text.splitlines(keepends=True):
        found[-1] += line
        inside ^= line.count("$$") % 2 == 1
        if not inside and line.rstrip().endswith(";"):
            found.append("")
    return [statement for statement in found if statement.strip()]


def _yielded(connection: Connection, text: str) -> list[str]:
    return [str(row[0]) for row in connection.execute(text.encode())]


def _side_by_side(dsn: str, settings: str, statements: list[str], sessions: int) -> None:
    """Each session takes the next statement, without helpers: there are no more cores than sessions."""

    def work(statement: str) -> None:
        connection = free.pop()
        connection.execute(statement.encode())
        free.append(connection)

    free: list[Connection] = [psycopg.connect(dsn, autocommit=True) for _ in range(sessions)]
    try:
        for connection in free:
            connection.execute(settings.encode())
            connection.execute("set max_parallel_maintenance_workers = 0")
        # The widest first, so that no long one stands alone at the end.
        ordered = sorted(statements, key=lambda text: (" clinic.metric_values " not in text, -text.count(",")))
        with ThreadPoolExecutor(sessions) as pool:
            list(pool.map(work, ordered))
    finally:
        for connection in free:
            connection.close()


def _encrypt_tokens(connection: Connection) -> None:
    rows = connection.execute("select id, access_token, refresh_token from public.data_sources").fetchall()
    access = encrypt([row[1] for row in rows])
    refresh = iter(encrypt([row[2] for row in rows if row[2] is not None]))
    with connection.cursor() as cursor, cursor.copy("copy scratch.token from stdin") as pipe:
        for row, token in zip(rows, access, strict=True):
            pipe.write_row((row[0], token, None if row[2] is None else next(refresh)))
