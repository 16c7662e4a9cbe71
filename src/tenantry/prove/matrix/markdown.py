"""A proof as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tenantry.prove.model import Cell, Proof

_MARKS = {"yes": "✓", "own": "own", "no": "–", "part": "some", "failed": "**✗**", "not tried": "?"}


def proof_markdown(proof: Proof) -> str:
    """Return the verdict, failures, what could not be tried, static checks, and the matrix as it was executed."""
    return "\n".join([*_lines(proof), ""])


def _lines(proof: Proof) -> Iterator[str]:
    counts = proof.counts
    yield f"# Proof of isolation: {'passed' if proof.passed else 'FAILED'}"
    yield ""
    yield (
        f"{counts['cells']} statements were run as `{proof.login}`: {counts['passed']} went as the access matrix says,"
        f" {counts['failed']} did not, {counts['untried']} could not be tried. {counts['checks']} static checks were"
        f" made, {counts['checks_failed']} failed. It took {proof.seconds:.1f} seconds."
    )
    yield from _cells("Failed", proof.failures)
    yield from _cells("Not tried", proof.untried)
    yield from ("", "## Static checks", "")
    for check in proof.checks:
        yield f"- {'✓' if check.passed else '**✗**'} {check.title}"
        for violation in check.violations:
            yield f"  - {_text(violation)}"
        if check.violations:
            yield f"  - To fix it: {_text(check.fix)}"
    yield from ("", "## The matrix as it was executed", "")
    yield "✓ allowed, own: own rows only, some: some of its rows, – refused, ✗ not as the matrix says, ? not tried."
    yield ""
    rows = proof.matrix_rows()
    callers = list(dict.fromkeys(caller for row in rows for caller, _ in row.marks))
    yield f"| Table | Command | {' | '.join(callers)} |"
    yield "| --- " * (len(callers) + 2) + "|"
    for row in rows:
        marks = {caller: _MARKS[mark] for caller, mark in row.marks}
        yield f"| `{row.table}` | {row.command} | {' | '.join(marks.get(caller, '') for caller in callers)} |"


def _cells(title: str, cells: Iterable[Cell]) -> Iterator[str]:
    lines = [f"- {_text(str(cell))}" for cell in cells]
    if lines:
        yield from ("", f"## {title}", "", *lines)


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
