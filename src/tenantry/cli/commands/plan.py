"""tenantry plan: what a migration would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from tenantry.catalog.hidden import need_rows_of
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json, print_text, written
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath, Markdown
from tenantry.migrate.session.backups import backup_lines, look_for_backups
from tenantry.migrate.session.pilot import describe
from tenantry.migrate.session.prepare import Prepared
from tenantry.migrate.session.visibility import source_names
from tenantry.plan import build_plan
from tenantry.report.foreign_text import escape
from tenantry.report.html import write_plan
from tenantry.report.plan_markdown import plan_markdown
from tenantry.report.terminal.plan import plan as show_plan
from tenantry.report.terminal.plan import plan_sql
from tenantry.review.calibrate import Calibration, calibrate
from tenantry.review.review import PlanReview, review_plan
from tenantry.review.samples import take_samples

Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibration/--no-calibration",
        help="Measure this server for about a second, in temporary tables of a transaction that is rolled back.",
    ),
]


@command(
    "tenantry plan",
    "tenantry plan --html plan.html",
    "tenantry plan --sql > plan.sql",
    section=HelpSection.BEFORE,
)
def plan(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    only: Annotated[
        str | None,
        typer.Option(help="Plan a pilot with these tenants, as for `tenantry migrate --only`.", show_default=False),
    ] = None,
    calibration: Calibrate = True,
    samples: Annotated[
        bool, typer.Option("--samples/--no-samples", help="Convert some rows of each table, as samples.")
    ] = True,
    personal: Annotated[
        bool, typer.Option("--personal", help="Show the samples' values of columns that may hold personal data.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL and the undo of every step, for review.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the plan to this HTML file.", show_default=False)
    ] = None,
    markdown: Markdown = False,
    as_json: AsJson = False,
) -> None:
    """Show what a migration would do: phases, steps, locks, estimates, samples and risks. Changes nothing.

    Each phase has its purpose, the conditions for success with the command that checks each, the reasons to go back, and how. The
    estimates are calibrated on this server, unless it is a standby. The samples show values of each converted column before and
    after, and how many cannot be converted; values that may be personal are masked.
    """
    with prepared_project(dsn, manifest, only=only) as (_, connection, prepared):
        need_rows_of(connection, source_names(prepared.project))
        if prepared.chosen is not None:
            err.print(escape(describe(connection, prepared.project, prepared.chosen)))
        backups = look_for_backups(connection)
        review = _review(
            connection, prepared, measure=calibration and not sql, sample=samples and not sql, personal=personal
        )
    if html is not None:
        write_plan(review.plan, html, review)
        written(html)
    if as_json:
        print_json(review.to_json())
    elif markdown:
        print_text(plan_markdown(review))
    elif sql:
        print_text(plan_sql(review.plan))
    elif html is None:
        show_plan(out, review.plan, review)
        for line in backup_lines(backups):
            out.print(escape(line))


def _review(
    connection: psycopg.Connection[Any], prepared: Prepared, *, measure: bool, sample: bool, personal: bool
) -> PlanReview:
    found = calibrate(connection) if measure else Calibration(why="--no-calibration")
    planned = build_plan(prepared.project, prepared.environment, prepared.files, found.costs)
    taken = take_samples(connection, prepared.project, personal=personal) if sample else ()
    return review_plan(prepared.project, planned, found, taken)
