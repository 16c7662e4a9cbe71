"""tenantry report: the report of a run as it stands, at any time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tenantry.analyze import analyze as find
from tenantry.analyze import gather
from tenantry.cli.console import AsJson, Dsn, ManifestPath, err, out, prepared_project, print_json
from tenantry.cli.progress import Bars
from tenantry.errors import NoRun
from tenantry.journal.journal import Journal
from tenantry.report import Duration, build_report, terminal
from tenantry.report.html import write_report
from tenantry.settings import command


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(report)


def report(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for report.html and report.json.")] = Path("report"),
    findings: Annotated[bool, typer.Option("--findings", help="Look for findings in the source again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the report of the run as it stands: what became of every row, what is in quarantine, and the course of the run as a
    picture, with its rates, its lag, the cut-over and the way back."""
    with prepared_project(dsn, manifest) as (_, connection, prepared), Bars(err, quiet=as_json):
        if prepared.run is None:
            raise NoRun(
                "There is no run of Tenantry in this database yet.",
                hint="`tenantry plan` shows what would be done, `tenantry migrate` does it.",
            )
        times: dict[str, list[datetime]] = {}
        for row in Journal(prepared.run.id).say(connection, "steps"):
            times.setdefault(row[7], []).extend(moment for moment in (row[2], row[3]) if moment is not None)
        content = build_report(
            connection,
            prepared.project,
            plan=prepared.plan,
            findings=find(prepared.project, gather(connection, prepared.project)) if findings else (),
            outcome=None,
            proof=None,
            durations=[
                Duration(phase, round((max(moments) - min(moments)).total_seconds(), 2))
                for phase, moments in times.items()
                if moments
            ],
            command_prefix=command(),
        )
    write_report(content, folder)
    if as_json:
        print_json({**content, "folder": str(folder)})
    else:
        terminal.report_summary(out, content, str(folder))
