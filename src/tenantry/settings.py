"""One record of settings: flags first, then the environment, then the project's files."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tenantry.errors import SettingsError
from tenantry.postgres import EmbeddedServer, describe_dsn, normalise_dsn

DATA_FOLDER = ".tenantry"
_DEMO_MANIFEST = "demo-manifest"
"""File in the data folder that names the manifest of the demo whose database the embedded server holds."""
_DSN_VARIABLES = ("TENANTRY_DSN", "DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the database is, and which manifest is meant.

    Attributes:
        dsn: None: the embedded server.
        dsn_from: what said so, for messages.
        manifest: path, or None where no file was found.
        folder: the project's folder; the embedded server keeps its data in `.tenantry` there.
    """

    dsn: str | None
    dsn_from: str
    manifest: Path | None
    folder: Path

    @property
    def embedded(self) -> bool:
        return self.dsn is None

    def need_manifest(self) -> Path:
        """The manifest's path.

        Raises:
            SettingsError: there is none to be found.
        """
        if self.manifest is None:
            raise SettingsError(
                "There is no manifest in this folder.",
                hint="Give its path with --manifest or TENANTRY_MANIFEST, write tenantry.toml in this folder, or name it in"
                ' pyproject.toml: [tool.tenantry] manifest = "…". `tenantry demo` shows a complete one at work.',
            )
        return self.manifest


def read_settings(
    *, dsn: str | None = None, manifest: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings that hold here.

    Raises:
        SettingsError: a connection string or a file that cannot be read.
    """
    variables = os.environ if environment is None else environment
    folder = Path.cwd()
    dsn_from = "--dsn"
    if not dsn:
        dsn_from = "the embedded server"
        for name in _DSN_VARIABLES:
            if variables.get(name):
                dsn, dsn_from = variables[name], name
                break
    found = manifest
    if found is None and variables.get("TENANTRY_MANIFEST"):
        found = Path(variables["TENANTRY_MANIFEST"])
    if found is None and (folder / "tenantry.toml").exists():
        found = folder / "tenantry.toml"
    if found is None:
        found = _from_pyproject(folder)
    if found is None and not dsn:
        found = _from_demo(folder)
    if found is not None and found.is_absolute() and found.is_relative_to(folder):
        found = found.relative_to(folder)
    return Settings(normalise_dsn(dsn) if dsn else None, dsn_from, found, folder)


def _from_pyproject(folder: Path) -> Path | None:
    file = folder / "pyproject.toml"
    if not file.exists():
        return None
    try:
        section = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("tenantry", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file} cannot be read: {error}.", hint="Fix the file, or give the manifest with --manifest."
        ) from None
    return folder / section["manifest"] if "manifest" in section else None


def remember_demo(settings: Settings, manifest: Path) -> None:
    """Let further commands in this folder mean the demo's database, unless a manifest or a database is named."""
    if settings.embedded:
        file = settings.folder / DATA_FOLDER / _DEMO_MANIFEST
        file.parent.mkdir(exist_ok=True)
        file.write_text(str(manifest.absolute()), encoding="utf-8")


def _from_demo(folder: Path) -> Path | None:
    try:
        manifest = Path((folder / DATA_FOLDER / _DEMO_MANIFEST).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return manifest if manifest.is_file() else None


@contextmanager
def database(settings: Settings, name: str) -> Iterator[str]:
    """A connection string that leads somewhere: the given one, or a database `name` of the embedded server, which is
    started for as long as this lasts."""
    if settings.dsn is not None:
        yield settings.dsn
        return
    with EmbeddedServer(settings.folder / DATA_FOLDER) as server:
        ensure_database(server, name)
        yield server.dsn(name)


def ensure_database(server: EmbeddedServer, name: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def recreate_database(settings: Settings, name: str, mark: str) -> None:
    """An empty database of the embedded server, in place of an earlier one with this mark as its comment.

    Raises:
        SettingsError: there is a database of that name without the mark; it is left alone.
    """
    with database(settings, "postgres") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [name]
        ).fetchone()
        if row is not None and row[0] != mark:
            raise SettingsError(
                f"The embedded server has a database {name!r} that is not the demo's.",
                hint=f"Run the demo in another folder, or drop that database, or remove {DATA_FOLDER}/.",
            )
        if row is not None:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(name), sql.Literal(mark)))


def command() -> str:
    """How this program was called, for commands that people shall repeat: `.venv/bin/tenantry`, or just `tenantry`."""
    called = Path(sys.argv[0])
    if called.name != "tenantry":
        return "tenantry"
    on_path = shutil.which("tenantry")
    if on_path is not None and Path(on_path).resolve() == called.resolve():
        return "tenantry"
    with suppress(ValueError):
        return str(called.absolute().relative_to(Path.cwd()))
    return str(called)


def where(settings: Settings) -> str:
    """The database in words, without secrets."""
    if settings.dsn is None:
        return f"the embedded server in {DATA_FOLDER}/"
    return f"{describe_dsn(settings.dsn)} ({settings.dsn_from})"
