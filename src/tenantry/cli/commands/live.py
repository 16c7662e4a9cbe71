"""tenantry cutover, replay, rollback, contract, verify: a run whose copy is done."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.markup import escape

from tenantry.cli.console import AsJson, Dsn, ManifestPath, connected, err, out, print_json
from tenantry.cli.progress import Bars
from tenantry.errors import SettingsError
from tenantry.journal.journal import Journal, last_run
from tenantry.manifest import Manifest, load_manifest
from tenantry.migrate.follow import Followed, follow
from tenantry.migrate.run.handle import Live
from tenantry.migrate.session.prepare import prepare
from tenantry.migrate.switch.contract import contract as make_final
from tenantry.migrate.switch.cutover import When, cut_over
from tenantry.migrate.switch.repair import rebuild, repair
from tenantry.migrate.switch.rollback import roll_back, undo_script
from tenantry.migrate.switch.switchover import Bounds, Turned
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.migrate.verify.compare import Difference
from tenantry.migrate.verify.missing import missing_rows
from tenantry.migrate.verify.not_compared import not_compared
from tenantry.postgres import connect
from tenantry.report.terminal import seconds as in_words
from tenantry.settings import read_settings

MaxStall = Annotated[
    float,
    typer.Option("--max-stall", help="Seconds for which writers may wait; what takes longer is taken back.", min=0.1),
]
Patience = Annotated[float, typer.Option("--patience", help="Seconds for which it is tried again.", min=0.0)]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (cutover, replay, rollback, contract, verify):
        app.command()(command)


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask for an end between two rounds; a second one ends at once."""
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        err.print("Stopping behind this round; once more to stop at once.")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _run(dsn: str | None, manifest: Path | None) -> Iterator[tuple[str, Manifest]]:
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (address, connection):
        connection.close()
        yield address, loaded


_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def duration(text: str) -> float:
    """Seconds of '90', '90s', '15min', '1h', '2d'.

    Raises:
        typer.BadParameter
    """
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz").strip()
    unit = text.strip()[len(number) :].strip() or "s"
    try:
        return float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 15min, 1h or 2d") from None


def moment(text: str) -> float:
    """Seconds since the epoch of '23:30' (the next one, local time) or an ISO date with time.

    Raises:
        typer.BadParameter
    """
    now = datetime.now().astimezone()
    try:
        if len(text) <= 5 and ":" in text:
            hour, minute = (int(part) for part in text.split(":"))
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return at.timestamp() + (86400 if at <= now else 0)
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write 23:30, or 2030-01-31T23:30") from None
    if at <= now:
        raise typer.BadParameter(f"{text} is past")
    return at.timestamp()


