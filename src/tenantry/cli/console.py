"""What the commands share: consoles, options, and connections whose errors are messages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console

from tenantry.manifest import Manifest, Named, load_manifest
from tenantry.migrate.session.prepare import Prepared, prepare
from tenantry.postgres import connect, explain
from tenantry.settings import Settings, database, read_settings, where

# Into a pipe or a file lines need not fit a screen.
_WIDE = 160
out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDE)

Dsn = Annotated[
    str | None, typer.Option("--dsn", help="Connection string: a URL, or key=value pairs.", show_default=False)
]
ManifestPath = Annotated[
    Path | None, typer.Option("--manifest", "-m", help="The manifest, tenantry.toml.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, max=32, help="Connections that work side by side.")]
Exceptions = Annotated[
    Path | None,
    typer.Option(help="File of exceptions.", show_default="tenantry-lint.toml beside the manifest, or in this folder"),
]
Baseline = Annotated[
    Path | None,
    typer.Option(help="Accept what this file holds: only what is new fails.", show_default=False, dir_okay=False),
]
WriteBaseline = Annotated[
    Path | None,
    typer.Option(
        "--write-baseline",
        help="Write what is found today to this file, for --baseline, and accept it.",
        show_default=False,
        dir_okay=False,
    ),
]
Junit = Annotated[
    Path | None, typer.Option(help="Also write JUnit XML to this file.", show_default=False, dir_okay=False)
]
Sarif = Annotated[
    Path | None, typer.Option(help="Also write SARIF 2.1.0 to this file.", show_default=False, dir_okay=False)
]


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
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (address, connection):
        yield address, connection, prepare(connection, loaded, only=only, names=names)


def print_json(data: object) -> None:
    print(json.dumps(data, indent=1, default=str))  # noqa: T201 - this is the output
