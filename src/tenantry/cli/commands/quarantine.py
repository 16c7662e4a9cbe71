"""tenantry quarantine: rows that could not be migrated."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tenantry.cli.command import Group, HelpSection, command
from tenantry.cli.console import out, print_json
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, Limit, ManifestPath
from tenantry.migrate.copy import quarantine as held
from tenantry.migrate.session.visibility import need_every_row
from tenantry.report.terminal.quarantine import quarantine_entry
from tenantry.report.terminal.quarantine import quarantine_list as show_list

GROUP = Group(
    HelpSection.RUN,
    "tenantry quarantine list --reason value_invalid",
    help="""
List, fix and retry rows that could not be migrated.

Such a row stays in the source unchanged; the journal keeps its key and the reason. Fix it in the source, or give values for the
target with `tenantry quarantine retry NUMBER --set column=value`.
""",
)


@command("tenantry quarantine list --table patients")
def list_(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    table: Annotated[str | None, typer.Option(help="Rows of this source or target table.", show_default=False)] = None,
    reason: Annotated[
        str | None, typer.Option(help="Rows with this reason code, for example value_invalid.", show_default=False)
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the rows in quarantine: number, table, key and reason."""
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        total = len(held.entries(connection, prepared.project, table=table, reason=reason))
        found = held.entries(connection, prepared.project, table=table, reason=reason, limit=limit or None)
    if as_json:
        print_json({"total": total, "entries": [entry.to_json() for entry in found]})
    else:
        show_list(out, found, total)


@command("tenantry quarantine show 12", exit_1="there is no such row")
def show(
    number: Annotated[int, typer.Argument(help="The row's number in the list.")],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Show one row: the original (secrets masked), what is wrong with it, and how to fix it."""
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        (entry,) = held.entries(connection, prepared.project, ids=[number])
    if as_json:
        print_json(entry.to_json())
    else:
        quarantine_entry(out, entry)


@command(
    "tenantry quarantine retry",
    "tenantry quarantine retry 12 --set status=active",
    exit_1="rows are still in quarantine",
)
def retry(
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Numbers of rows in the list; without any, all rows.")
    ] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="column=value: a new value for a source column of the one row that is named (repeatable).",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Retry rows that can be migrated now: fixed in the source or with --set, or because their parent row was fixed.

    Rows that depend on them are retried too. A row that still cannot be migrated stays in quarantine, with its latest reason.
    """
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        held.check_ready(prepared.run)
        need_every_row(connection, prepared.project)
        if values:
            if not numbers or len(numbers) != 1:
                raise typer.BadParameter("needs the number of exactly one row", param_hint="--set")
            if any("=" not in pair for pair in values):
                raise typer.BadParameter("must be written as column=value", param_hint="--set")
            pairs = {name: value for name, _, value in (pair.partition("=") for pair in values)}
            (entry,) = held.entries(connection, prepared.project, ids=numbers)
            held.fix(connection, prepared.project, entry, pairs)
        if numbers:
            held.entries(connection, prepared.project, ids=numbers)
        done = held.retry(connection, prepared.project, numbers or None)
    if as_json:
        print_json(asdict(done))
    else:
        out.print(
            f"{done.tried:,} retried: {done.readmitted:,} migrated, {done.merged:,} merged, {done.still:,} still in quarantine."
        )
    if done.still:
        raise typer.Exit(1)
