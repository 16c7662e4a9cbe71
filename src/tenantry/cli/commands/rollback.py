"""tenantry rollback: back to the source, or to the state before the run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import confirmed, err, out, print_json, print_text
from tenantry.cli.database import run_address
from tenantry.cli.missing import MissingRows
from tenantry.cli.options import AsJson, Dsn, ManifestPath, MaxWritePause, RetryFor, Yes
from tenantry.cli.progress import Bars
from tenantry.cli.stopping import stoppable
from tenantry.journal.journal import Journal, last_run
from tenantry.manifest import Manifest
from tenantry.migrate.session.prepare import prepare
from tenantry.migrate.switch.rollback import roll_back, undo_script
from tenantry.migrate.switch.switchover import Bounds
from tenantry.postgres import connect
from tenantry.report.terminal.switch import rolled_back


@command(
    "tenantry rollback",
    "tenantry rollback --everything",
    section=HelpSection.SWITCH,
    exit_1="the rollback failed or was declined and nothing was changed, the run was never cut over, or rows that applications have"
    " written are missing",
)
def rollback(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[
        bool,
        typer.Option("--everything", help="Undo the whole run, in every phase: back to the state before it."),
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL that would be run, and change nothing.")] = False,
    max_write_pause: MaxWritePause = 1.0,
    retry_for: RetryFor = 120.0,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Go back, without losing a write.

    Without --everything: undo the cut-over. What was written in the target since is replayed into the source and compared, and
    applications write the source again. The target is kept synchronized and can be cut over again. Rerunning it changes nothing.

    With --everything: undo the whole run, in any phase. After a cut-over it first switches back. Then the steps are undone in
    reverse order, until the database is as it was before the run. If it is interrupted, rerun it to resume.
    """
    with run_address(dsn, manifest) as (address, loaded):
        if sql:
            print_text(_script(address, loaded, everything))
            return
        with Bars(err, quiet=as_json) as bars, stoppable() as stopped:
            if everything and not yes and not _agreed(address):
                raise typer.Exit(1)
            done = roll_back(
                address,
                loaded,
                bounds=Bounds(max_write_pause, retry_for),
                everything=everything,
                patience=retry_for,
                observer=bars,
                stopped=stopped,
            )
        missing = MissingRows(address)
    if as_json:
        print_json({**asdict(done), **missing.to_json()})
    else:
        rolled_back(out, done)
    missing.end()


def _agreed(address: str) -> bool:
    with connect(address) as connection:
        run = last_run(connection)
    return run is None or confirmed(
        f"Undo run {run.id}, and drop schema {run.target_schema}?",
        otherwise=f"This would undo run {run.id} and drop schema {run.target_schema}, and no terminal is there to confirm it.",
        hint="Confirm it with --yes.",
    )


def _script(address: str, loaded: Manifest, everything: bool) -> str:
    with connect(address) as connection:
        prepared = prepare(connection, loaded)
        if prepared.run is None:
            return "-- There is no run to roll back."
        done = Journal(prepared.run.id).done_steps(connection)
    return undo_script(prepared.plan, done, prepared.run.direction, everything=everything)
