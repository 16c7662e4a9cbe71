"""A scratch database: schemas given as files are created there and read, and the database is dropped."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import errors as pg

from tenantry.catalog.build import place_of
from tenantry.errors import RightsMissing, SchemaFilesWrong
from tenantry.postgres import ident, with_parameters

_PREFIX = "tenantry_scratch_"
_META = re.compile(r"^\\(restrict|unrestrict|connect|encoding)\b.*$", re.MULTILINE)
_COPY = re.compile(r"^COPY .* FROM stdin;$", re.MULTILINE | re.IGNORECASE)
_SETTINGS = re.compile(r"^(SELECT pg_catalog\.set_config\('search_path'.*|SET transaction_timeout = .*)$", re.MULTILINE)


@contextmanager
def scratch_database(dsn: str, scripts: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the connection string of a new database on the same server, in which the scripts (name, text) have run.

    Raises:
        SchemaFilesWrong: a statement fails, with file, line and PostgreSQL's message.
        RightsMissing: the login may not create databases.
    """
    name = _PREFIX + secrets.token_hex(6)
    with psycopg.connect(with_parameters(dsn, dbname="postgres"), autocommit=True) as admin:
        try:
            admin.execute(f"create database {ident(name)} template template0".encode())
        except pg.InsufficientPrivilege:
            raise RightsMissing(
                "The login may not create databases, and files of a schema are tried in a scratch database.",
                hint="Use a login with CREATEDB, or give no database: then the embedded server is used.",
            ) from None
        try:
            made = with_parameters(dsn, dbname=name)
            with psycopg.connect(made, autocommit=True) as connection:
                for file, text in scripts:
                    _run(connection, file, text)
            yield made
        finally:
            admin.execute(f"drop database if exists {ident(name)} with (force)".encode())


def read_scripts(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Return SQL files, and those of folders at any depth in name order (as migrations are), as (name, text).

    Raises:
        SchemaFilesWrong: a file cannot be read, or contains rows for psql.
    """
    found = [file for path in paths for file in (sorted(path.rglob("*.sql")) if path.is_dir() else [path])]
    if not found:
        raise SchemaFilesWrong(
            f"There is no file *.sql in {', '.join(map(str, paths))}.",
            hint="Give the files, or the folder that they are in.",
        )
    scripts = []
    for file in found:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaFilesWrong(f"{file} cannot be read: {error}.", hint="Give a UTF-8 file with SQL.") from None
        copy = _COPY.search(text)
        if copy is not None:
            line = text.count("\n", 0, copy.start()) + 1
            raise SchemaFilesWrong(
                f"{file}:{line}: the file holds rows (COPY … FROM stdin).",
                hint="Dump the schema alone: pg_dump --schema-only.",
            )
        scripts.append((str(file), _SETTINGS.sub("", _META.sub("", text))))
    return scripts


_ORDER = "Files run in the order of their names, each in one transaction. Correct the file."
_EXTENSION = (
    "Operator classes such as gin_trgm_ops come with an extension. Read the database itself (--dsn without files), or leave the index out of a"
    " copy of the file: a draft has no such index."
)


def _run(connection: psycopg.Connection[tuple[object, ...]], file: str, text: str) -> None:
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        if error.diag.message_primary is None:
            raise
        where, line = place_of(error, file, text)
        raise SchemaFilesWrong(
            f"{where}: {error.diag.message_primary}",
            hint=error.diag.message_hint or (_EXTENSION if "operator class" in error.diag.message_primary else _ORDER),
            detail={"file": file, "line": line, "sqlstate": error.sqlstate},
        ) from None
