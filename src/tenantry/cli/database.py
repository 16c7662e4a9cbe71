"""Connections of commands: from the settings to a database, with server errors as messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tenantry.errors import NoRun
from tenantry.manifest import Manifest, Named, load_manifest
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.postgres import connect, explain
from tenantry.settings import Settings, database, read_settings, where


@contextmanager
def connected(settings: Settings, manifest: Manifest | Named | None) -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    """A connection string and a connection; server errors become messages."""
    with database(settings, manifest.name if manifest else "postgres") as dsn, connect(dsn) as connection:
        try:
            yield dsn, connection
        except psycopg.Error as error:
            raise explain(error, f"working on {where(settings)}") from error


@contextmanager
def prepared_project(
    dsn: str | None, manifest: Path | None, *, only: str | None = None, names: bool = True
) -> Iterator[tuple[str, psycopg.Connection[Any], Prepared]]:
    """The manifest resolved against the database, with its plan and its run, if there is one."""
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (address, connection):
        yield address, connection, prepare(connection, loaded, only=only, names=names)


@contextmanager
def any_database(
    dsn: str | None, manifest: Path | None
) -> Iterator[tuple[str, psycopg.Connection[Any], Manifest | None]]:
    """For commands that need no manifest: one that is found names the embedded server's database, and its settings count."""
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    with connected(settings, loaded) as (address, connection):
        yield address, connection, loaded


@contextmanager
def run_address(dsn: str | None, manifest: Path | None) -> Iterator[tuple[str, Manifest]]:
    """For library calls that make their own connections: the address, once it was reached, and the manifest."""
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (address, connection):
        connection.close()
        yield address, loaded


def need_run(prepared: Prepared, hint: str = "`tenantry migrate` begins one.") -> None:
    """
    Raises:
        NoRun: the database has no run.
    """
    if prepared.run is None:
        raise NoRun("There is no run of Tenantry in this database yet.", hint=hint)
