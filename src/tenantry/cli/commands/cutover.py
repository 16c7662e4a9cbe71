"""tenantry cutover: switch applications over to the target."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import run_address
from tenantry.cli.missing import MissingRows
from tenantry.cli.options import AsJson, Dsn, ManifestPath, MaxWritePause, RetryFor, duration, moment
from tenantry.cli.progress import Bars
from tenantry.cli.stopping import stoppable
from tenantry.migrate.switch.cutover import When, cut_over
from tenantry.migrate.switch.switchover import Bounds
from tenantry.report.terminal import switch


@command(
    "tenantry cutover",
    "tenantry cutover --at 23:30 --dual-write 1h",
    section=HelpSection.SWITCH,
    exit_1="the cut-over failed and nothing was changed, or rows that applications have written are missing",
)
def cutover(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    max_write_pause: MaxWritePause = 1.0,
    retry_for: RetryFor = 120.0,
    at: Annotated[
        str | None, typer.Option("--at", help="Start time: 23:30, or 2030-01-31T23:30.", show_default=False)
    ] = None,
    when_idle: Annotated[
        bool, typer.Option("--when-idle", help="Start as soon as no one has written the source for 3 seconds.")
    ] = False,
    dual_write: Annotated[
        str | None,
        typer.Option(
            "--dual-write",
            help="Open a dual-write window of this length, such as 1h: the source stays writable, and changes are replayed in both"
            " directions. While a window is open: move its end.",
            show_default=False,
        ),
    ] = None,
    accept_quarantined: Annotated[
        bool,
        typer.Option(
            "--accept-quarantined",
            help="Leave behind the rows that went into quarantine after the run was declared ready; without this option they stop"
            " the cut-over.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Switch applications over to the target. The source is kept synchronized, and `tenantry rollback` goes back at any time.

    Writers of the source wait while the last changes are replayed and compared, never longer than --max-write-pause: an attempt that
    takes longer is rolled back and retried. From then on the source refuses writes, with a message that names the target.

    With a dual-write window the source stays writable until the window ends, or until `tenantry cutover` is run again. Rows that
    went into quarantine after the run was declared ready stop the cut-over (TN-417). Rerunning a cut-over that was done changes
    nothing.
    """
    given = When(at=moment(at) if at else None, idle=when_idle)
    allowed = duration(dual_write) if dual_write else None
    with run_address(dsn, manifest) as (address, loaded), Bars(err, quiet=as_json) as bars, stoppable() as stopped:
        done = cut_over(
            address,
            loaded,
            bounds=Bounds(max_write_pause, retry_for),
            when=replace(given, stopped=stopped),
            grace=allowed,
            accept_quarantined=accept_quarantined,
            observer=bars,
        )
        missing = MissingRows(address)
    if as_json:
        print_json({**asdict(done), **missing.to_json()})
    else:
        switch.cut_over(out, done)
    missing.end()
