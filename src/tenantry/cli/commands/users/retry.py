"""tenantry users retry: retry open account events."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tenantry.accounts.events import need_events, retry_events
from tenantry.cli.command import command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import any_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath


@command("tenantry users retry --all", exit_1="events are still open")
def retry(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[bool, typer.Option("--all", help="Also events whose next try is not due yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Retry account events that could not be synchronized.

    Events that wait for the admin API of Supabase Auth are done when the account shows the change.
    """
    with any_database(dsn, manifest) as (_, connection, _loaded):
        need_events(connection)
        done = retry_events(connection, everything=everything)
    if as_json:
        print_json(asdict(done))
    else:
        out.print(f"{done.tried:,} retried: {done.done:,} done, {done.open:,} still open.")
        if done.open:
            err.print("`tenantry users events` lists them, with the reasons.")
    if done.open:
        raise typer.Exit(1)
