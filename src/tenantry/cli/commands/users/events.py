"""tenantry users events: open account events."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.accounts.events import list_events, need_events
from tenantry.cli.command import command
from tenantry.cli.console import out, print_json
from tenantry.cli.database import any_database
from tenantry.cli.options import AsJson, Dsn, Limit, ManifestPath
from tenantry.report.terminal import users as view


@command("tenantry users events --all")
def events(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[bool, typer.Option("--all", help="Also events that are done.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List account events that could not be synchronized yet, and those that wait for the admin API of Supabase Auth."""
    with any_database(dsn, manifest) as (_, connection, _loaded):
        need_events(connection)
        remaining, found = list_events(connection, everything=everything, limit=limit or None)
    if as_json:
        print_json({"open": remaining, "events": found})
    else:
        view.events(out, found, remaining)
