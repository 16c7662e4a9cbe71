"""Sign-in: each part is a module of this folder with `figures(quick)`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from benchmarks.signing import beside, serving, verifying

PARTS = (verifying, serving)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/auth.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions and rows")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument(
        "--beside", metavar="FILE", help="only compare with a Supabase Auth server, whose executable this is"
    )
    given = parser.parse_args()
    if given.beside is not None:
        figures = beside.figures(given.beside, quick=given.quick)
    else:
        figures = [each for part in PARTS for each in part.figures(quick=given.quick)]
    if given.json:
        print(json.dumps({"figures": [asdict(each) for each in figures]}))
        return 0
    table = Table(title="Sign-in")
    for title in ("figure", "value", "unit", "goal", "met"):
        table.add_column(title, justify="right" if title == "value" else "left")
    for each in figures:
        met = "" if each.met is None else "yes" if each.met else "no"
        table.add_row(each.name, f"{each.value:,}", each.unit, each.goal or "", met)
    Console(width=140).print(table)
    return 0
