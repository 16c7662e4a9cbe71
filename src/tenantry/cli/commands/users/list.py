"""tenantry users list: what became of the users."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tenantry.accounts.outcomes import FATES, UserOutcome, fates, people
from tenantry.cli.command import command
from tenantry.cli.console import out, print_json
from tenantry.cli.database import need_run, prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.errors import SettingsError, nearest
from tenantry.report.foreign_text import escape
from tenantry.report.terminal import users as view


@command("tenantry users list", "tenantry users list --to-do --csv to-do.csv")
def list_(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    situation: Annotated[
        list[str] | None, typer.Option(help="Only users in this situation (repeatable).", show_default=False)
    ] = None,
    to_do: Annotated[bool, typer.Option("--to-do", help="Only users who need an action.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="Write the users to this CSV file, one per line.", show_default=False, dir_okay=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of the users: by situation, or one by one with --situation, --to-do or --csv.

    A line of the file has the old id, the situation, the e-mail address, the ids of profile and account, and the action to take.
    """
    wanted = _situations(situation, to_do)
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        need_run(prepared, "`tenantry users plan` shows what would become of the users.")
        if file is not None:
            lines = _write(file, people(connection, prepared.project, wanted))
            if as_json:
                print_json({"file": str(file), "users": lines})
            else:
                out.print(f"{lines:,} users: {escape(str(file))}")
            return
        totals = fates(connection, prepared.project) if wanted is None else ()
        found = [] if wanted is None else list(people(connection, prepared.project, wanted))
    if wanted is not None and as_json:
        print_json({"users": [each.to_json() for each in found]})
    elif wanted is not None:
        view.people(out, found)
    elif as_json:
        print_json({"users": sum(each.count for each in totals), "situations": [each.to_json() for each in totals]})
    else:
        view.fates(out, totals, "what was decided")


def _situations(asked: list[str] | None, to_do: bool) -> list[str] | None:
    known = [each.name for each in FATES]
    for name in asked or ():
        if name not in known:
            near = nearest(name, known)
            raise SettingsError(
                f"There is no situation {name!r}.",
                hint=(f"Did you mean {near!r}? " if near else "") + f"There are {', '.join(known)}.",
            )
    if to_do:
        return [each.name for each in FATES if each.does and (not asked or each.name in asked)]
    return list(asked) if asked else None


def _write(file: Path, found: Iterable[UserOutcome]) -> int:
    lines = 0
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer: csv.DictWriter[str] | None = None
        for each in found:
            line = each.to_json()
            if writer is None:
                writer = csv.DictWriter(opened, list(line))
                writer.writeheader()
            # A spreadsheet would take a value that begins like this for a formula.
            writer.writerow({name: _plain(value) for name, value in line.items()})
            lines += 1
    return lines


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
