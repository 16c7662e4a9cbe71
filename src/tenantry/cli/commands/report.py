"""tenantry report: the report of a run as it is now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenantry.analyze import analyze, gather
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import need_run, prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.cli.progress import Bars
from tenantry.report.collect import RunResults, build_report, recorded_durations
from tenantry.report.html import write_report
from tenantry.report.terminal.report import report_summary
from tenantry.settings import command as program


@command("tenantry report --out report", section=HelpSection.RUN)
def report(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for report.html and report.json.")] = Path("report"),
    findings: Annotated[bool, typer.Option("--findings", help="Analyze the source again for findings.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the report of a run as it is now: what became of every row, what is in quarantine, and a timeline of the run with
    its rates, its lag, the cut-over and rollbacks."""
    with prepared_project(dsn, manifest) as (_, connection, prepared), Bars(err, quiet=as_json):
        need_run(prepared, "`tenantry plan` shows what would be done, `tenantry migrate` does it.")
        assert prepared.run is not None
        content = build_report(
            connection,
            prepared.project,
            plan=prepared.plan,
            results=RunResults(
                analyze(prepared.project, gather(connection, prepared.project)) if findings else (),
                durations=recorded_durations(connection, prepared.run.id),
            ),
            command_prefix=program(),
        )
    write_report(content, folder)
    if as_json:
        print_json({**content, "folder": str(folder)})
    else:
        report_summary(out, content, str(folder))
