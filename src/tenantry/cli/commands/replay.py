"""tenantry replay: keep both sides synchronized."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import run_address
from tenantry.cli.following import keep_synchronized
from tenantry.cli.missing import MissingRows
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.cli.progress import Bars
from tenantry.cli.stopping import stoppable
from tenantry.report.terminal.switch import followed


@command(
    "tenantry replay",
    "tenantry replay --until-idle",
    section=HelpSection.SWITCH,
    exit_1="rows that applications have written are missing on the side that serves them",
)
def replay(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Stop as soon as no change is left to replay.")
    ] = False,
    prometheus: Annotated[
        Path | None,
        typer.Option(help="Keep this file up to date with metrics, for a node exporter.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep source and target synchronized until stopped with Ctrl-C: changes go to the target before the cut-over, to the source
    after it.

    Other commands (cutover, rollback, verify) can run meanwhile: replay pauses for them and resumes afterwards. Stopping it loses
    nothing: the database records every change, and the next replay applies it.
    """
    with run_address(dsn, manifest) as (address, loaded), Bars(err, quiet=as_json) as bars, stoppable() as stopped:
        done = keep_synchronized(address, loaded, bars, stopped, until_idle=until_idle, prometheus=prometheus)
        missing = MissingRows(address)
    if as_json:
        print_json({**asdict(done), **missing.to_json()})
    else:
        followed(out, done)
    missing.end()
