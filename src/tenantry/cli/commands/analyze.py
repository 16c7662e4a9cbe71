"""tenantry analyze: what differs between source and target, and which data cannot be migrated unchanged."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from tenantry.analyze import analyze as find
from tenantry.analyze import gather, look_around
from tenantry.analyze.probes.evidence import PROBE_TIMEOUT, SAMPLE_ROWS
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import described, prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath, PrismaPath, SqlFiles, TenantTable, UsersTable
from tenantry.cli.progress import Bars
from tenantry.draft import DraftOptions
from tenantry.draft.preview import Preview, preview
from tenantry.migrate.session.reserved_names import all_taken
from tenantry.report.terminal import survey as view
from tenantry.report.terminal.analyze import findings as show_findings
from tenantry.report.terminal.usage import usage as show_usage
from tenantry.settings import read_settings
from tenantry.usage.both import Usage, UsageFiles, usage
from tenantry.usage.queries import read_queries


@command(
    "tenantry analyze",
    "tenantry analyze --all",
    "tenantry analyze --dsn postgresql://…",
    section=HelpSection.BEFORE,
    exit_1="there are blockers",
)
def analyze(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[bool, typer.Option("--all", help="Show informative findings too.")] = False,
    sample_rows: Annotated[
        int, typer.Option(help="Read a sample of tables with more rows than this, not the whole table.", min=1000)
    ] = SAMPLE_ROWS,
    schema: Annotated[str, typer.Option(help="Without a manifest: the schema to look at.")] = "public",
    prisma: PrismaPath = None,
    sql: SqlFiles = None,
    tenant: TenantTable = None,
    users: UsersTable = None,
    code: Annotated[
        Path | None,
        typer.Option(
            "--code", help="Also list the lines of this folder's code that touch what changes.", show_default=False
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            help="Also list the queries of this file that touch what changes, with the server's plans: SQL, or an export of"
            " pg_stat_statements as .csv or .json.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the differences between source and target, and data that cannot be migrated unchanged.

    Reads only. Each finding has a code, a count and sample keys; docs/reference/findings.md explains the codes.

    Without a manifest it reports what is in the database: the kind of each table, candidates for the tenant and for the table
    of people who sign in, with reasons; references without a foreign key, with the share of sampled values that support them;
    and the findings of the migration that `tenantry init` would draft.

    **--code** and **--queries** list what has to change in the application: lines and queries that name tables, ids and columns
    that change. An ordinary word such as `id` counts only in SQL or beside its table. Queries are planned (EXPLAIN) on the source,
    and on the target if it exists; nothing is executed.
    """
    looked_up = UsageFiles(code, read_queries(queries) if queries is not None else ())
    settings = read_settings(dsn=dsn, manifest=manifest)
    if prisma is not None or sql or (settings.manifest is None and settings.dsn is not None):
        with described(settings, prisma, sql or ()) as connection, Bars(err, quiet=as_json) as bars:
            options = DraftOptions(tenant=tenant, users=users)
            found = preview(connection, schema, options, most_rows=sample_rows, progress=bars.count)
            used = Usage() if found.project is None else usage(connection, found.project, looked_up)
        _show_preview(found, used, everything=everything, as_json=as_json)
        return
    with prepared_project(dsn, manifest, names=False) as (_, connection, prepared), Bars(err, quiet=as_json) as bars:
        total = len(prepared.project.mappings)
        done = iter(range(total + 1))
        evidence = gather(
            connection,
            prepared.project,
            most_rows=sample_rows,
            timeout=PROBE_TIMEOUT,
            progress=lambda _name, _rows: bars.count("analyzing tables", next(done), total),
        )
        bars.count("analyzing tables", total, total)
        around = look_around(connection, prepared.project)
        if prepared.run is None:
            around = replace(around, taken=tuple(all_taken(connection, prepared.project)))
        findings = find(prepared.project, evidence, around)
        used = usage(connection, prepared.project, looked_up)
    if as_json:
        print_json(
            {
                "findings": [each.to_json() for each in findings],
                "evidence": [_evidence(e) for e in evidence],
                **used.to_json(),
            }
        )
    else:
        show_findings(out, findings, everything=everything)
        show_usage(out, used, everything=everything)
    if any(finding.severity == "blocker" for finding in findings):
        raise typer.Exit(1)


def _show_preview(found: Preview, used: Usage, *, everything: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "survey": found.survey.to_json(),
                "findings": [each.to_json() for each in found.findings],
                "evidence": [_evidence(each) for each in found.evidence],
                "not_drafted": found.not_drafted,
                **used.to_json(),
            }
        )
    else:
        view.survey(out, found.survey, everything=everything)
        out.print()
        if found.not_drafted:
            out.print(f"No migration could be drafted from this: {found.not_drafted}", markup=False)
        else:
            out.print("Findings of the migration that `tenantry init` would draft", style="bold")
            show_findings(out, found.findings, everything=everything)
            show_usage(out, used, everything=everything)
            out.print("\nNext: `tenantry init` writes that draft, with the questions to decide.", markup=False)
    if any(finding.severity == "blocker" for finding in found.findings):
        raise typer.Exit(1)


def _evidence(evidence: Any) -> dict[str, object]:
    data = asdict(evidence)
    for name in ("changes", "values"):
        data[name] = {":".join(key): tally for key, tally in data[name].items()}
    return data
