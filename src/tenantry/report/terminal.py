"""The same data for people at a terminal. Results go to stdout; progress and notices go to stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

from tenantry.analyze import Finding
from tenantry.migrate.copy.quarantine import Entry
from tenantry.migrate.observe.status import CopyStatus, Status
from tenantry.migrate.run.engine import Outcome
from tenantry.migrate.switch.cutover import Readiness
from tenantry.migrate.throttle.limits import in_bytes
from tenantry.plan import PHASES, ROLLBACK, SUCCESS, Plan
from tenantry.postgres import comment
from tenantry.postgres.connect import SESSION_SETTINGS
from tenantry.prove import Proof

_STYLE = {"blocker": "bold red", "warning": "yellow", "notice": "cyan", "info": "dim"}


_PROSE = {"finding", "what", "what is wrong", "what happened", "value"}


def seconds(value: float) -> str:
    """A duration: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 90:
        return f"{value:.0f} s"
    if value < 5400:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60)} min"


def _table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> RichTable:
    table = RichTable(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # Numbers, keys and names stay in one piece, so that they can be copied; prose is wrapped.
        table.add_column(
            column, justify="right" if column in right else "left", overflow="fold", no_wrap=column not in _PROSE
        )
    return table


def findings(console: Console, found: Sequence[Finding], *, everything: bool = False) -> None:
    """Findings by severity; the merely informative ones are counted unless everything is asked for."""
    shown = [finding for finding in found if everything or finding.severity != "info"]
    table = _table("code", "severity", "table", "rows", "finding", right=("rows",))
    for finding in shown:
        keys = (
            f" [dim]({escape(', '.join(finding.keys[:2]))}{', …' if finding.count > 2 else ''})[/]"
            if finding.keys
            else ""
        )
        advice = f"\n[dim]{escape(finding.advice)}[/]" if finding.advice else ""
        table.add_row(
            finding.code,
            Text(finding.severity, style=_STYLE[finding.severity]),
            finding.table,
            f"{finding.count:,}" if finding.area in ("data", "tenancy") and finding.keys else "",
            f"{escape(finding.title)}{keys}{advice}",
        )
    console.print(table)
    counts = {severity: sum(f.severity == severity for f in found) for severity in _STYLE}
    hidden = "" if everything else " (--all shows the informative ones)"
    console.print("\n" + ", ".join(f"{count} {severity}" for severity, count in counts.items()) + hidden)


def plan(console: Console, planned: Plan) -> None:
    """Phases and steps, with locks, risks and estimates."""
    for phase in PHASES:
        steps = planned.phase(phase)
        total = sum(step.seconds for step in steps)
        console.print(f"\n[bold]{phase}[/]  [dim]{len(steps)} steps, about {seconds(total)}[/]")
        table = _table("step", "what", "estimate", "risk", right=("estimate",))
        for step in steps:
            risk = Text(step.risk, style={"high": "bold red", "medium": "yellow"}.get(step.risk, "dim"))
            table.add_row(step.id, step.title, seconds(step.seconds), risk)
        console.print(table)
    notes = dict.fromkeys(step.risk_note for step in planned if step.risk_note)
    locks = dict.fromkeys(step.lock for step in planned if not step.lock.startswith("none"))
    console.print("\n[bold]Downtime[/]")
    console.print(
        f"  • None but one short pause: applications read and write {planned.source_schema} all the time, about"
        f" {seconds(planned.seconds)} of work. At the cut-over writers wait while the last changes are carried over, for at most"
        " --max-stall (1 s); readers go on."
    )
    console.print("\n[bold]Done is when[/]")
    for criterion in SUCCESS:
        console.print(f"  • {criterion}")
    console.print("\n[bold]To take it back[/]")
    console.print(f"  • {ROLLBACK}")
    console.print("\n[bold]What others feel[/]")
    for lock in locks:
        console.print(f"  • {escape(lock)}")
    console.print("\n[bold]Risks[/]")
    for note in notes:
        console.print(f"  • {escape(note)}")
    console.print(
        f"\n{len(planned.steps)} steps, about {seconds(planned.seconds)} on one core; digest {planned.digest()[:12]}."
        " Every step's SQL and undo: --sql."
    )


def plan_sql(planned: Plan) -> str:
    """The plan as a script that people review: every step with what it is, does and undoes."""
    parts = [
        comment(
            f"Plan of {planned.name}: schema {planned.source_schema} to {planned.target_schema}; digest {planned.digest()}"
        )
        + "\n"
        "-- Copies run in chunks: the condition `/* key range */ true` is replaced by a range of the source's key.\n"
        "-- Each step is one transaction. The engine's connections have these settings:\n"
        + "".join(f"set {name} = '{SESSION_SETTINGS[name]}';\n" for name in ("lock_timeout", "statement_timeout"))
    ]
    for number, step in enumerate(planned, start=1):
        head = [
            comment(f"{number}. {step.id} [{step.phase}]: {step.title}"),
            comment(f"lock: {step.lock}", indent=3),
            comment(
                f"estimate: {seconds(step.seconds)}; risk: {step.risk}"
                + (f" ({step.risk_note})" if step.risk_note else ""),
                indent=3,
            ),
        ]
        if step.after:
            head.append(comment(f"after: {', '.join(step.after)}", indent=3))
        body = "\n".join(f"{statement.strip().rstrip(';')};" for statement in step.sql if statement.strip())
        if step.kind in ("verify", "check") and not step.sql:
            body = "--    (reads only: compares both sides)"
        undo = "\n".join(
            "\n".join(f"--    undo: {line}" for line in f"{statement.strip().rstrip(';')};".splitlines())
            for statement in step.undo
            if statement.strip()
        )
        parts.append("\n".join([*head, *([undo] if undo else []), "", body, ""]))
    return "\n".join(parts)


def accounts(console: Console, outcome: Outcome) -> None:
    """For each table: source rows = target rows + quarantined + merged, and in a trial + outside of it."""
    trial = any(account.outside for account in outcome.accounts)
    numbers = ("target rows", "+ quarantined", "+ merged", *(["+ outside of the trial"] if trial else []))
    table = _table("source", "target", "source rows", "=", *numbers, "", right=("source rows", *numbers))
    for account in sorted(outcome.accounts, key=lambda each: -each.source):
        mark = Text("✓", style="green") if account.balanced else Text("✗ does not add up", style="bold red")
        table.add_row(account.source_table, account.mapping, f"{account.source:,}", "=", f"{account.target:,}",
                      f"{account.quarantined:,}", f"{account.merged:,}",
                      *([f"{account.outside:,}"] if trial else []), mark)  # fmt: skip
    console.print(table)


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
    """Where a run stands."""
    console.print(status_view(now))


def status_view(now: Status, *, everything: bool = True) -> Group:
    """All that is known of a run at one moment.

    Args:
        everything: also copies that are through, and the last events: more than fits on a screen.
    """
    parts: list[Any] = [
        Text.assemble(
            f"Run {now.run} of {now.name}: ",
            (now.status, _STANDING[now.status]),
            f", phase {now.phase}, begun {_at(now.started_at)}",
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
        events = _table("event", "at", "what happened")
        for event in now.events:
            stall = f" ({event.data['stall_ms']} ms of stall)" if "stall_ms" in event.data else ""
            events.add_row(event.code, _at(event.at), escape(event.message) + stall)
        parts.append(events)
    hints = {
        "died": "The process that ran it is gone. `tenantry migrate` goes on from here.",
        "interrupted": "It was stopped. `tenantry migrate` goes on from here.",
        "failed": "Mend what failed; `tenantry migrate` goes on from here.",
    }
    if now.status in hints:
        parts.append(Text(hints[now.status]))
    elif not now.working and now.status in ("ready", "cut over"):
        parts.append(
            Text(
                "Nobody keeps both sides in step at the moment: changes are noted, and the log grows. `tenantry replay` carries them over."
            )
        )
    return Group(*parts)


def status_line(now: Status) -> str:
    """The same in one line, for logs."""
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
        said.append(f"held back: {', '.join(reason.code for reason in now.reasons)}")
    return "; ".join(said)


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _lag(now: Status) -> str:
    more = "more than " if any(log.more for log in now.logs) else ""
    return f"{more}{now.lag_entries:,} entries, {seconds(now.lag_seconds)}" if now.lag_entries else "0 entries"


def _phases(now: Status) -> RichTable:
    table = _table("phase", "steps done", "", "took", "", right=("steps done", "took"))
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
    numbers = ("ranges", "source rows", "target rows", "quarantined", "rows/s", "remaining")
    table = _table("copy", *numbers, right=numbers)
    for copy in shown:
        table.add_row(
            copy.mapping, f"{copy.chunks_done}/{copy.chunks}", f"{copy.source_rows:,}", f"{copy.target_rows:,}",
            f"{copy.quarantined_rows:,}", f"{copy.rate:,.0f}" if copy.rate else "",
            seconds(copy.remaining_seconds) if copy.remaining_seconds else "",
        )  # fmt: skip
    return table


def _figures(now: Status) -> RichTable:
    """What has one line each, by its name."""
    table = RichTable.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()

    def line(name: str, said: str) -> None:
        # Names of hosts, folders and programs are no markup.
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
    line("not carried over yet", f"{more}{now.lag_entries:,} entries{age}")
    if speed:
        line("speed", "; ".join(speed))
    line(
        "logs",
        ", ".join(f"{'source' if log.direction == 'forward' else 'target'} {in_bytes(log.bytes)}" for log in now.logs),
    )
    line(
        "set aside",
        f"{now.quarantined:,} in quarantine, {now.merged:,} merged, {now.conflicts:,} conflicts,"
        f" {now.kept:,} kept in the target only",
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
                line(word, f"{_at(event.at)}, {event.data.get('stall_ms', '?')} ms of stall for writers")
    if now.direction == "forward" and now.status != "contracted":
        line("for the cut-over", _ready(now))
    return table


def _process(now: Status) -> str:
    process = now.process
    who = f"process {process.pid} of {process.user} on {process.host}"
    if not now.working:
        return f"nobody works on the run (last: {who})"
    match process.place:
        case "here":
            cpu = f"{process.cpu_percent:.0f} % of a core" if process.cpu_percent is not None else "CPU unknown"
            return f"{who}: {cpu}, {in_bytes(process.memory_bytes or 0)} of memory; {now.server_process}"
        case "on another host":
            return f"{who}, which is another host: CPU and memory cannot be seen from here; {now.server_process}"
        case "gone":
            return f"{now.server_process}; the journal names {who}, which is gone: another process has the run"
    return f"{who}; {now.server_process}; CPU and memory cannot be known here"


def _ready(now: Status) -> str:
    said = []
    if now.readiness.missing:
        missing = now.readiness.missing
        said.append(f"{len(missing)} {'step is' if len(missing) == 1 else 'steps are'} to do, the next: {missing[0]}")
    if not now.readiness.verified:
        said.append("source and target have not been compared as a whole")
    if now.readiness.left_behind:
        behind = now.readiness.left_behind
        rows = "row has come" if behind == 1 else "rows have come"
        said.append(
            f"{behind:,} {rows} into quarantine since the run was declared ready, and `tenantry cutover` asks before it leaves"
            f" {'it' if behind == 1 else 'them'} behind (TN-417); see `tenantry quarantine list`"
        )
    if now.trial:
        said.append(f"this is {now.trial}; `tenantry migrate --rest` goes on with all others")
    if not said:
        return "ready"
    return f"not ready: {'; '.join(said)}"


def _others(now: Status) -> list[Any]:
    """What Tenantry and others do to each other."""
    parts: list[Any] = [
        Text.assemble(
            ("waits for us ", "bold red"),
            f"pid {waiter.pid} ({waiter.application or 'no name'}) since {seconds(waiter.seconds)} for"
            f" {waiter.relation or 'a lock'}, held by {waiter.held_by} ({waiter.query})",
        )
        for waiter in now.waiters
    ]
    parts += [
        Text.assemble((_IN_THE_WAY[now.direction], "yellow"), f" {blocker}") for blocker in now.readiness.blockers
    ]
    if now.hidden_writers:
        parts.append(
            Text(
                f"{now.hidden_writers} sessions of other logins have written and not committed; since when is shown to members"
                " of pg_monitor only.",
                style="dim",
            )
        )
    for reason in now.reasons or ():
        copy, replay = reason.effect("copy", next(iter(reason.tables), None)), reason.effect("replay")
        parts.append(
            Text.assemble((f"held back ({reason.code}) ", "bold red"), f"{reason.text}. Copy {copy}, replay {replay}.")
        )
    return parts


_IN_THE_WAY = {
    "forward": "in the way of a cut-over:",
    "both": "in the way of the end of the grace:",
    "reverse": "in the way of a rollback:",
}


def quarantine_list(console: Console, found: Sequence[Entry], total: int) -> None:
    table = _table("no.", "table", "key", "reason", "what is wrong", right=("no.",))
    for entry in found:
        parent = f" [dim]({escape(entry.parent)})[/]" if entry.parent else ""
        table.add_row(str(entry.id), entry.mapping, entry.source_key, entry.reason, f"{escape(entry.what)}{parent}")
    console.print(table)
    if total > len(found):
        console.print(f"… {total - len(found):,} more; narrow with --table or --reason, or --limit 0 for all")


def quarantine_entry(console: Console, entry: Entry) -> None:
    original = _table("column", "value")
    for name, value in entry.original.items():
        mended = f"  → {entry.patch[name]}" if name in entry.patch else ""
        original.add_row(name, ("null" if value is None else str(value)) + mended)
    lines: list[Any] = [
        Text(f"{entry.source_table} {entry.source_key}, wanted in {entry.mapping}"),
        Text(f"reason: {', '.join(entry.problems)}: {entry.what}" + (f" ({entry.parent})" if entry.parent else "")),
        Text(f"to mend it: {entry.mend}", style="cyan"),
    ]
    if entry.detail:
        lines.append(Text(entry.detail))
    if entry.reason != "parent_quarantined":
        column = next((name for name in (entry.source_column, "<column>") if name), "")
        lines.append(Text(f"then: tenantry quarantine retry {entry.id} --set {column}=<value>", style="cyan"))
    console.print(Panel(Group(*lines, Text(""), original), title=f"quarantine no. {entry.id}", title_align="left"))


def _letters(marks: Mapping[str, str]) -> Text:
    """SIUD for one role and table."""
    text = Text()
    for command in ("select", "insert", "update", "delete"):
        letter = command[0].upper()
        match marks.get(command, "not tried"):
            case "yes":
                text.append(letter, "green")
            case "own" | "part":
                text.append(letter.lower(), "cyan")
            case "no":
                text.append("·", "dim")
            case "failed":
                text.append("!", "bold red")
            case _:
                text.append("?", "yellow")
    return text


def proof(console: Console, shown: Proof, *, verdict: bool = True, failures: bool = True) -> None:
    """The matrix, then what failed and what was not tried; at last, unless others say it, how it ended."""
    rows = shown.matrix_rows()
    roles = list(dict.fromkeys(role for row in rows for role, _ in row.marks))
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        for role, mark in row.marks:
            tables.setdefault(row.table, {}).setdefault(role, {})[row.command] = mark
    table = _table("table", *(role.replace(" ", "\n") for role in roles))
    for name, by_role in tables.items():
        table.add_row(name, *(_letters(by_role.get(role, {})) for role in roles))
    console.print(table)
    console.print(
        "[dim]S select, I insert, U update, D delete: allowed, and it was; small: own rows, or some of them; ·: refused, and it"
        " was; !: not as the matrix says; ?: not tried.[/]"
    )
    for check in shown.checks:
        if not check.passed:
            console.print(f"[bold red]✗ {escape(check.title)}[/]")
            for violation in check.violations:
                console.print(f"    {escape(violation)}")
            console.print(f"    [cyan]{escape(check.mending)}[/]")
    for cell in shown.failures if failures else ():
        console.print(f"[bold red]✗[/] {escape(str(cell))}")
    for note in shown.notes:
        console.print(f"[dim]{escape(note)}[/]")
    if not verdict:
        return
    counts = shown.counts
    said = "[green]Every one holds.[/]" if shown.passed else "[bold red]NOT all hold.[/]"
    console.print(
        f"\n{counts['cells']:,} cells executed ({shown.login}); {counts['failed']} failed,"
        f" {counts['untried']} not tried; {counts['checks']} static checks, {counts['checks_failed']} failed"
        f" ({seconds(shown.seconds)}). {said}"
    )


def report_summary(console: Console, report: Mapping[str, Any], folder: str | None) -> None:
    """The summary in plain words: found, moved, quarantined, verified, proved; how long; what next."""
    console.print()
    for sentence in report["summary"]:
        word, _, rest = sentence.partition(":")
        console.print(f"[bold]{word}:[/]{escape(rest)}", highlight=False)
    if report.get("planted"):
        lines = [line for line in report["planted"] if line["found"] is not None]
        right = sum(line["found"] == line["planted"] for line in lines)
        console.print(
            f"[bold]Checked against what was planted:[/] {right} of {len(lines)} kinds of defect found in exactly the planted"
            " number.",
            highlight=False,
        )
        for line in lines:
            if line["found"] != line["planted"]:
                console.print(f"  [yellow]{line['code']}: planted {line['planted']}, found {line['found']}[/]")
    console.print(
        "[bold]Time:[/] "
        + ", ".join(f"{each['stage']} {seconds(each['seconds'])}" for each in report["durations"])
        + ".",
        highlight=False,
    )
    console.print("\n[bold]What to do next[/]")
    for step in report["next"]:
        console.print(f"  • {escape(step)}", highlight=False)
    if folder is not None:
        console.print(f"\nReport: {escape(folder)}/report.html (and report.json)", highlight=False)


def readiness(console: Console, state: Readiness) -> None:
    """Whether the cut-over can be done, and what stands in its way."""
    if state.ready:
        console.print("[green]✓[/] Ready for the cut-over: everything is carried over, compared and secured.")
    elif state.trial and state.verified and not state.missing:
        console.print(
            f"[green]✓[/] This is {state.trial}: it is carried over, compared and secured. A trial is not cut over."
        )
    else:
        console.print("[red]✗[/] Not ready for the cut-over.")
        for step in state.missing[:5]:
            console.print(f"  to do: {escape(step)}")
        if not state.verified:
            console.print("  source and target have not been compared as a whole, or did not agree")
    console.print(f"  lag: {state.lag_entries:,} changes, the oldest {seconds(state.lag_seconds)} old")
    if state.quarantined:
        console.print(f"  {state.quarantined:,} rows in quarantine stay behind: `tenantry quarantine list`")
    for blocker in state.blockers:
        console.print(f"  in the way: {escape(blocker)}")
    if state.trial:
        console.print(
            "Prove it: `tenantry prove`. Keep it in step: `tenantry replay`. Go on with all other tenants: `tenantry migrate --rest`."
            " Take it back: `tenantry rollback --everything`."
        )
    if state.ready:
        console.print("Keep the target in step: `tenantry replay`. The next step: `tenantry cutover`.")
