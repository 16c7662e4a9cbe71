"""tenantry contract: complete the migration."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import run_address
from tenantry.cli.options import AsJson, Dsn, ManifestPath, Yes
from tenantry.cli.progress import Bars
from tenantry.errors import SettingsError
from tenantry.migrate.switch.contract import contract as complete
from tenantry.report.foreign_text import escape
from tenantry.report.terminal.switch import contracted


@command(
    "tenantry contract --archive source.dump",
    section=HelpSection.SWITCH,
    exit_1="the source is still in use; nothing was dropped",
)
def contract(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    archive: Annotated[
        Path | None, typer.Option(help="First archive the source schema to this file (pg_dump).", show_default=False)
    ] = None,
    watch_for: Annotated[
        float, typer.Option(help="Seconds for which to watch for readers of the source.", min=0.0)
    ] = 3.0,
    force: Annotated[bool, typer.Option("--force", help="Drop the source even if it is still read.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Complete the migration: drop the source tables and everything that a rollback needs. THIS CANNOT BE UNDONE.

    Refused while the source is in use: by views, foreign keys of other tables, sessions, or scans that the server's statistics
    count while it watches.
    """
    with run_address(dsn, manifest) as (address, loaded):
        if not yes:
            _ask(loaded.source.schema_name, archive)
        with Bars(err, quiet=as_json) as bars:
            done = complete(address, loaded, archive=archive, look=watch_for, force=force, observer=bars)
    if as_json:
        print_json(asdict(done))
    else:
        contracted(out, done)


def _ask(schema: str, archive: Path | None) -> None:
    """
    Raises:
        SettingsError: the typed text is not the schema's name.
    """
    undo = f"Only the archive {archive} will have them." if archive else "This cannot be undone."
    err.print(f"[bold red]This drops the source tables in schema {escape(schema)}. {escape(undo)}[/]")
    if typer.prompt("Type the name of the source schema to continue", err=True) != schema:
        raise SettingsError(
            "That is not the name of the source schema; nothing was changed.", hint="Rerun the command."
        )
