"""tenantry resume: continue a paused run."""

from __future__ import annotations

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import out, print_json
from tenantry.cli.database import any_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.migrate.throttle import overrides


@command("tenantry resume", section=HelpSection.RUN)
def resume(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Resume a run that `tenantry pause` paused. A run that was stopped is resumed by `tenantry migrate`."""
    with any_database(dsn, manifest) as (_, connection, _loaded):
        was_paused = overrides.resume(connection)
    if as_json:
        print_json({"paused": False, "changed": was_paused})
    else:
        out.print("Resumed." if was_paused else "It was not paused.")
