"""tenantry export: the target for other tools."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tenantry.cli.command import Details, HelpSection, command
from tenantry.cli.console import err, print_json, written
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.errors import SettingsError
from tenantry.export.forms import form_names

_MOST = 20


def _details() -> Details:
    from tenantry.export.form import all_forms  # noqa: PLC0415 - the forms are imported when their titles are shown

    forms = all_forms().values()
    lines = [
        "The schema is that of the manifest: what the plan would create or, after the cut-over, what is in the database now. The forms:",
        "",
        *(f"- `{each.name}`: {each.title}" for each in forms),
        "",
        "Files that an earlier export wrote are replaced. A file that was written by somebody else, or changed since, stops the export"
        " before anything is written, unless --force is given.",
    ]
    return Details("\n".join(lines), tuple(f"tenantry export {each.name} --output {each.example}" for each in forms))


@command(
    section=HelpSection.BEFORE,
    details=_details,
)
def export(
    form: Annotated[str, typer.Argument(help=f"One of: {', '.join(form_names())}.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder to write to; it is created.", show_default=False)
    ] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    owner: Annotated[
        str | None,
        typer.Option(
            help="The role that shall own the tables where the files are applied; default: the one of this connection; for supabase postgres.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there, whoever wrote them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the target's schema for another tool: SQL files, a migrations folder, or models. Changes nothing in the database."""
    from tenantry.export.form import find_form  # noqa: PLC0415 - no other command needs them
    from tenantry.export.subject import read_subject  # noqa: PLC0415
    from tenantry.export.write import write_export  # noqa: PLC0415

    found = find_form(form)
    if output is None:
        raise SettingsError(
            f"Which folder should the {found.title} be written to?", hint=f"Give it with --output {found.example}."
        )
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        subject = read_subject(connection, prepared, owner=owner or found.owner)
    result = write_export(output, found.name, found.files(subject), now=datetime.now(UTC), force=force)
    changed = subject.changed if found.runs_files else ()
    if as_json:
        print_json(
            {
                "form": found.name, "folder": str(output), "written": [str(path) for path in result.written],
                "unchanged": [str(path) for path in result.unchanged], "left_out": list(found.left_out), "apply": found.apply,
                "changed": list(changed),
            }
        )  # fmt: skip
        return
    for path in result.written:
        written(path)
    if result.unchanged:
        err.print(f"Unchanged: {len(result.unchanged)} files that an earlier export wrote.", markup=False)
    if changed:
        err.print(
            "The SQL is that of the manifest's files, and the database was changed since; add to the files:",
            markup=False,
        )
        for each in changed[:_MOST]:
            err.print(f"  {each}", markup=False)
        if len(changed) > _MOST:
            err.print(f"  and {len(changed) - _MOST} more (--json lists all)", markup=False)
    for each in found.left_out:
        err.print(f"Not stated: {each}.", markup=False)
    err.print(f"Next: {found.apply}", markup=False)
