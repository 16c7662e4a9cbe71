"""Prints a proof: the executed matrix, failures, and what was covered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tenantry.prove import Proof
from tenantry.prove.evidence import ProofEvidence
from tenantry.prove.faults import faults
from tenantry.report.evidence import UNPROVED_HINT
from tenantry.report.foreign_text import escape
from tenantry.report.formatting import duration, seconds
from tenantry.report.terminal.faults import show_faults
from tenantry.report.terminal.table_layout import new_table


def _letters(marks: Mapping[str, str]) -> Text:
    """Format SIUD for one role and table."""
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
    """Print the matrix, failures, and what was not tried; and the conclusion, unless the caller prints it."""
    rows = shown.matrix_rows()
    roles = list(dict.fromkeys(role for row in rows for role, _ in row.marks))
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        for role, mark in row.marks:
            tables.setdefault(row.table, {}).setdefault(role, {})[row.command] = mark
    table = new_table("table", *(role.replace(" ", "\n") for role in roles))
    for name, by_role in tables.items():
        table.add_row(name, *(_letters(by_role.get(role, {})) for role in roles))
    console.print(table)
    console.print(
        "[dim]S select, I insert, U update, D delete: allowed, as the matrix says (lower case: own rows, or some of them);"
        " ·: refused, as the matrix says; !: not as the matrix says; ?: not tried.[/]"
    )
    for check in shown.checks:
        if not check.passed:
            console.print(f"[bold red]✗ {escape(check.title)}[/]")
            for violation in check.violations:
                console.print(f"    {escape(violation)}")
            console.print(f"    [cyan]{escape(check.fix)}[/]")
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


def evidence(console: Console, shown: ProofEvidence) -> None:
    """Print the matrix, failures, and the table of what was covered."""
    if shown.matrix is not None:
        proof(console, replace(shown.matrix, checks=()), verdict=False, failures=False)
        console.print()
    for sentence in shown.scope:
        console.print(f"[dim]{escape(sentence)}[/]")
    known = set(shown.matrix.notes) if shown.matrix else set()
    for note in shown.notes:
        if note not in known:
            console.print(f"[dim]{escape(note)}[/]")
    results = shown.results()
    show_faults(console, faults(results, shown.rules()))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("part", "covered", "passed", "failed", "not applicable", "not tried", "accepted"):
        table.add_column(name.replace(" ", "\n"), justify="left" if name == "part" else "right", no_wrap=True)
    table.add_column("how", overflow="fold")
    for line in shown.covered():
        if not line.counts:
            table.add_row(line.part, "–", "", "", "", "", "", escape(line.said))
            continue
        counts = line.counts
        bad = f"[bold red]{counts['failed']:,}[/]" if counts["failed"] else "0"
        others = (f"{counts['not applicable']:,}", f"{counts['not tried']:,}", f"{line.accepted:,}")
        tried = line.total - counts["not tried"] - counts["not applicable"]
        covered = f"{tried:,} of {line.total:,}" if tried != line.total else f"{tried:,}"
        table.add_row(line.part, covered, f"{counts['passed']:,}", bad, *others, escape(line.said))
    console.print()
    console.print(table)
    console.print(
        f"\n{_verdict(shown)}: {escape(shown.name)}, {shown.mode}, in {duration(shown.seconds)}.",
        highlight=False,
    )


def _verdict(shown: ProofEvidence) -> str:
    """Return the conclusion, and how much of the database it covers."""
    matrix = shown.matrix
    tried = (
        "" if matrix is None else f" ({len(matrix.cells) - len(matrix.untried):,} of {len(matrix.cells):,} cells tried)"
    )
    if shown.unproved and not shown.failures:
        return f"[bold red]✗ Nothing was proved[/]{tried}, since {escape(shown.unproved)}. {escape(UNPROVED_HINT)}"
    if not shown.passed:
        return f"[bold red]✗ Isolation does NOT hold[/]{tried}"
    accepted = len(shown.accepted) + (0 if shown.lint is None else len(shown.lint.allowed))
    but = f", but for what is accepted ({accepted:,})" if accepted else ""
    return f"[green]✓ Isolation holds[/]{but}{tried}"
