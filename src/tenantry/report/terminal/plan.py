"""Prints a plan, as tables and as a script for review."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tenantry.plan import PHASES, ROLLBACK, SUCCESS, Plan, Step
from tenantry.plan.diff import PlanDiff
from tenantry.plan.guide import GUIDE
from tenantry.plan.locks import BLOCKS
from tenantry.postgres import comment
from tenantry.postgres.connect import SESSION_SETTINGS
from tenantry.report.foreign_text import escape
from tenantry.report.formatting import count, seconds, size
from tenantry.report.shortened import lock_lines, names
from tenantry.report.terminal.table_layout import new_table
from tenantry.review.review import LOCK_WAIT, WRITE_PAUSE, OpenQuestion, PlanReview
from tenantry.review.samples import ColumnSample

_MOST_QUESTIONS = 12
_MOST_LINES = 20
_DIGEST = 12


def plan(console: Console, planned: Plan, review: PlanReview | None = None) -> None:
    """Print phases and steps, with locks, risks and estimates; with a review also sizes, criteria, samples and questions."""
    for phase in PHASES:
        steps = planned.phase(phase)
        total = sum(step.seconds for step in steps)
        console.print(f"\n[bold]{phase}[/]  [dim]{count(len(steps), 'step')}, about {seconds(total)}[/]")
        if review is not None:
            console.print(f"[dim]{GUIDE[phase].purpose}[/]")
        table = new_table("step", "what", "estimate", "risk", right=("estimate",), wrapped=("step", "what"))
        for step in steps:
            risk = Text(step.risk, style={"high": "bold red", "medium": "yellow"}.get(step.risk, "dim"))
            table.add_row(step.id, step.title, seconds(step.seconds), risk)
        console.print(table)
    notes = dict.fromkeys(step.risk_note for step in planned if step.risk_note)
    console.print("\n[bold]Downtime[/]")
    console.print(
        f"  • One short write pause. Applications keep reading and writing {planned.source_schema} during about"
        f" {seconds(planned.seconds)} of work. At the cut-over writers wait while the last changes are replayed, for at most"
        " --max-write-pause (1 s); readers do not wait."
    )
    if review is not None:
        _needs(console, review)
    console.print("\n[bold]Success criteria[/]")
    for criterion in SUCCESS:
        console.print(f"  • {criterion}")
    if review is not None:
        _criteria(console)
    console.print("\n[bold]Rollback[/]")
    console.print(f"  • {ROLLBACK}")
    if review is not None:
        for phase in PHASES:
            console.print(f"  • {phase}: {' '.join(GUIDE[phase].triggers)} {GUIDE[phase].procedure}", markup=False)
    console.print("\n[bold]Locks that applications notice[/] (--json has each step's)")
    for lock in lock_lines(planned):
        console.print(f"  • {escape(lock)}")
    if review is not None:
        for line in noticed_lines(review):
            console.print(f"  • {line}", markup=False)
    console.print("\n[bold]Risks[/]")
    for note in notes:
        console.print(f"  • {escape(note)}")
    if review is not None:
        _samples(console, review.samples)
        _questions(console, review.questions)
    console.print(
        f"\n{len(planned.steps)} steps, about {seconds(planned.seconds)} on one core; digest {planned.digest()[:12]}."
        " `tenantry plan --sql` prints the SQL and the undo of every step."
    )


def noticed_lines(review: PlanReview) -> list[str]:
    """Return one line for each lock mode that makes reads or writes wait, with its tables."""
    tables: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for lock, steps in review.noticed():
        phases = tuple(dict.fromkeys(review.plan.step(id).phase for id in steps))
        tables.setdefault((lock.mode, phases), []).append(f"{lock.schema}.{lock.table}")
    return [
        f"{mode} makes {' and '.join(BLOCKS[mode])} wait"  # type: ignore[index]
        f" ({', '.join(phases)}): {names(found)}"
        for (mode, phases), found in tables.items()
    ]


def need_lines(review: PlanReview) -> list[str]:
    """Return what the migration needs: time, disk, WAL, and the bound of the write pause."""
    unknown = [each.table for each in review.sizes.tables if each.estimated_rows]
    return [
        f"Time: {review.calibration}.",
        f"Disk: about {size(review.sizes.disk)} for the target with its indexes and sorting (the source has"
        f" {size(review.sizes.source)}).",
        f"WAL: about {size(review.sizes.wal)}, without that of the application.",
        f"Write pause at the cut-over: at most --max-write-pause ({WRITE_PAUSE:g} s) for each attempt; before that, writers wait"
        f" for at most {LOCK_WAIT:g} s behind a lock that a step waits for.",
        *([f"Never analyzed, so the number of rows is a guess (run ANALYZE): {names(unknown)}."] if unknown else []),
    ]


def _needs(console: Console, review: PlanReview) -> None:
    console.print("\n[bold]Time and room[/]")
    for line in need_lines(review):
        console.print(f"  • {line}", markup=False)


def _criteria(console: Console) -> None:
    table = new_table("phase", "is done when", "check", wrapped=("is done when",))
    for phase in PHASES:
        for criterion in GUIDE[phase].criteria:
            table.add_row(phase, criterion.what, criterion.command)
    console.print(table)


def _samples(console: Console, found: Sequence[ColumnSample]) -> None:
    if not found:
        return
    console.print("\n[bold]Samples before and after[/] [dim](--json and --html have all)[/]")
    table = new_table("column", "before", "after", "cannot be converted", wrapped=("before", "after"))
    for each in found:
        of = f"{each.unconvertible:,} of {each.looked_at:,}" + (" sampled" if each.sampled else "")
        first = next(iter(each.samples), None)
        style = "yellow" if each.unconvertible else "dim"
        name = f"{each.mapping}.{each.column}"
        if each.why_not or first is None:
            table.add_row(name, Text(each.why_not or "no value", "dim"), "", Text("" if each.why_not else of, style))
        else:
            table.add_row(name, shown(first.before), shown(first.after), Text(of, style))
    console.print(table)


def shown(value: str | None) -> str:
    """Return a value, or a word for none."""
    return "(null)" if value is None else value


def _questions(console: Console, found: Sequence[OpenQuestion]) -> None:
    console.print("\n[bold]Open questions[/]")
    if not found:
        console.print("  • None from the schemas and the samples. `tenantry analyze` reads all rows.")
    for each in found[:_MOST_QUESTIONS]:
        console.print(f"  • {each.subject}: {each.question} {each.advice} ({each.code})", markup=False)
    if len(found) > _MOST_QUESTIONS:
        console.print(f"  • … and {len(found) - _MOST_QUESTIONS} more in --json and --html")


def difference(console: Console, found: PlanDiff) -> None:
    """Print what changed between two plans."""
    if found.is_empty:
        console.print("The plans are the same.")
        return
    console.print(
        "Both plans run the same statements." if found.does_the_same else "The plans run different statements.",
        style="bold",
    )
    for fact in found.facts:
        console.print(f"  {fact.name}: {_fact(fact.name, fact.before)} → {_fact(fact.name, fact.after)}", markup=False)
    for sign, style, ids in (("+", "green", found.added), ("-", "red", found.removed)):
        for id in ids:
            console.print(Text(f"  {sign} step {id}", style))
    for each in found.changed:
        estimate = f" ({seconds(each.seconds[0])} → {seconds(each.seconds[1])})" if each.seconds else ""
        console.print(Text(f"  ~ step {each.id}: {', '.join(each.what)}{estimate}", "yellow"))
        for line in each.sql[:_MOST_LINES]:
            console.print(f"      {line}", markup=False)
        if len(each.sql) > _MOST_LINES:
            console.print(f"      … {len(each.sql) - _MOST_LINES} more lines in --json", style="dim")
    for sign, questions in (("+", found.questions_added), ("-", found.questions_removed)):
        for question in questions:
            console.print(f"  {sign} question {question}", markup=False)


def _fact(name: str, value: object) -> str:
    if isinstance(value, int | float):
        if name.endswith("bytes"):
            return size(value)
        return seconds(value) if name == "seconds" else f"{value:,}"
    return str(value)[:_DIGEST] if name.endswith("digest") else str(value)


def plan_sql(planned: Plan) -> str:
    """Return the plan as a script for review: each step with its description, its SQL and its undo."""
    parts = [
        comment(
            f"Plan of {planned.name}: schema {planned.source_schema} to {planned.target_schema}; digest {planned.digest()}"
        )
        + "\n"
        "-- Copies run in chunks: the condition `/* key range */ true` is replaced by a range of the source's key.\n"
        "-- Each step is one transaction. The engine's connections have these settings:\n"
        + "".join(f"set {name} = '{SESSION_SETTINGS[name]}';\n" for name in ("lock_timeout", "statement_timeout"))
    ]
    parts += [step_sql(number, step) for number, step in enumerate(planned, start=1)]
    return "\n".join(parts)


def step_sql(number: int, step: Step) -> str:
    """Return one step as SQL for review: its description, its undo as comments, and its statements."""
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
    return "\n".join([*head, *([undo] if undo else []), "", body, ""])
