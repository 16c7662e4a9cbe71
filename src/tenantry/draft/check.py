"""Checks that a draft fits its database: creates the target in a transaction that is rolled back, and resolves the
manifest."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg

from tenantry.catalog import read_catalog
from tenantry.catalog.build import build_catalog
from tenantry.errors import RightsMissing, TargetNotOurs
from tenantry.manifest import load_manifest, target_files
from tenantry.mapping import Project, resolve
from tenantry.postgres import ident

_ACCOUNTS = "create schema if not exists auth; create table auth.users (id uuid primary key, email text)"


def project_of_files(connection: psycopg.Connection[Any], files: Mapping[str, str]) -> Project:
    """Resolve the project that the texts of a draft describe, as if they were in a folder. The database is unchanged
    afterwards."""
    with tempfile.TemporaryDirectory(prefix="tenantry-draft-") as folder:
        write_files(Path(folder), files)
        return project_of_folder(connection, Path(folder))


def project_of_folder(connection: psycopg.Connection[Any], folder: Path) -> Project:
    """Resolve the project of a folder that has a tenantry.toml.

    Raises:
        ManifestError, TargetFilesWrong: the draft, or an edit of it, does not fit the database.
        RightsMissing: the login may not create schemas, as on a standby.
        TargetNotOurs: the database already has a schema with the target's name.
    """
    manifest = load_manifest(folder / "tenantry.toml")
    schema = manifest.target.schema_name
    if connection.execute("select from pg_namespace where nspname = %s", [schema]).fetchone() is not None:
        raise TargetNotOurs(
            f"The database has a schema {ident(schema)} already.",
            hint="Name another: tenantry init --target-schema NAME.",
        )
    source = read_catalog(connection, manifest.source.schema_name)
    # The roles that the functions of schema auth are granted to may not exist yet; its table is enough for references.
    known = connection.execute("select to_regclass('auth.users') is not null").fetchone()
    before = () if known is not None and known[0] else (_ACCOUNTS,)
    try:
        target = build_catalog(connection, schema=schema, files=target_files(manifest), before=before)
    except pg.ReadOnlySqlTransaction:
        raise RightsMissing(
            "The database is read-only here, and the target has to be made once, in a transaction that is rolled back.",
            hint="Use the primary, and a login that may write. The survey needs neither.",
        ) from None
    return resolve(manifest, source, target)


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
