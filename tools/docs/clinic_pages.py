"""Clinic's pages: data dictionary, entity diagram, access matrix; from the catalog of an embedded server and the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from clinic.migration import MANIFEST
from clinic.migration.legacy import create_schema
from tenantry.access import matrix_markdown, roles_sql
from tenantry.catalog import dictionary_markdown, entity_diagram_mermaid
from tenantry.manifest import load_manifest
from tenantry.mapping import Project
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import EmbeddedServer, connect
from tools.docs import ROOT

FOLDER = Path("docs/clinic")
_NOTE = "<!-- Made by `make docs` from the catalog and the manifest; changes by hand are lost. -->\n\n"


def read_project(connection: psycopg.Connection[Any]) -> Project:
    """Clinic's manifest met with its target. The connection leads to an empty database whose user may create in it."""
    manifest = load_manifest(MANIFEST)
    create_schema(connection, manifest.source.schema_name)
    row = connection.execute("select current_user, current_database()").fetchone()
    assert row is not None
    connection.execute(roles_sql(manifest, owner=row[0], database=row[1]))
    return prepare(connection, manifest).project


def pages(project: Project) -> dict[str, str]:
    """The pages by file name."""
    diagram = entity_diagram_mermaid(project.target).strip()
    return {
        "data-dictionary.md": _NOTE + dictionary_markdown(project.target, title="Clinic: data dictionary"),
        "entities.md": f"{_NOTE}# Clinic: entities\n\n```mermaid\n{diagram}\n```\n",
        "access.md": _NOTE + matrix_markdown(project),
    }


def from_embedded_server() -> dict[str, str]:
    """The pages, read from a database that is made for this and dropped again."""
    with EmbeddedServer(ROOT / ".tenantry") as server:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("drop database if exists clinic_docs with (force)")
            admin.execute("create database clinic_docs")
        with connect(server.dsn("clinic_docs")) as connection:
            made = pages(read_project(connection))
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("drop database clinic_docs with (force)")
    return made
