"""tenantry plan: what a migration would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenantry.catalog.hidden import need_rows_of
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json, print_text, written
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.migrate.session.backups import backup_lines, look_for_backups
from tenantry.migrate.session.pilot import describe
from tenantry.migrate.session.visibility import source_names
from tenantry.report.foreign_text import escape
from tenantry.report.html import write_plan
from tenantry.report.terminal.plan import plan as show_plan
from tenantry.report.terminal.plan import plan_sql


@command("tenantry plan", "tenantry plan --sql > plan.sql", section=HelpSection.BEFORE)
def plan(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    only: Annotated[
        str | None,
        typer.Option(help="Plan a pilot with these tenants, as for `tenantry migrate --only`.", show_default=False),
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL and the undo of every step, for review.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the plan to this HTML file.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a migration would do: phases, steps, locks, estimates and risks. Changes nothing."""
    with prepared_project(dsn, manifest, only=only) as (_, connection, prepared):
        need_rows_of(connection, source_names(prepared.project))
        planned = prepared.plan
        if prepared.chosen is not None:
            err.print(escape(describe(connection, prepared.project, prepared.chosen)))
        backups = look_for_backups(connection)
    if html is not None:
        write_plan(planned, html)
        written(html)
    if as_json:
        print_json(planned.to_json())
    elif sql:
        print_text(plan_sql(planned))
    elif html is None:
        show_plan(out, planned)
        for line in backup_lines(backups):
            out.print(escape(line))
