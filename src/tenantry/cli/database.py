"""Connections of commands: from the settings to a database, with server errors as messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tenantry.catalog.scratch import read_scripts, scratch_database
from tenantry.errors import NoRun, SettingsError
from tenantry.manifest import Manifest, Named, load_manifest
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.postgres import connect, explain
from tenantry.prisma import prisma_sql, read_prisma
from tenantry.settings import Settings, database, read_settings, where

OWNER_DSN = "Give the owner's connection string with --dsn, TENANTRY_DSN or DATABASE_URL."


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
    """For commands that need no manifest: if one is found, it provides the embedded server's database and the settings."""
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    with connected(settings, loaded) as (address, connection):
        yield address, connection, loaded


@contextmanager
def accounts_database(dsn: str | None, manifest: Path | None) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the database with the accounts. Without a manifest, an embedded server has none, and is not started.

    Raises:
        SettingsError: neither a connection string nor a manifest is there.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    if settings.embedded and settings.manifest is None:
        raise SettingsError(
            "No connection string is given, so the database with the accounts is unknown.", hint=OWNER_DSN
        )
    with any_database(dsn, manifest) as (_, connection, _):
        yield connection


@contextmanager
def run_address(dsn: str | None, manifest: Path | None) -> Iterator[tuple[str, Manifest]]:
    """For library calls that open their own connections: provide the address, after a test connection, and the manifest."""
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


@contextmanager
def described(settings: Settings, prisma: Path | None, sql: Sequence[Path]) -> Iterator[psycopg.Connection[Any]]:
    """Connect to the database itself, or to a scratch database with a schema created from files."""
    if prisma is None and not sql:
        with connected(settings, None) as (_, connection):
            yield connection
        return
    scripts = [(str(prisma), prisma_sql(read_prisma(prisma)))] if prisma is not None else []
    scripts += read_scripts(sql) if sql else []
    with database(settings, "postgres") as dsn, scratch_database(dsn, scripts) as made, connect(made) as connection:
        try:
            yield connection
        except psycopg.Error as error:
            raise explain(error, "working on the scratch database") from error
