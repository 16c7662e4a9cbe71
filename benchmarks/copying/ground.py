"""A server of the benchmark's own, and as many copies of one legacy database as it needs."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from clinic import migration
from clinic.migration.legacy import create_schema, load
from tenantry.access import roles_sql
from tenantry.manifest import Manifest, load_manifest
from tenantry.postgres import EmbeddedServer, connect

Connection = psycopg.Connection[tuple[Any, ...]]

MANIFEST = migration.MANIFEST
_TEMPLATE = "legacy"


def say(text: str) -> None:
    """Progress goes to stderr: stdout is for the figures."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Ground:
    """A running server with the legacy database in it."""

    server: EmbeddedServer
    manifest: Manifest

    def fresh(self, name: str) -> str:
        """A new database with the legacy data, in place of one of this name; its address."""
        with psycopg.connect(self.server.dsn(), autocommit=True) as main:
            main.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
            main.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(_TEMPLATE)
                )
            )
        dsn = self.server.dsn(name)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(roles_sql(self.manifest, owner="postgres", database=name).encode())
            connection.execute("checkpoint")
        return dsn

    def drop(self, name: str) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as main:
            main.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextmanager
def ground(version: int, values: int) -> Iterator[Ground]:
    """A fresh server in a temporary folder, with `values` metric values; gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="tenantry-copy-") as folder,
        EmbeddedServer(_open_to_all(Path(folder)), version=version) as server,
    ):
        with psycopg.connect(server.dsn(), autocommit=True) as main:
            main.execute(sql.SQL("create database {}").format(sql.Identifier(_TEMPLATE)))
        say(f"PostgreSQL {version}: making a legacy database with {values:,} metric values …")
        begun = time.monotonic()
        connection = connect(server.dsn(_TEMPLATE))
        try:
            create_schema(connection, "public")
            load(connection, values=values)
            connection.execute("vacuum (analyze)")
            connection.execute("checkpoint")
        finally:
            connection.close()
        say(f"  {time.monotonic() - begun:.0f} s")
        yield Ground(server, load_manifest(MANIFEST))


def _open_to_all(folder: Path) -> Path:
    """As root the server runs under another account, which must be able to pass through."""
    folder.chmod(0o755)
    return folder
