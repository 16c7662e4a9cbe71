"""Progress bars with rate and remaining time, on stderr; plain lines if stderr is not a terminal."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tenantry.plan import Phase, Step
from tenantry.report.foreign_text import escape


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="dim")


class Bars:
    """An observer of migrations, and a plain way to show other long work."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._live = console.is_terminal and not quiet
        self._guard = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._phase: tuple[Phase, TaskID, float] | None = None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self._live,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_phase(done=error is None)
        self._progress.stop()

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False)

    def _end_phase(self, *, done: bool = True) -> None:
        if self._phase is None:
            return
        phase, task, begun = self._phase
        self._progress.remove_task(task)
        self._phase = None
        if done:
            self._say(f"[green]✓[/] {phase:<9} [dim]{time.monotonic() - begun:6.1f} s[/]")

    # -- Observer ----------------------------------------------------------------------------------------------------

    def phase(self, phase: Phase, *, rows: int, steps: int) -> None:
        del rows
        with self._guard:
            self._end_phase()
            task = self._progress.add_task(f"[bold]{phase}[/]", total=max(steps, 1))
            self._phase = (phase, task, time.monotonic())

    def started(self, step: Step, *, rows: int, done_rows: int) -> None:
        if rows < 1000:
            return
        with self._guard:
            self._tasks[step.id] = self._progress.add_task(escape(step.title), total=rows, completed=done_rows)

    def progress(self, step: Step, rows: int) -> None:
        with self._guard:
            if step.id in self._tasks:
                self._progress.advance(self._tasks[step.id], rows)

    def finished(self, step: Step, *, seconds: float, rows: int | None) -> None:
        with self._guard:
            if self._phase is not None:
                self._progress.advance(self._phase[1], 1)
            if step.kind == "cut over":
                self._end_phase()
            task = self._tasks.pop(step.id, None)
            if task is not None:
                self._progress.remove_task(task)
                if not self._live and seconds >= 1:
                    counted = f", {rows:,} rows" if rows is not None else ""
                    self._say(f"  {escape(step.title)} [dim]({seconds:.1f} s{counted})[/]")

    def line(self, text: str) -> None:
        """One line that the next one replaces; nothing if stderr is not a terminal."""
        if not self._live:
            return
        with self._guard:
            if "line" not in self._tasks:
                self._tasks["line"] = self._progress.add_task(escape(text), total=None)
            self._progress.update(self._tasks["line"], description=escape(text))

    def notice(self, message: str) -> None:
        self._say(f"[dim]{escape(message)}[/]")

    # -- other work ----------------------------------------------------------------------------------------------------

    def count(self, name: str, done: int, total: int) -> None:
        """Progress of work outside a plan: `done` of `total`, under a label."""
        with self._guard:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(escape(name), total=max(total, 1))
            self._progress.update(self._tasks[name], completed=done, total=max(total, 1))
            if done >= total:
                self._progress.remove_task(self._tasks.pop(name))
