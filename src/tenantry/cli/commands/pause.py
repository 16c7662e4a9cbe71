"""tenantry pause: pause a run."""

from __future__ import annotations

import getpass
import socket
from typing import Annotated

import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import out, print_json
from tenantry.cli.database import any_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.migrate.throttle import overrides
from tenantry.migrate.throttle.limits import PAUSE


@command("tenantry pause --reason 'month-end closing'", section=HelpSection.RUN)
def pause(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    reason: Annotated[str, typer.Option(help="Reason, shown while the run is paused.", show_default=False)] = "",
    as_json: AsJson = False,
) -> None:
    """Pause the copy and replay of a run until `tenantry resume`; work that has begun is finished first.

    The run's process keeps waiting and changes keep being recorded: nothing is lost, but the change queue grows.
    """
    with any_database(dsn, manifest) as (_, connection, _loaded):
        first = overrides.pause(connection, by=f"{getpass.getuser()} on {socket.gethostname()}", reason=reason)
        since = overrides.stored_settings(connection)[PAUSE][1]
    if as_json:
        print_json({"paused": True, "changed": first, "since": since.isoformat()})
    elif first:
        out.print("Paused: a run starts no new work until `tenantry resume`.")
    else:
        out.print(f"Already paused, since {since:%Y-%m-%d %H:%M:%S} UTC.")
