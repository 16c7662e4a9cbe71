"""tenantry demo: a whole migration of a sample database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.options import AsJson, Dsn, Workers
from tenantry.cli.progress import Bars
from tenantry.demo import DemoSize, find_demo, run_demo
from tenantry.migrate.run.engine import Options
from tenantry.report.terminal.report import report_summary
from tenantry.settings import read_settings


@command(
    "tenantry demo",
    "tenantry demo --values 2000000 --seed 3",
    section=HelpSection.BEFORE,
    exit_1="a comparison or the proof failed",
)
def demo(
    name: Annotated[str | None, typer.Argument(help="The application; Clinic is included.", show_default=False)] = None,
    dsn: Dsn = None,
    values: Annotated[int, typer.Option(help="Number of metric values in the sample.", min=500)] = 200_000,
    clinics: Annotated[int, typer.Option(help="Number of clinics in the sample.", min=2)] = 12,
    seed: Annotated[int, typer.Option(help="Seed of the sample data; the same seed gives the same data.")] = 7,
    folder: Annotated[Path, typer.Option("--out", help="Folder for report.html and report.json.")] = Path("demo"),
    workers: Workers = 2,
    as_json: AsJson = False,
) -> None:
    """Run a whole migration on sample data: create an old database with typical defects, analyze, plan, migrate, verify, cut
    over, prove, report.

    On the embedded server the demo's database is recreated each time. Afterwards `tenantry status`, `tenantry quarantine list`
    and `tenantry prove` work on it.
    """
    settings = read_settings(dsn=dsn)
    shown = find_demo(name)
    with Bars(err, quiet=as_json) as bars:
        report = run_demo(
            settings, shown, DemoSize(clinics, values, seed), out=folder, options=Options(workers=workers), watcher=bars
        )
    if as_json:
        print_json({**report, "folder": str(folder)})
    else:
        report_summary(out, report, str(folder))
    if not (
        report["proof"]["passed"]
        and report["evidence"]["passed"]
        and all(check["passed"] for check in report["verifications"])
    ):
        raise typer.Exit(1)
