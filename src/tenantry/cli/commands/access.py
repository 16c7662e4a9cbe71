"""tenantry access: the access matrix in words, how the database departs from it, and mending that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.markup import escape

from tenantry.access import missing_roles
from tenantry.access.diff import Change, Difference, changes, differences
from tenantry.access.explain import describe
from tenantry.access.matrix import matrix_markdown
from tenantry.access.read_live import Live, read_live
from tenantry.access.telling_columns import doubts
from tenantry.catalog import read_catalog
from tenantry.cli.console import AsJson, Dsn, ManifestPath, connected, err, out, print_json
from tenantry.errors import RolesMissing, SettingsError
from tenantry.journal.journal import last_run
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import Project
from tenantry.mapping.check_access import resolve_access
from tenantry.migrate.apply_access import apply_changes, check_secured, has_writes
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import comment
from tenantry.settings import read_settings

access_app = typer.Typer(
    no_args_is_help=True,
    help="""
Who may do what: the manifest's access matrix, and whether the database obeys it.

The matrix stands in the manifest, table by table ([tables.….access]). From it policies, rights by column and functions are
compiled; **show** prints it in words, **diff** says where the database departs from it, **apply** mends that. To change who may
do what: change the manifest, look at `tenantry access diff`, then `tenantry access apply`, then `tenantry prove`.
""",
)

Patience = Annotated[float, typer.Option(help="Seconds for which locks are tried for.", min=0.0)]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.add_typer(access_app, name="access")


@access_app.command()
def show(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Print the access matrix: what each command needs, what each role may do, and for every table how it is decided.

    Markdown, as Clinic's docs/clinic/access.md; or JSON. Where the target schema exists it is read from the database, else from
    the manifest's files.
    """
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (_, connection):
        project = _project(connection, loaded)
    if as_json:
        print_json({**describe(project).to_json(), "doubts": [each.to_json() for each in doubts(project)]})
    else:
        print(matrix_markdown(project))  # noqa: T201 - not for rich: it would wrap the tables
        _show_doubts(project)


