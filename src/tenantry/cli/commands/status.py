"""tenantry status: the status of a run, once or continuously."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import out, print_json
from tenantry.cli.database import any_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.errors import NoRun
from tenantry.journal.journal import Connection
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.observe.prometheus import metrics_text, replace_file
from tenantry.migrate.observe.status import read_status
from tenantry.migrate.observe.values import Status
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.report.terminal import status as view

_PAUSES = 3
"""Number of refreshes without an active process after which the run counts as idle: `tenantry replay` pauses for other
commands."""


class Until(StrEnum):
    """States that --until can wait for."""

    READY = "ready"
    CUT_OVER = "cut-over"
    IDLE = "idle"
    ROLLED_BACK = "rolled-back"
    CONTRACTED = "contracted"


@command(
    "tenantry status --watch",
    "tenantry status --until ready",
    section=HelpSection.RUN,
    exit_1="the run failed, was interrupted or its process died, or rows that applications have written are missing on the side that"
    " serves them",
)
def status(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until no process works on the run any more.")] = False,
    until: Annotated[
        Until | None,
        typer.Option(
            help="Refresh until the run is ready, cut over, idle (copied, with no change left to replay), rolled back, or contracted.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[float, typer.Option(help="Seconds between two refreshes.", min=0.1)] = 1.0,
    prometheus: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write Prometheus metrics to this file, at each refresh.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a run stands, from any terminal: its progress and speed, changes that are not replayed yet, and what blocks it.

    With --watch or --until it refreshes every second; with --json too, it prints one object per line.
    """
    watching = watch or until is not None
    with (
        any_database(dsn, manifest) as (address, connection, loaded),
        Throttle(
            address, loaded.throttle if loaded else Settings(), notice=lambda _: None, stopped=lambda: False
        ) as throttle,
        _shown(watching, as_json) as show,
    ):
        now: Status | None = None
        ended = _Ended(until)
        while True:
            now = _look(connection, now, throttle, until)
            if now is None:
                return
            if prometheus is not None:
                replace_file(prometheus, metrics_text(now))
            show(now)
            if not watching or ended(now):
                break
            try:
                time.sleep(interval)
            except KeyboardInterrupt:
                # Watching was ended, not the run.
                raise typer.Exit(130) from None
    if now.stopped or now.missing:
        raise typer.Exit(1)


def _look(connection: Connection, before: Status | None, throttle: Throttle, until: Until | None) -> Status | None:
    """Return the current status of the run; None if its whole journal was rolled back since the last look.

    Raises:
        NoRun: there is no run, or it was rolled back while the command waited for something else.
    """
    try:
        return read_status(connection, before=before, throttle=throttle)
    except NoRun:
        if before is not None and until in (None, Until.ROLLED_BACK):
            return None
        raise


class _Ended:
    """Whether the wait is over."""

    def __init__(self, until: Until | None) -> None:
        self._until = until
        self._alone = 0
        self._worked = False

    def __call__(self, now: Status) -> bool:
        if self._until is not None and is_reached(self._until, now):
            return True
        if now.stopped:
            return True
        if self._until is not None:
            return False
        self._alone = 0 if now.working else self._alone + 1
        self._worked = self._worked or (now.working and now.status != "running")
        return self._alone >= (_PAUSES if self._worked else 1)


def is_reached(until: Until, now: Status) -> bool:
    """Whether the run has reached the requested state, or a later one."""
    match until:
        case Until.READY:
            return now.status in ("ready", "cut over", "contracted")
        case Until.CUT_OVER:
            return now.direction != "forward"
        case Until.IDLE:
            return now.status in ("ready", "cut over", "contracted") and now.lag_entries == 0
        case Until.ROLLED_BACK:
            back, over = now.rolled_back, now.cut_over
            return now.direction == "forward" and back is not None and over is not None and back.at >= over.at
    return now.status == "contracted"


@contextmanager
def _shown(watching: bool, as_json: bool) -> Iterator[Callable[[Status], None]]:
    """How each refresh is shown: one object, an object per line, a picture that is redrawn in place, or a line each."""
    with ExitStack() as stack:
        if as_json and watching:
            yield lambda now: print_json(now.to_json(), one_line=True)
        elif as_json:
            yield lambda now: print_json(now.to_json())
        elif watching and out.is_terminal:
            live = stack.enter_context(
                Live(Text(""), console=out, auto_refresh=False, screen=False, vertical_overflow="crop")
            )
            yield lambda now: live.update(view.status_view(now, everything=False), refresh=True)
        elif watching:
            yield lambda now: out.print(view.status_line(now), markup=False, soft_wrap=True)
        else:
            yield lambda now: view.status(out, now)
