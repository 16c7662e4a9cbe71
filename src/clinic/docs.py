"""Clinic's generated pages: data dictionary, entity diagram, access matrix. `python -m clinic.docs` writes them again; a test
keeps them current."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from clinic.legacy import create_schema
from tenantry.access import matrix_markdown, roles_sql
from tenantry.catalog import dictionary_markdown, entity_diagram_mermaid
from tenantry.manifest import load_manifest
from tenantry.mapping import Project
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import EmbeddedServer, connect

MANIFEST = Path(__file__).parent / "tenantry.toml"
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


def main() -> None:
    with EmbeddedServer(Path(".tenantry")) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("drop database if exists clinic_docs with (force)")
            admin.execute("create database clinic_docs")
        with connect(server.dsn("clinic_docs")) as connection:
            made = pages(read_project(connection))
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("drop database clinic_docs with (force)")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)  # noqa: T201 - what was written


if __name__ == "__main__":
    main()
