"""tenantry catalog: a schema as Tenantry reads it."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.access import matrix_markdown
from tenantry.catalog import dictionary_markdown, entity_diagram_mermaid
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import print_json, print_text
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath


@command("tenantry catalog --side source", "tenantry catalog --dictionary > dictionary.md", section=HelpSection.BEFORE)
def catalog(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    side: Annotated[str, typer.Option(help="source or target.")] = "target",
    dictionary: Annotated[bool, typer.Option("--dictionary", help="Print a data dictionary in Markdown.")] = False,
    diagram: Annotated[bool, typer.Option("--diagram", help="Print an entity diagram in Mermaid.")] = False,
    matrix: Annotated[bool, typer.Option("--matrix", help="Print the access matrix in Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a schema as Tenantry reads it: as JSON (the default), data dictionary, entity diagram or access matrix."""
    if side not in ("source", "target"):
        raise typer.BadParameter("must be source or target", param_hint="--side")
    if as_json and (dictionary or diagram or matrix):
        raise typer.BadParameter("excludes --dictionary, --diagram and --matrix", param_hint="--json")
    with prepared_project(dsn, manifest) as (_, _connection, prepared):
        read = prepared.project.target if side == "target" else prepared.project.source
        if dictionary:
            print_text(dictionary_markdown(read, title=f"Data dictionary of schema {read.schema}"))
        elif diagram:
            print_text(entity_diagram_mermaid(read))
        elif matrix:
            print_text(matrix_markdown(prepared.project))
        else:
            print_json(read.to_json())
