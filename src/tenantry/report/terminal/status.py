"""Prints the status of a run: as a page, and as one line for logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from tenantry.migrate.observe.values import CopyStatus, Status
from tenantry.migrate.throttle.limits import in_bytes
from tenantry.report.formatting import seconds
from tenantry.report.terminal.table_layout import new_table

_STANDING = {
    "running": "cyan",
    "ready": "green",
    "cut over": "green",
    "contracted": "green",
    "interrupted": "yellow",
    "failed": "bold red",
    "died": "bold red",
}


def status(console: Console, now: Status) -> None:
    """Print the status of a run."""
    console.print(status_view(now))


def status_view(now: Status, *, everything: bool = True) -> Group:
    """Return everything known about a run at one moment.

    Args:
        everything: also finished copies and the latest events, which may not fit on a screen.
    """
    parts: list[Any] = [
        Text.assemble(
            f"Run {now.run} of {now.name}: ",
            (now.status, _STANDING[now.status]),
            f", phase {now.phase}, started {_at(now.started_at)}",
        ),
        Text(now.writers),
        *([Text(f"This is {now.trial} ({now.begun_with}).", style="yellow")] if now.trial else []),
        _phases(now),
    ]
    copies = [copy for copy in now.copies if everything or copy.chunks_done < copy.chunks]
    if copies:
        parts.append(_copies(copies))
    parts.append(_figures(now))
    parts += [
        Text.assemble(("failed ", "bold red"), f"{step.id}: {step.message or ''}")
        for step in now.steps
        if step.status == "failed"
    ]
    parts += _others(now)
    if everything and now.events:
        events = new_table("event", "at", "what happened", wrapped=("what happened",))
        for event in now.events:
            pause = f" (write pause {event.data['stall_ms']} ms)" if "stall_ms" in event.data else ""
            events.add_row(event.code, _at(event.at), event.message + pause)
        parts.append(events)
    hints = {
        "died": "Its process is gone. Run `tenantry migrate` to resume.",
        "interrupted": "It was interrupted. Run `tenantry migrate` to resume.",
        "failed": "Fix what failed, then run `tenantry migrate` to resume.",
    }
    if now.status in hints:
        parts.append(Text(hints[now.status]))
    elif not now.working and now.status in ("ready", "cut over"):
        parts.append(
            Text(
                "No process keeps the sides synchronized now: changes are recorded, and the queue grows. Run `tenantry replay`."
            )
        )
    return Group(*parts)


def status_line(now: Status) -> str:
    """Return the same in one line, for logs."""
    steps = next(((phase.done, phase.steps) for phase in now.phases if phase.phase == now.phase), (0, 0))
    said = [
        f"{now.at:%H:%M:%S} run {now.run} {now.status}, {now.phase} {steps[0]}/{steps[1]} steps",
        *([now.trial] if now.trial else []),
        f"{now.rows_copied:,} rows copied" + (f" ({now.rates.copied:,.0f}/s)" if now.rates.copied else ""),
        f"lag {_lag(now)}" + (f" (replay {now.rates.replayed:,.0f} rows/s)" if now.rates.replayed else ""),
        f"{now.quarantined:,} in quarantine",
    ]
    if now.remaining_seconds is not None:
        said.append(f"about {seconds(now.remaining_seconds)} to go in this phase")
    if now.reasons:
        said.append(f"throttled: {', '.join(reason.code for reason in now.reasons)}")
    return "; ".join(said)


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _lag(now: Status) -> str:
    more = "more than " if any(log.more for log in now.logs) else ""
    return f"{more}{now.lag_entries:,} entries, {seconds(now.lag_seconds)}" if now.lag_entries else "0 entries"


def _phases(now: Status) -> RichTable:
    table = new_table("phase", "steps done", "", "took", "", right=("steps done", "took"))
    for phase in now.phases:
        bar = "█" * round(20 * phase.done / phase.steps) if phase.steps else ""
        current = phase.phase == now.phase and now.status == "running"
        table.add_row(
            Text(phase.phase, style="bold" if current else ""),
            f"{phase.done}/{phase.steps}",
            Text(f"{bar:<20}", style="green"),
            seconds(phase.seconds) if phase.seconds is not None else "",
            f"about {seconds(now.remaining_seconds)} to go" if current and now.remaining_seconds is not None else "",
        )
    return table


def _copies(shown: Sequence[CopyStatus]) -> RichTable:
    numbers = ("ranges", "source\nrows", "target\nrows", "quaran-\ntined", "rows/s", "to go")
    table = new_table("copy", *numbers, right=numbers, wrapped=("copy",))
    for copy in shown:
        table.add_row(
            copy.mapping, f"{copy.chunks_done}/{copy.chunks}", f"{copy.source_rows:,}", f"{copy.target_rows:,}",
            f"{copy.quarantined_rows:,}", f"{copy.rate:,.0f}" if copy.rate else "",
            seconds(copy.remaining_seconds) if copy.remaining_seconds else "",
        )  # fmt: skip
    return table


def _figures(now: Status) -> RichTable:
    """Return the facts that take one line each, by name."""
    table = RichTable.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()

    def line(name: str, said: str) -> None:
        # Names of hosts, folders and programs are not markup.
        table.add_row(name, Text(said))

    rates = now.rates
    speed = [
        f"{value:,.0f} rows/s {word}"
        for value, word in ((rates.copied, "copied"), (rates.replayed, "replayed"))
        if value
    ]
    if rates.lag and round(rates.lag):
        speed.append(f"the lag {'grows' if rates.lag > 0 else 'shrinks'} by {abs(rates.lag):,.0f} entries/s")
    age = f", the oldest {seconds(now.lag_seconds)} old" if now.lag_entries else ""
    more = "more than " if any(log.more for log in now.logs) else ""
    line("not replayed yet", f"{more}{now.lag_entries:,} entries{age}")
    if speed:
        line("speed", "; ".join(speed))
    line(
        "logs",
        ", ".join(f"{'source' if log.direction == 'forward' else 'target'} {in_bytes(log.bytes)}" for log in now.logs),
    )
    line(
        "set aside",
        f"{now.quarantined:,} in quarantine, {now.merged:,} merged, {now.conflicts:,} conflicts,"
        f" {now.kept:,} target-only",
    )
    if now.missing:
        named = "; ".join(str(each) for each in now.missing_rows)
        more = f"; and {now.missing - len(now.missing_rows):,} more" if now.missing > len(now.missing_rows) else ""
        line("missing", f"{now.missing:,} rows that applications have written: {named}{more}")
    server = now.server
    facts = [f"{in_bytes(rates.wal_bytes)}/s of WAL"] if rates.wal_bytes is not None else []
    if server.database_bytes is not None:
        facts.append(f"database {in_bytes(server.database_bytes)}")
    if server.free_disk_bytes is not None:
        facts.append(f"{in_bytes(server.free_disk_bytes)} of disk free")
    elif server.free_disk_unknown:
        facts.append(f"free disk unknown: {server.free_disk_unknown}")
    line("server", "; ".join(facts))
    line("Tenantry", _process(now))
    if now.cut_over is not None or now.rolled_back is not None:
        for word, event in (("last cut-over", now.cut_over), ("last rollback", now.rolled_back)):
            if event is not None:
                line(word, f"{_at(event.at)}, write pause {event.data.get('stall_ms', '?')} ms")
    if now.direction == "forward" and now.status != "contracted":
        line("ready to cut over", _ready(now))
    return table


def _process(now: Status) -> str:
    process = now.process
    who = f"process {process.pid} of {process.user} on {process.host}"
    if not now.working:
        return f"no process works on the run (last: {who})"
    match process.place:
        case "here":
            cpu = f"{process.cpu_percent:.0f} % of a core" if process.cpu_percent is not None else "CPU unknown"
            return f"{who}: {cpu}, {in_bytes(process.memory_bytes or 0)} of memory; {now.server_process}"
        case "on another host":
            return f"{who}, another host: CPU and memory unknown; {now.server_process}"
        case "gone":
            return f"{now.server_process}; the journal names {who}, which is gone: another process took over"
    return f"{who}; {now.server_process}; CPU and memory unknown"


def _ready(now: Status) -> str:
    said = []
    if now.readiness.missing:
        missing = now.readiness.missing
        said.append(f"{len(missing)} {'step' if len(missing) == 1 else 'steps'} pending, next: {missing[0]}")
    if not now.readiness.verified:
        said.append("source and target have not been compared completely")
    if now.readiness.left_behind:
        behind = now.readiness.left_behind
        rows = "row" if behind == 1 else "rows"
        said.append(
            f"{behind:,} {rows} went into quarantine after the run was declared ready, and `tenantry cutover` stops for"
            f" {'it' if behind == 1 else 'them'} (TN-417); see `tenantry quarantine list`"
        )
    if now.trial:
        said.append(f"this is {now.trial}; `tenantry migrate --rest` adds all other tenants")
    if not said:
        return "yes"
    return f"no: {'; '.join(said)}"


def _others(now: Status) -> list[Any]:
    """Sessions that Tenantry blocks, and sessions that block or throttle it."""
    parts: list[Any] = [
        Text.assemble(
            ("waits for Tenantry ", "bold red"),
            f"pid {waiter.pid} ({waiter.application or 'no name'}) since {seconds(waiter.seconds)} for"
            f" {waiter.relation or 'a lock'}, held by {waiter.held_by} ({waiter.query})",
        )
        for waiter in now.waiters
    ]
    parts += [
        Text.assemble(
            ("Tenantry waits for ", "bold red"),
            f"pid {each.pid} ({each.application or 'no name'}, {each.state}"
            f"{'' if each.seconds is None else f', in a transaction for {seconds(each.seconds)}'}), which holds a lock on"
            f" {each.relation or 'something that Tenantry writes'} ({each.waiting} waits): end that transaction, or its session"
            f" (select pg_terminate_backend({each.pid}))",
        )
        for each in now.held_up
    ]
    parts += [
        Text.assemble((_IN_THE_WAY[now.direction], "yellow"), f" {blocker}") for blocker in now.readiness.blockers
    ]
    if now.hidden_writers:
        parts.append(
            Text(
                f"{now.hidden_writers} sessions of other logins have written and not committed; only members of pg_monitor can see"
                " since when.",
                style="dim",
            )
        )
    for reason in now.reasons or ():
        copy, replay = reason.effect("copy", next(iter(reason.tables), None)), reason.effect("replay")
        parts.append(
            Text.assemble((f"throttled ({reason.code}) ", "bold red"), f"{reason.text}. Copy {copy}, replay {replay}.")
        )
    return parts


_IN_THE_WAY = {
    "forward": "blocks a cut-over:",
    "both": "blocks the end of the dual-write window:",
    "reverse": "blocks a rollback:",
}
