"""The manifest and the live target, read once for many blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from tenantry.catalog import read_catalog
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import Project
from tenantry.mapping.check_access import resolve_access
from tenantry.postgres import connect
from tenantry.testing.callers import Where


def read_project(where: Where, manifest: Manifest | Path | str) -> Project:
    """Read the manifest and the live target once, for many blocks.

    Raises:
        ManifestError, SchemaMissing: the manifest does not fit the database.
    """
    if isinstance(where, str):
        with connect(where, name="tenantry testing") as connection:
            return read_project(connection, manifest)
    loaded = manifest if isinstance(manifest, Manifest) else load_manifest(Path(manifest))
    with tuples(where):
        return resolve_access(loaded, read_catalog(where, loaded.target.schema_name))


@contextmanager
def tuples(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Fetch rows as tuples, regardless of the connection's row factory."""
    before = connection.row_factory
    connection.row_factory = tuple_row
    try:
        yield
    finally:
        connection.row_factory = before


__all__ = ["read_project", "tuples"]
