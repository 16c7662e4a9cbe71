"""tenantry verify: compare source and target."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import run_address
from tenantry.cli.missing import MissingRows
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.cli.progress import Bars
from tenantry.migrate.run.compare_sides import compare_sides
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.switch.repair import rebuild
from tenantry.migrate.switch.repair import repair as repair_rows
from tenantry.migrate.verify.not_compared import not_compared
from tenantry.migrate.verify.results import Difference
from tenantry.report.terminal.verify import verification


@command(
    "tenantry verify",
    "tenantry verify --repair",
    section=HelpSection.RUN,
    exit_1="there are differences that were not repaired, or rows that applications have written are missing",
)
def verify(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Derive rows that differ again, and report what differed.")
    ] = False,
    journal: Annotated[
        bool,
        typer.Option("--journal", help="Rebuild the journal's lists (quarantine, merged, changes) from both sides."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare source and target while applications keep writing: rows, ids, references, keys and rules.

    A mismatch is rechecked within a replay round, which sees both sides at one moment. Target-only rows are not differences.
    Whatever is not compared is listed, with the reason.
    """
    begun = time.monotonic()
    with (
        run_address(dsn, manifest) as (address, loaded),
        Bars(err, quiet=as_json) as bars,
        RunHandle(address, loaded, bars) as live,
    ):
        repaired: tuple[Difference, ...] = ()
        if journal:
            bars.notice("Rebuilding the journal's lists.")
            rebuild(live)
        live.need_copied(secured=False)
        live.check()
        checks = compare_sides(live)
        if repair and not all(check.passed for check in checks):
            differed = [difference for check in checks for difference in check.differences]
            checks = repair_rows(live)
            still = {_place(difference) for check in checks for difference in check.differences}
            repaired = tuple(each for each in differed if _place(each) not in still)
        trial = live.project.trial
        aside = not_compared(live.main, live.project)
        missing = MissingRows(address)
    passed = all(check.passed for check in checks)
    if as_json:
        print_json(
            {
                **missing.to_json(),
                "passed": passed,
                "trial": trial,
                "checks": [check.to_json() for check in checks],
                "repaired": [asdict(difference) for difference in repaired],
                "not_compared": [each.to_json() for each in aside],
            }
        )
    else:
        verification(
            out,
            checks,
            repaired=repaired,
            not_compared=aside,
            trial=trial,
            took=time.monotonic() - begun,
            unrepaired=repair and not passed,
        )
    missing.end()
    if not passed:
        raise typer.Exit(1)


def _place(difference: Difference) -> tuple[str, str, str, str]:
    return difference.check, difference.table, difference.key, difference.column
