"""Runs the ways beside each other, and says what they took."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass

from cryptography.fernet import Fernet
from rich.console import Console
from rich.table import Table

from benchmarks.copying import hand, ours
from benchmarks.copying.ground import Ground, ground, say
from benchmarks.copying.others import plain_copy, row_by_row
from benchmarks.copying.same import DifferentEnd, require_same
from clinic.platform import tokens

RATIO_GOAL = 1.25
MEMORY_GOAL = 150


@dataclass(frozen=True)
class Figure:
    """One number, and where one was promised, whether it is kept."""

    name: str
    value: float
    unit: str
    goal: str | None = None
    met: bool | None = None


@dataclass(frozen=True)
class Taken:
    """Seconds of each way, the best of its repetitions."""

    plain: float
    by_hand: float
    two_sessions: float
    tenantry: ours.Run
    cached: float
    uncached: float


def main() -> int:
    """Run the command: 0 whatever the figures, 1 where ends differ."""
    parser = argparse.ArgumentParser(prog="python benchmarks/copy.py", description=__doc__)
    parser.add_argument("--values", type=int, help="metric values (default 2000000; with --quick 50000)")
    parser.add_argument("--version", type=int, default=18, choices=(15, 16, 18), help="PostgreSQL (default 18)")
    parser.add_argument("--workers", type=int, default=2, help="Tenantry's workers (default 2)")
    parser.add_argument("--repeat", type=int, help="runs of each way; the best counts (default 2; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="fewer values, each way once")
    parser.add_argument("--sample", type=int, default=5_000, help="rows of the loop row by row (default 5000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument("--tenantry", metavar="DSN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.values = options.values or (50_000 if options.quick else 2_000_000)
    options.repeat = options.repeat or (1 if options.quick else 2)
    os.environ.setdefault(tokens.VARIABLE, Fernet.generate_key().decode())
    if options.tenantry:
        ours.child(options.tenantry, options.workers)
        return 0
    try:
        with ground(options.version, options.values) as field:
            taken = measure(field, repeat=options.repeat, workers=options.workers, sample=options.sample)
    except DifferentEnd as error:
        say(str(error))
        return 1
    found = figures(taken, options.values)
    if options.json:
        print(json.dumps({"figures": [asdict(figure) for figure in found]}, ensure_ascii=False))
    else:
        show(taken, found, options)
    return 0


def measure(field: Ground, *, repeat: int, workers: int, sample: int) -> Taken:
    """All ways in turns, so that what else the machine does falls on each; ends are compared once for each script."""
    plain, by_hand, two_sessions, runs = [], [], [], []
    for turn in range(1, repeat + 1):
        say(f"turn {turn} of {repeat}")
        plain.append(plain_copy(field.fresh("plain")))
        field.drop("plain")
        say(f"  plain copy                {plain[-1]:7.2f} s")
        one = field.fresh("by_hand")
        by_hand.append(hand.run(field, one))
        say(f"  by hand                   {by_hand[-1]:7.2f} s")
        tenantry = field.fresh("tenantry")
        runs.append(ours.run(tenantry, workers))
        say(f"  Tenantry, copy            {runs[-1].copy:7.2f} s, peak memory {runs[-1].copy_memory:.0f} MB")
        two = field.fresh("two_sessions")
        two_sessions.append(hand.run(field, two, sessions=2))
        say(f"  by hand, two sessions     {two_sessions[-1]:7.2f} s")
        if turn == 1:
            rows = require_same(one, tenantry)
            require_same(two, tenantry)
            say(f"  the same end: {rows:,} rows in the target, quarantine, merged rows, changes, accounts, schema")
        field.drop("two_sessions")
        field.drop("tenantry")
    cached = row_by_row(one, sample, cached=True)
    uncached = row_by_row(one, sample, cached=False)
    return Taken(min(plain), min(by_hand), min(two_sessions), min(runs, key=lambda run: run.copy), cached, uncached)


def figures(taken: Taken, values: int) -> list[Figure]:
    """The numbers, with units and promises."""
    run = taken.tenantry
    ratio = run.copy / taken.by_hand
    return [
        Figure("plain copy of metric_values with its primary key", round(taken.plain, 2), "s"),
        Figure("whole schema by hand", round(taken.by_hand, 2), "s"),
        Figure("whole schema by hand, two sessions", round(taken.two_sessions, 2), "s"),
        Figure("whole schema by Tenantry, phase copy", round(run.copy, 2), "s"),
        Figure("Tenantry's copy for each metric value", round(run.copy / values * 1e6, 2), "µs"),
        Figure("Tenantry / by hand", round(ratio, 3), "×", f"≤ {RATIO_GOAL}", ratio <= RATIO_GOAL),
        Figure("Tenantry / by hand, two sessions", round(run.copy / taken.two_sessions, 3), "×"),
        Figure("Tenantry / plain copy", round(run.copy / taken.plain, 2), "×"),
        Figure("Tenantry's verification", round(run.phases["verify"], 2), "s"),
        Figure("row by row, parents cached, for each row", round(taken.cached * 1e6), "µs"),
        Figure("row by row, parents asked for, for each row", round(taken.uncached * 1e6), "µs"),
        Figure("row by row, cached / Tenantry", round(taken.cached * values / run.copy, 1), "×"),
        Figure(
            "peak memory of Tenantry's process",
            round(max(run.memory, run.copy_memory)),
            "MB",
            f"≤ {MEMORY_GOAL}",
            max(run.memory, run.copy_memory) <= MEMORY_GOAL,
        ),
    ]


def show(taken: Taken, found: list[Figure], options: argparse.Namespace) -> None:
    """The table for people."""
    values, run = options.values, taken.tenantry
    table = Table(
        title=f"{values:,} metric values, PostgreSQL {options.version}, {os.cpu_count()} cores, best of {options.repeat}"
    )
    table.add_column("way")
    for name in ("seconds", "µs/row", "of by hand"):
        table.add_column(name, justify="right")
    lines = [
        ("plain copy of the largest table, primary key", taken.plain, ""),
        ("whole schema by hand", taken.by_hand, ""),
        ("whole schema by hand, indexes in two sessions", taken.two_sessions, ""),
        (f"whole schema by Tenantry, {options.workers} workers: copy", run.copy, ""),
        ("  its verification, beside that", run.phases["verify"], ""),
        ("  its other phases", sum(run.phases.values()) - run.copy - run.phases["verify"], ""),
        ("row by row, parents cached", taken.cached * values, "≈ "),
        ("row by row, parents asked for", taken.uncached * values, "≈ "),
    ]
    for name, seconds, about in lines:
        table.add_row(
            name, f"{about}{seconds:,.2f}", f"{seconds / values * 1e6:,.2f}", f"{seconds / taken.by_hand:,.2f} ×"
        )
    console = Console(width=110)
    console.print(table)
    console.print(f"≈ from {options.sample:,} rows")
    for figure in found:
        if figure.goal is not None:
            verdict = "kept" if figure.met else "missed"
            console.print(f"{figure.name}: {figure.value} {figure.unit}, goal {figure.goal}: {verdict}")
