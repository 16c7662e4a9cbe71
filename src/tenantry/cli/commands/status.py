"""tenantry status: how a run stands, once or all the time, for people, programs and monitoring."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from tenantry.cli.console import AsJson, Dsn, ManifestPath, connected, out, print_json
from tenantry.errors import NoRun
from tenantry.journal.journal import Connection
from tenantry.manifest import load_manifest
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.observe.prometheus import metrics_text, replace_file
from tenantry.migrate.observe.status import Status, read_status
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.report import terminal
from tenantry.settings import read_settings

_PAUSES = 3
"""Looks without a process that has the run, after which it counts as left alone: `tenantry replay` lets others in between."""


class Until(StrEnum):
    """What can be waited for."""

    READY = "ready"
    CUT_OVER = "cut-over"
    IDLE = "idle"
    ROLLED_BACK = "rolled-back"
    CONTRACTED = "contracted"


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(status)


def status(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until nobody works on the run.")
    ] = False,
    until: Annotated[
        Until | None,
        typer.Option(
            help="Watch until the run is ready, cut over, idle (copied, and nothing waits to be carried over), rolled back,"
            " or contracted.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 1.0,
    prometheus: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the figures for Prometheus into this file, at each look.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a run stands, from any terminal: how far, how fast, what is not carried over yet, what stands in the way.

    With --watch or --until it looks again every second; with --json that is one object a line. Exit code 0: the state that was
    waited for is reached, or the run goes on or is through; 1: it failed, was interrupted, its process died, or rows that
    applications have written are not on the side that serves them.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    limits = loaded.throttle if loaded is not None else Settings()
    watching = watch or until is not None
    with (
        connected(settings, loaded) as (address, connection),
        Throttle(address, limits, notice=lambda _: None, stopped=lambda: False) as throttle,
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
                # Looking was ended, not the run.
                raise typer.Exit(130) from None
    if now.stopped or now.missing:
        raise typer.Exit(1)


def _look(connection: Connection, before: Status | None, throttle: Throttle, until: Until | None) -> Status | None:
    """The run as it is; None where it was there before, and was taken back with its whole journal meanwhile.

    Raises:
        NoRun: there is none, or it was taken back while something else was waited for.
    """
    try:
        return read_status(connection, before=before, throttle=throttle)
    except NoRun:
        if before is not None and until in (None, Until.ROLLED_BACK):
            return None
        raise


class _Ended:
    """Whether there is nothing more to wait for."""

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
    """Whether the run is where somebody waits for it to be, or beyond that."""
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
    """How each look is shown: one object, an object a line, a picture that is renewed in its place, or a line each."""
    with ExitStack() as stack:
        if as_json and watching:
            yield lambda now: print(json.dumps(now.to_json(), default=str), flush=True)  # noqa: T201 - this is the output
        elif as_json:
            yield lambda now: print_json(now.to_json())
        elif watching and out.is_terminal:
            live = stack.enter_context(
                Live(Text(""), console=out, auto_refresh=False, screen=False, vertical_overflow="crop")
            )
            yield lambda now: live.update(terminal.status_view(now, everything=False), refresh=True)
        elif watching:
            yield lambda now: out.print(terminal.status_line(now), markup=False, soft_wrap=True)
        else:
            yield lambda now: terminal.status(out, now)
