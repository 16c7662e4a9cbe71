"""tenantry analyze: what differs between source and target, and which data cannot be migrated unchanged."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from tenantry.analyze import analyze as find
from tenantry.analyze import gather, look_around
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.cli.progress import Bars
from tenantry.migrate.session.reserved_names import all_taken
from tenantry.report.terminal.analyze import findings as show_findings


@command("tenantry analyze", "tenantry analyze --all", section=HelpSection.BEFORE, exit_1="there are blockers")
def analyze(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[bool, typer.Option("--all", help="Show informative findings too.")] = False,
    sample_rows: Annotated[
        int, typer.Option(help="Read a sample of tables with more rows than this, not the whole table.", min=1000)
    ] = 5_000_000,
    as_json: AsJson = False,
) -> None:
    """List the differences between source and target, and data that cannot be migrated unchanged.

    Reads only. Each finding has a code, a count and sample keys; docs/reference/findings.md explains the codes.
    """
    with prepared_project(dsn, manifest, names=False) as (_, connection, prepared), Bars(err, quiet=as_json) as bars:
        total = len(prepared.project.mappings)
        done = iter(range(total + 1))
        evidence = gather(
            connection,
            prepared.project,
            most_rows=sample_rows,
            progress=lambda _name, _rows: bars.count("analyzing tables", next(done), total),
        )
        bars.count("analyzing tables", total, total)
        around = look_around(connection, prepared.project)
        if prepared.run is None:
            around = replace(around, taken=tuple(all_taken(connection, prepared.project)))
        findings = find(prepared.project, evidence, around)
    if as_json:
        print_json({"findings": [each.to_json() for each in findings], "evidence": [_evidence(e) for e in evidence]})
    else:
        show_findings(out, findings, everything=everything)
    if any(finding.severity == "blocker" for finding in findings):
        raise typer.Exit(1)


def _evidence(evidence: Any) -> dict[str, object]:
    data = asdict(evidence)
    data["changes"] = {":".join(key): tally for key, tally in data["changes"].items()}
    return data
