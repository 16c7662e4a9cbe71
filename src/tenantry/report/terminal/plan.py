"""Prints a plan, as tables and as a script for review."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tenantry.plan import PHASES, ROLLBACK, SUCCESS, Plan
from tenantry.postgres import comment
from tenantry.postgres.connect import SESSION_SETTINGS
from tenantry.report.foreign_text import escape
from tenantry.report.formatting import seconds
from tenantry.report.shortened import lock_lines
from tenantry.report.terminal.tables import new_table


def plan(console: Console, planned: Plan) -> None:
    """Phases and steps, with locks, risks and estimates."""
    for phase in PHASES:
        steps = planned.phase(phase)
        total = sum(step.seconds for step in steps)
        console.print(f"\n[bold]{phase}[/]  [dim]{len(steps)} steps, about {seconds(total)}[/]")
        table = new_table("step", "what", "estimate", "risk", right=("estimate",), wrapped=("step", "what"))
        for step in steps:
            risk = Text(step.risk, style={"high": "bold red", "medium": "yellow"}.get(step.risk, "dim"))
            table.add_row(step.id, step.title, seconds(step.seconds), risk)
        console.print(table)
    notes = dict.fromkeys(step.risk_note for step in planned if step.risk_note)
    console.print("\n[bold]Downtime[/]")
    console.print(
        f"  • One short write pause. Applications keep reading and writing {planned.source_schema} during about"
        f" {seconds(planned.seconds)} of work. At the cutover writers wait while the last changes are replayed, for at most"
        " --max-write-pause (1 s); readers do not wait."
    )
    console.print("\n[bold]Success criteria[/]")
    for criterion in SUCCESS:
        console.print(f"  • {criterion}")
    console.print("\n[bold]Rollback[/]")
    console.print(f"  • {ROLLBACK}")
    console.print("\n[bold]Locks that applications notice[/] (--json has each step's)")
    for lock in lock_lines(planned):
        console.print(f"  • {escape(lock)}")
    console.print("\n[bold]Risks[/]")
    for note in notes:
        console.print(f"  • {escape(note)}")
    console.print(
        f"\n{len(planned.steps)} steps, about {seconds(planned.seconds)} on one core; digest {planned.digest()[:12]}."
        " `tenantry plan --sql` prints the SQL and the undo of every step."
    )


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
