"""tenantry plan: what a migration would do, what changed since an earlier plan, and who has approved it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from tenantry.catalog.hidden import need_rows_of
from tenantry.cli.command import Group, HelpSection, command
from tenantry.cli.console import err, out, print_json, print_text, written
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath, Markdown
from tenantry.errors import SettingsError
from tenantry.migrate.session.backups import backup_lines, look_for_backups
from tenantry.migrate.session.pilot import describe
from tenantry.migrate.session.prepare import Prepared
from tenantry.migrate.session.visibility import source_names
from tenantry.plan import build_plan
from tenantry.plan.diff import diff_plans
from tenantry.report.foreign_text import escape
from tenantry.report.html import write_plan
from tenantry.report.plan_files import read_plan, write_phases
from tenantry.report.plan_markdown import plan_markdown
from tenantry.report.terminal import plan as view
from tenantry.review.calibrate import Calibration, calibrate
from tenantry.review.review import PlanReview, review_plan
from tenantry.review.samples import take_samples
from tenantry.review.signature import SignedPlan, objects, signature_file, write_signature

Only = Annotated[
    str | None,
    typer.Option(help="Plan a pilot with these tenants, as for `tenantry migrate --only`.", show_default=False),
]


def plan(
    context: typer.Context,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    only: Only = None,
    calibration: Annotated[
        bool,
        typer.Option(
            "--calibration/--no-calibration",
            help="Measure this server for about a second, in temporary tables of a transaction that is rolled back.",
        ),
    ] = True,
    samples: Annotated[
        bool, typer.Option("--samples/--no-samples", help="Convert some rows of each table, as samples.")
    ] = True,
    personal: Annotated[
        bool, typer.Option("--personal", help="Show the samples' values of columns that may hold personal data.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL and the undo of every step, for review.")] = False,
    sql_dir: Annotated[
        Path | None,
        typer.Option("--sql-dir", help="Write the SQL of each phase to a file in this folder.", show_default=False),
    ] = None,
    diff: Annotated[
        Path | None,
        typer.Option(
            "--diff",
            help="Show what changed since an earlier plan, the output of `tenantry plan --json`.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
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

    **sign** records that a person reviewed the plan; `tenantry migrate` then refuses if the manifest or the database changed.
    """
    if context.invoked_subcommand is not None:
        return
    old = read_plan(diff) if diff is not None else None
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
    if sql_dir is not None:
        for file in write_phases(review.plan, sql_dir):
            written(file)
    if old is not None:
        changes = diff_plans(old, review.to_json())
        if as_json:
            print_json(changes.to_json())
        else:
            view.difference(out, changes)
    elif as_json:
        print_json(review.to_json())
    elif markdown:
        print_text(plan_markdown(review))
    elif sql:
        print_text(view.plan_sql(review.plan))
    elif html is None and sql_dir is None:
        view.plan(out, review.plan, review)
        for line in backup_lines(backups):
            out.print(escape(line))


GROUP = Group(
    HelpSection.BEFORE,
    "tenantry plan --html plan.html",
    callback=plan,
    exit_1="a problem was found; the message names it",
)


@command('tenantry plan sign --reviewer "Kim Lee"')
def sign(
    reviewer: Annotated[str, typer.Option("--reviewer", help="Name of the person who reviewed the plan.")],
    note: Annotated[str, typer.Option("--note", help="What was reviewed, or under which conditions.")] = "",
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    only: Only = None,
    as_json: AsJson = False,
) -> None:
    """Record that a person reviewed the plan, in a file beside the manifest: tenantry.signed.json. Changes nothing in the database.

    The file has the reviewer, the time, the digests of the plan and of the manifest with its files, and every object of the
    source's schema. `tenantry migrate` compares them before a new run begins, and refuses with a list of what changed. The file
    is no cryptographic signature: whoever can write it can write another one.
    """
    if not reviewer.strip():
        raise SettingsError("--reviewer is empty.", hint="Give the name of the person who reviewed the plan.")
    with prepared_project(dsn, manifest, only=only) as (_, _connection, prepared):
        if prepared.run is not None:
            raise SettingsError(
                "The run has begun: there is nothing left to sign.",
                hint="A run keeps its plan; `tenantry status` shows how it stands.",
            )
        planned, source, file = prepared.plan, prepared.project.source, signature_file(prepared.project.manifest.path)
        made = SignedPlan(
            name=planned.name,
            reviewer=reviewer.strip(),
            signed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            plan=planned.digest(),
            manifest=planned.manifest_digest,
            source=source.digest(),
            steps=len(planned.steps),
            objects=objects(source),
            only=only,
            note=note,
        )
    write_signature(made, file)
    if as_json:
        print_json({"file": str(file), **made.to_json()})
        return
    written(file)
    out.print(
        f"{made.reviewer} signed plan {made.plan[:12]} of {made.name}: {made.steps} steps, manifest {made.manifest[:12]},"
        f" {len(made.objects)} objects of the source ({made.source[:12]}). Commit the file.",
        markup=False,
    )


def _review(
    connection: psycopg.Connection[Any], prepared: Prepared, *, measure: bool, sample: bool, personal: bool
) -> PlanReview:
    found = calibrate(connection) if measure else Calibration(why="--no-calibration")
    planned = build_plan(prepared.project, prepared.environment, prepared.files, found.costs)
    taken = take_samples(connection, prepared.project, personal=personal) if sample else ()
    return review_plan(prepared.project, planned, found, taken)