def cutover(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    max_stall: MaxStall = 1.0,
    patience: Patience = 120.0,
    at: Annotated[
        str | None, typer.Option("--at", help="When: 23:30, or 2030-01-31T23:30.", show_default=False)
    ] = None,
    when_idle: Annotated[
        bool, typer.Option("--when-idle", help="As soon as nobody has written the source for 3 seconds.")
    ] = False,
    grace: Annotated[
        str | None,
        typer.Option(
            "--grace",
            help="Keep the source writable beside the target for this long, as 1h; changes go both ways."
            " During a grace: a new end of it.",
            show_default=False,
        ),
    ] = None,
    accept_quarantined: Annotated[
        bool,
        typer.Option(
            "--accept-quarantined",
            help="Leave rows behind that came into quarantine since the run was declared ready; else it stops and names them.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have applications write the target from now on. The source follows, and `tenantry rollback` goes back at any time.

    Writers of the source wait while the last changes are carried over and compared: never longer than --max-stall; an attempt
    that takes longer is taken back and tried again. Without --grace the source refuses writes from then on, with a message
    that says where the data is. During a grace, `tenantry cutover` ends it. Rows that came into quarantine since the run was
    declared ready are named, and stop it (TN-417). Run again, it says that it was done. Exit code 1: not done, everything is as
    before.
    """
    given = When(at=moment(at) if at else None, idle=when_idle)
    allowed = duration(grace) if grace else None
    with _run(dsn, manifest) as (address, loaded), Bars(err, quiet=as_json) as bars, _stoppable() as stopped:
        done = cut_over(
            address,
            loaded,
            bounds=Bounds(max_stall, patience),
            when=given,
            grace=allowed,
            accept_quarantined=accept_quarantined,
            observer=bars,
            stopped=stopped,
        )
        missing = _Missing(address)
    if as_json:
        print_json({**asdict(done), **missing.to_json()})
        missing.end()
        return
    _turned(done)
    if done.direction == "both":
        out.print("Both sides may be written now. Keep `tenantry replay` running: it carries changes both ways,")
        out.print("and closes the source when the grace is over (or end it yourself: `tenantry cutover`).")
    else:
        out.print("Keep `tenantry replay` running: it carries what is written in the target into the source.")
    out.print("Back: `tenantry rollback`. For good: `tenantry contract`.")
    missing.end()


class _Missing:
    """Rows that an application has written and that are not where applications are served: said last, with exit code 1."""

    def __init__(self, address: str) -> None:
        with connect(address, name="tenantry: rows that are missing") as connection:
            self._count, self._rows = missing_rows(connection)

    def to_json(self) -> dict[str, object]:
        return {"missing": {"count": self._count, "rows": [asdict(each) for each in self._rows]}}

    def end(self) -> None:
        """
        Raises:
            typer.Exit: there are such rows.
        """
        if not self._count:
            return
        err.print(
            f"[red]✗[/] {self._count:,} rows that applications have written are not on the side that serves them:"
        )
        for each in self._rows:
            err.print(f"    {escape(str(each))}")
        if self._count > len(self._rows):
            err.print(f"    … and {self._count - len(self._rows):,} more")
        err.print(
            "  They are kept where they were written. Change what stands in their way, or the row itself, and run"
            " `tenantry replay`; those in quarantine can also be mended there (`tenantry quarantine`)."
        )
        raise typer.Exit(1)


def _turned(done: Turned) -> None:
    words = {
        "reverse": "Applications write the target now; the source refuses writes and follows.",
        "both": "Applications may write the target and the source.",
        "forward": "Applications write the source again; the target follows.",
    }
    out.print(f"[green]✓[/] {words[done.direction]}")
    if done.already:
        out.print("  This had been done before; nothing more was changed.")
        return
    tries = f", attempt {done.attempts}" if done.attempts > 1 else ""
    out.print(
        f"  Writers waited {done.stall * 1000:.0f} ms; {done.entries:,} changes were carried over meanwhile{tries}."
    )
    if done.longest_stall > done.stall:
        out.print(f"  An attempt before kept them waiting for {done.longest_stall * 1000:.0f} ms.")


def replay(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End as soon as nothing is left to carry over.")
    ] = False,
    prometheus: Annotated[
        Path | None, typer.Option(help="Rewrite this file with metrics, for a node exporter.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep both sides in step until stopped (Ctrl-C): source to target before the cut-over, target to source after it.

    Other commands (cutover, rollback, verify) may be run beside it: it lets them have the run and goes on behind them.
    Stopped, nothing is lost: changes are noted in the database, and carried over when it runs again.
    """
    with _run(dsn, manifest) as (address, loaded), Bars(err, quiet=as_json) as bars, _stoppable() as stopped:
        throttle = Throttle(address, loaded.throttle, notice=bars.notice, stopped=stopped)

        def told(total: Followed, lag: int, age: float) -> None:
            words = {"forward": "source to target", "reverse": "target to source", "both": "both ways"}
            sides = (
                f" ({total.from_source:,} made in the source, {total.from_target:,} in the target)"
                if total.direction == "both"
                else ""
            )
            bars.line(
                f"{words.get(total.direction, '')}: {total.entries:,} changes carried over{sides}, lag {lag:,} entries, {age:.1f} s"
            )

        try:
            done = follow(
                address, loaded, until_idle=until_idle, observer=bars, stopped=stopped,
                wait=lambda: _wait(throttle), told=told, prometheus=prometheus,
            )  # fmt: skip
        finally:
            throttle.close()
        missing = _Missing(address)
    if as_json:
        print_json({**asdict(done), **missing.to_json()})
    else:
        out.print(
            f"{done.entries:,} changes in {done.rounds:,} rounds: {done.rows:,} rows written, {done.refused:,} into quarantine,"
            f" {done.conflicts:,} conflicts."
        )
        if done.conflicts:
            out.print("  Every change that did not come through stands in tenantry.conflict, with what stands instead.")
    missing.end()


def _wait(throttle: Throttle) -> None:
    throttle.wait("replay")


def rollback(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything", help="Undo the whole run: back to the state before it, whether it was cut over or not."
        ),
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print what would be run, and change nothing.")] = False,
    max_stall: MaxStall = 1.0,
    patience: Patience = 120.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go back, with nothing lost.

    Without --everything: back from a cut-over. What was written in the target since is carried into the source and compared,
    and applications write the source again. The target is kept in step, and can be cut over another time. Run again, it
    changes nothing more. A run that was never cut over is refused (exit code 1).

    With --everything: undo the whole run, from every phase. After a cut-over it turns back first. Then each step is undone,
    the last one first, until the database is as it was before the run. Stopped or killed, it goes on when it is run again.
    """
    with _run(dsn, manifest) as (address, loaded):
        if sql:
            print(_script(address, loaded, everything))  # noqa: T201 - not for rich: it would wrap the statements
            return
        with Bars(err, quiet=as_json) as bars, _stoppable() as stopped:
            if everything and not yes and not _agreed(address):
                raise typer.Exit(1)
            done = roll_back(
                address, loaded, bounds=Bounds(max_stall, patience), everything=everything, patience=patience,
                observer=bars, stopped=stopped,
            )  # fmt: skip
        missing = _Missing(address)
    if as_json:
        print_json({**asdict(done), **missing.to_json()})
        missing.end()
        return
    if done.turned is not None:
        _turned(done.turned)
    if done.undone:
        out.print(f"[green]✓[/] {len(done.undone)} steps were undone: the database is as it was before the run.")
    if done.already:
        out.print("There is no run of Tenantry in this database: nothing is left to undo.")
    for table, number in done.kept:
        there = f"schema {done.archive}" if done.archive else "the target"
        out.print(f"  {number:,} rows of {escape(table)} have no source form: they are kept in {there}.")
    if done.conflicts:
        out.print(
            f"  {done.conflicts:,} changes did not come through; they are listed in"
            f" {escape(done.archive)}.{escape(done.conflicts_table)}."
        )
    if done.turned is not None and not done.undone:
        out.print("Forward again: `tenantry cutover`. Back to the very beginning: `tenantry rollback --everything`.")
    missing.end()


def _agreed(address: str) -> bool:
    with connect(address) as connection:
        run = last_run(connection)
    if run is None:
        return True
    if not err.is_terminal:
        raise SettingsError(
            f"This would undo run {run.id} and drop schema {run.target_schema}, and there is nobody to ask.",
            hint="Give --yes where that is wanted.",
        )
    return typer.confirm(f"Undo run {run.id}, and drop schema {run.target_schema}?", err=True)


def _script(address: str, loaded: Manifest, everything: bool) -> str:
    with connect(address) as connection:
        prepared = prepare(connection, loaded)
        if prepared.run is None:
            return "-- There is no run to take back."
        done = Journal(prepared.run.id).done_steps(connection)
    return undo_script(prepared.plan, done, prepared.run.direction, everything=everything)


def contract(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    archive: Annotated[
        Path | None, typer.Option(help="First archive the source schema into this file (pg_dump).", show_default=False)
    ] = None,
    look: Annotated[float, typer.Option(help="Seconds for which it is watched who reads the source.", min=0.0)] = 3.0,
    force: Annotated[bool, typer.Option("--force", help="Whoever still reads the source.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the cut-over final: drop the source tables and what served the way back. THERE IS NO WAY BACK FROM THIS.

    Refused while anything still reads the source: views, foreign keys of other tables, sessions, or scans that the statistics
    count while it is watched.
    """
    with _run(dsn, manifest) as (address, loaded):
        if not yes:
            wanted = loaded.source.schema_name
            err.print(
                f"[bold red]This drops the source tables in schema {escape(wanted)}. Nothing brings them back"
                + (f" but the archive {archive}" if archive else "")
                + ".[/]"
            )
            if typer.prompt("Type the name of the source schema to go on", err=True) != wanted:
                raise SettingsError("That is not its name; nothing was done.", hint="Run the same command again.")
        with Bars(err, quiet=as_json) as bars:
            done = make_final(address, loaded, archive=archive, look=look, force=force, observer=bars)
    if as_json:
        print_json(asdict(done))
        return
    if done.already:
        out.print("The run had been contracted before; nothing more was changed.")
        return
    out.print(
        f"[green]✓[/] {len(done.dropped)} source tables are gone; the migration is final ({in_words(done.seconds)})."
    )
    if done.archive is not None:
        out.print(f"  The source is archived in {done.archive} (pg_restore reads it).")


def verify(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    mend: Annotated[
        bool, typer.Option("--repair", help="Derive rows that differ again, and say what differed.")
    ] = False,
    journal: Annotated[
        bool,
        typer.Option("--journal", help="Rebuild the journal's lists (quarantine, merged, changes) from both sides."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare source and target: rows, ids, references, keys, rules; while applications go on writing.

    What differs at first sight is looked at again within a round of replay, where both sides are seen at one moment. What is
    kept in the target only is no difference. Whatever is not compared is listed, with the reason. Exit code 1: there are
    differences (that were not repaired).
    """
    begun = time.monotonic()
    with (
        _run(dsn, manifest) as (address, loaded),
        Bars(err, quiet=as_json) as bars,
        Live(address, loaded, bars) as live,
    ):
        repaired: tuple[Difference, ...] = ()
        if journal:
            bars.notice("The journal's lists are made anew.")
            rebuild(live)
        live.need_copied(secured=False)
        live.check()
        checks = live.compare_all()
        if mend and not all(check.passed for check in checks):
            differed = [difference for check in checks for difference in check.differences]
            checks = repair(live)
            still = {_place(difference) for check in checks for difference in check.differences}
            repaired = tuple(each for each in differed if _place(each) not in still)
        trial = live.project.trial
        aside = not_compared(live.main, live.project)
        missing = _Missing(address)
    failed = [check for check in checks if not check.passed]
    if as_json:
        print_json(
            {
                **missing.to_json(),
                "passed": not failed,
                "trial": trial,
                "checks": [check.to_json() for check in checks],
                "repaired": [asdict(difference) for difference in repaired],
                "not_compared": [each.to_json() for each in aside],
            }
        )
    else:
        for check in checks:
            mark = "[green]✓[/]" if check.passed else "[red]✗[/]"
            out.print(f"{mark} {check.check:<10} {check.table:<28} {check.compared:>12,} compared")
            for difference in check.differences:
                out.print(f"    {escape(str(difference))}")
            if check.more:
                out.print(f"    … and {check.more:,} more rows")
        for difference in repaired:
            out.print(f"  repaired: {escape(str(difference))}")
        if trial:
            outside = sum(check.account.outside for check in checks if check.account is not None)
            out.print(f"This is {trial}: {outside:,} source rows are outside of it, and stay where they are.")
        if aside:
            out.print("Not compared:")
            for each in aside:
                out.print(f"    {escape(str(each))}")
        out.print(f"Compared in {in_words(time.monotonic() - begun)}.")
        if mend and failed:
            out.print("What is listed above still differs: deriving these rows again does not mend it.")
    missing.end()
    if failed:
        raise typer.Exit(1)


def _place(difference: Difference) -> tuple[str, str, str, str]:
    return difference.check, difference.table, difference.key, difference.column
