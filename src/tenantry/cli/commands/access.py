"""tenantry access: the access matrix, how the database differs from it, and its repair."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.access.difference import AccessChange
from tenantry.access.explain import describe
from tenantry.access.matrix import matrix_markdown
from tenantry.access.telling_columns import doubts
from tenantry.cli.command import Group, HelpSection, command
from tenantry.cli.console import confirmed, err, out, print_json, print_text
from tenantry.cli.database import connected
from tenantry.cli.options import AsJson, Dsn, ManifestPath, RetryFor, Yes
from tenantry.journal.journal import last_run
from tenantry.manifest import load_manifest
from tenantry.migrate.apply_access import access_project, apply_changes, check_secured, compare_access
from tenantry.report.terminal import access as view
from tenantry.settings import read_settings

GROUP = Group(
    HelpSection.ISOLATION,
    "tenantry access diff",
    help="""
Show who may do what, and check that the database enforces it.

The access matrix is part of the manifest, table by table ([tables.….access]). Policies, column privileges and functions are
compiled from it. **show** prints it in words, **diff** compares the database with it, **apply** repairs the differences. To change
who may do what, change the manifest, review `tenantry access diff`, then run `tenantry access apply` and `tenantry prove`.
""",
)


@command("tenantry access show > access.md")
def show(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Print the access matrix: what each command requires, what each role may do, and how that is decided for every table.

    As Markdown (like docs/clinic/access.md), or as JSON. The target schema is read from the database if it exists, otherwise from
    the manifest's files.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (_, connection):
        project = access_project(connection, loaded)
    if as_json:
        print_json({**describe(project).to_json(), "doubts": [each.to_json() for each in doubts(project)]})
    else:
        print_text(matrix_markdown(project))
        view.warnings(err, project)


@command("tenantry access diff", exit_1="something differs")
def diff(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Show how the live database departs from its manifest. Reads only.

    It compares policies (missing, different or extra), row-level security (off or not forced), privileges by role and column,
    default privileges, owners, and the functions that identify the caller. Before the cut-over no client is expected to have write
    privileges. `tenantry access apply` repairs the differences.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (_, connection):
        found = compare_access(connection, loaded)
    if as_json:
        print_json(
            {
                "differences": [each.to_json() for each in found.differences],
                "doubts": [each.to_json() for each in doubts(found.project)],
                "schema": found.project.target.schema,
                "owner": found.live.owner,
                "writes": found.writes,
            }
        )
    else:
        view.differences(out, found.differences)
        view.warnings(err, found.project)
        if any(each.fixable for each in found.differences):
            out.print(
                "Repair: `tenantry access apply`. To see its statements first: `tenantry access apply --dry-run`."
            )
    if found.differences:
        raise typer.Exit(1)


@command(
    "tenantry access apply --dry-run",
    "tenantry access apply --yes",
    exit_1="differences are left; each says how to repair it",
)
def apply(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the statements, and change nothing.")] = False,
    yes: Yes = False,
    retry_for: RetryFor = 60.0,
    as_json: AsJson = False,
) -> None:
    """Repair what `tenantry access diff` shows: it lists what it removes and what it adds, then asks.

    All changes are made in one transaction while the application keeps running: each lock is waited for at most 0.9 s, then
    retried. Tables that the manifest does not name are never touched. Rerunning it finds nothing to do.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (_, connection):
        found = compare_access(connection, loaded)
        plan = found.changes()
        left = [each for each in found.differences if not each.fixable]
        done = False
        if plan and not dry_run:
            check_secured(last_run(connection))
            if not as_json:
                view.changes(out, plan)
            if yes or _agreed(plan):
                apply_changes(connection, found.live, plan, patience=retry_for, notice=err.print)
                done = True
                left = list(compare_access(connection, loaded).differences)
    if as_json:
        print_json({"changes": [_plain(each) for each in plan], "applied": done, "left": [e.to_json() for e in left]})
    elif dry_run and plan:
        print_text(view.changes_sql(plan))
    elif done:
        out.print(f"[green]✓[/] {len(plan)} changes were made.")
    if not as_json and not plan and not left:
        out.print("[green]✓[/] The database matches the manifest; nothing to do.")
    if not as_json and left and (done or not plan):
        view.differences(out, left)
    if left or (plan and not done):
        raise typer.Exit(1)


def _agreed(plan: tuple[AccessChange, ...]) -> bool:
    removed = sum(change.removes for change in plan)
    return confirmed(
        f"Make these {len(plan)} changes ({removed} of them remove something)?",
        otherwise=f"{len(plan)} changes of the database would be made, and no terminal is there to confirm them.",
        hint="Review them with --dry-run, and confirm them with --yes.",
    )


def _plain(change: AccessChange) -> dict[str, object]:
    return {"on": change.on, "title": change.title, "removes": change.removes, "statements": list(change.statements)}