@access_app.command()
def diff(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Show how the live database departs from its manifest. Reads only.

    Policies that are missing, other or extra; row-level security that is off or not forced; rights that are missing or too many,
    by role and column; default privileges; owners; the functions that know the caller. Before the cut-over nobody is expected to
    have rights to write.

    Exit code 1: something differs. `tenantry access apply` mends it.
    """
    with _compared(dsn, manifest) as found:
        pass
    if as_json:
        said = [each.to_json() for each in doubts(found.project)]
        print_json({"differences": [e.to_json() for e in found.differences], "doubts": said, **found.facts()})
    else:
        _show(found.differences)
        _show_doubts(found.project)
        if any(each.mendable for each in found.differences):
            out.print("Mend it with `tenantry access apply`; with --dry-run it only shows what it would do.")
    if found.differences:
        raise typer.Exit(1)


@access_app.command()
def apply(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the statements, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    patience: Patience = 60.0,
    as_json: AsJson = False,
) -> None:
    """Mend what `tenantry access diff` shows: what is taken away is listed first, then what is made, then it asks.

    Everything is done in one transaction, all or nothing, while the application goes on: each lock is waited for at most 0.9 s at
    a time, again and again. Tables that the manifest does not name are never touched. Run again, it finds nothing to do.

    Exit code 1: something differs still, which is left to you and says how; 2: it could not be done.
    """
    with _compared(dsn, manifest) as found:
        plan = changes(found.project, found.differences)
        left = [each for each in found.differences if not each.mendable]
        done = False
        if plan and not dry_run:
            check_secured(last_run(found.connection))
            if not as_json:
                _show_plan(plan, sql=False)
            if yes or _agreed(plan):
                apply_changes(found.connection, found.live, plan, patience=patience, notice=err.print)
                done = True
                project = _project(found.connection, found.project.manifest)
                left = list(differences(project, read_live(found.connection, project), writes=found.writes))
    if as_json:
        print_json({"changes": [_plain(each) for each in plan], "applied": done, "left": [e.to_json() for e in left]})
    elif dry_run:
        _show_plan(plan, sql=True)
    elif done:
        out.print(f"[green]✓[/] {len(plan)} changes were made.")
    if not as_json and not plan and not left:
        out.print("[green]✓[/] The database is as the manifest says; there is nothing to do.")
    if not as_json and left and (done or not plan):
        _show(left)
    if left or (plan and not done):
        raise typer.Exit(1)


# -- what all of them need ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Compared:
    connection: psycopg.Connection[Any]
    project: Project
    live: Live
    writes: bool
    differences: tuple[Difference, ...]

    def facts(self) -> dict[str, object]:
        return {"schema": self.project.target.schema, "owner": self.live.owner, "writes": self.writes}


@contextmanager
def _compared(dsn: str | None, manifest: Path | None) -> Iterator[_Compared]:
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.need_manifest())
    with connected(settings, loaded) as (_, connection):
        missing = missing_roles(connection, loaded)
        if missing:
            raise RolesMissing(
                f"The cluster has no role {', '.join(missing)}.",
                hint="Let a superuser, or a role with CREATEROLE, run the script that `tenantry roles` prints.",
                detail={"missing": list(missing)},
            )
        project = resolve_access(loaded, read_catalog(connection, loaded.target.schema_name))
        live = read_live(connection, project)
        writes = has_writes(connection)
        yield _Compared(connection, project, live, writes, differences(project, live, writes=writes))


def _project(connection: psycopg.Connection[Any], loaded: Manifest) -> Project:
    """With the live target, where there is one; else as its files make it."""
    schema = loaded.target.schema_name
    if connection.execute("select from pg_namespace where nspname = %s", [schema]).fetchone() is not None:
        return resolve_access(loaded, read_catalog(connection, schema))
    return prepare(connection, loaded).project


def _agreed(plan: tuple[Change, ...]) -> bool:
    if not err.is_terminal:
        raise SettingsError(
            f"{len(plan)} changes of the database would be made, and there is nobody to ask.",
            hint="Look at them with --dry-run, and give --yes where they are wanted.",
        )
    removed = sum(change.removes for change in plan)
    return typer.confirm(f"Make these {len(plan)} changes ({removed} of them take something away)?", err=True)


# -- in words -----------------------------------------------------------------------------------------------------------


def _show(found: list[Difference] | tuple[Difference, ...]) -> None:
    if not found:
        out.print("[green]✓[/] The database is as the manifest says.")
    ordered = sorted(found, key=lambda each: each.on)
    for on, group in groupby(ordered, key=lambda each: each.on):
        out.print(f"[bold]{escape(on)}[/]")
        for each in group:
            color = {"missing": "yellow", "different": "yellow", "extra": "red"}[each.state]
            out.print(f"  [{color}]{each.state:<9}[/] {escape(each.what)}", soft_wrap=True)
            out.print(f"            expected  {escape(each.expected)}", soft_wrap=True)
            out.print(f"            found     {escape(each.found)}", soft_wrap=True)
            if each.advice:
                out.print(f"            [cyan]{escape(each.advice)}[/]", soft_wrap=True)
    if found:
        out.print(f"{len(found)} {'difference' if len(found) == 1 else 'differences'}.")


def _show_doubts(project: Project) -> None:
    """Columns that are to be decided once; they change no exit code."""
    found = doubts(project)
    for each in found:
        err.print(f"[yellow]warning[/] {escape(str(each))}", soft_wrap=True)
    if found:
        err.print(
            "Decide once, in the access section of each table: list what clients write in insert_columns and update_columns, or name"
            " in reviewed what they may write all the same.",
            soft_wrap=True,
        )


def _show_plan(plan: tuple[Change, ...], *, sql: bool) -> None:
    for title, group in (
        ("Takes away", [change for change in plan if change.removes]),
        ("Makes", [change for change in plan if not change.removes]),
    ):
        if not group:
            continue
        out.print(f"{'-- ' if sql else ''}[bold]{title}[/]")
        for change in group:
            said = f"{change.on}: {change.title}"
            out.print(escape(comment(said) if sql else f"  {said}"), soft_wrap=True)
            if sql:
                print("\n".join(change.statements) + "\n")  # noqa: T201 - not for rich: it would wrap the statements


def _plain(change: Change) -> dict[str, object]:
    return {"on": change.on, "title": change.title, "removes": change.removes, "statements": list(change.statements)}
