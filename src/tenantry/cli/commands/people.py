"""tenantry users plan | list | fetch | push: what becomes of users, and a hosted Supabase behind its admin API."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tenantry.accounts.auth_schema import complete_auth_schema
from tenantry.accounts.outcomes import FATES, Fate, Person, fates, people, planned
from tenantry.auth_admin.actions import Ran, refused, run_actions, undo_actions
from tenantry.auth_admin.client import AdminClient, Pace
from tenantry.auth_admin.mirror import actions
from tenantry.auth_admin.mirror import fetch as fetch_accounts
from tenantry.catalog.hidden import need_rows_of
from tenantry.cli.console import AsJson, Dsn, ManifestPath, err, out, prepared_project, print_json
from tenantry.cli.progress import Bars
from tenantry.errors import NoRun, SettingsError, nearest
from tenantry.migrate.session.visibility import source_names
from tenantry.postgres import connect

_KEY = "TENANTRY_AUTH_KEY"

Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="TENANTRY_AUTH_URL", help="The project's URL, as https://project.example.", show_default=False
    ),
]
Rate = Annotated[float, typer.Option(help="Requests a second.", min=0.1)]


def register(group: typer.Typer) -> None:
    """Add these commands to `tenantry users`."""
    group.command()(plan)
    group.command("list")(list_users)
    group.command()(fetch)
    group.command()(push)


def plan(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Say what would become of the users, before anything is done: who is linked, for whom an account is made, who is left.

    Reads only. [users] in the manifest decides. Rows that the target would refuse are told by `tenantry analyze`.
    """
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        need_rows_of(connection, source_names(prepared.project))
        there = connection.execute("select to_regclass('auth.users')").fetchone() != (None,)
        if not there and not as_json:
            err.print("There is no auth.users in this database yet: nobody has an account.")
        if there:
            found = planned(connection, prepared.project, journal=prepared.run is not None)
        else:
            with connection.transaction(force_rollback=True):
                complete_auth_schema(connection)
                found = planned(connection, prepared.project)
    _show(found, as_json, "would be decided")


def list_users(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    situation: Annotated[
        list[str] | None, typer.Option(help="Only users in this situation (again for more).", show_default=False)
    ] = None,
    to_do: Annotated[bool, typer.Option("--to-do", help="Only users for whom something is to be done.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--csv", help="Write the users to this file, one a line.", show_default=False, dir_okay=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what became of the users: by situation, or one by one with --situation, --to-do or --csv.

    Each line of the file has the old id, the situation, the e-mail address, the ids of profile and account, and what is to be done.
    """
    wanted = _situations(situation, to_do)
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        if prepared.run is None:
            raise NoRun(
                "There is no run of Tenantry in this database yet.",
                hint="`tenantry users plan` says what would become of the users.",
            )
        if file is not None:
            written = _write(file, people(connection, prepared.project, wanted))
            if as_json:
                print_json({"file": str(file), "users": written})
            else:
                out.print(f"{written:,} users: {file}")
            return
        if wanted is None:
            _show(fates(connection, prepared.project), as_json, "was decided")
            return
        found = list(people(connection, prepared.project, wanted))
    if as_json:
        print_json({"users": [each.to_json() for each in found]})
        return
    table = Table("old id", "e-mail", "what", "to do", box=None, pad_edge=False)
    for each in found:
        what = each.situation.title + (f" ({each.detail})" if each.detail else "")
        table.add_row(escape(each.source_key), escape(each.email or ""), escape(what), escape(each.situation.does))
    out.print(table)
    out.print(f"{len(found):,} users.")


def fetch(
    url: Url,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    rate: Rate = 10.0,
    as_json: AsJson = False,
) -> None:
    """Mirror the accounts of a hosted Supabase that is seen only through its admin API, before a run links users to them.

    The service key is read from TENANTRY_AUTH_KEY. Run it again to bring the mirror up to date.
    """
    with (
        _client(url, rate) as client,
        prepared_project(dsn, manifest) as (_, connection, _prepared),
        Bars(err, quiet=as_json) as bars,
    ):
        read = fetch_accounts(connection, client, lambda done, total: bars.count("reading accounts", done, total))
        bars.count("reading accounts", read, read)
    if as_json:
        print_json({"accounts": read})
    else:
        out.print(f"{read:,} accounts are mirrored in auth.users.")


def push(
    url: Url,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    rate: Rate = 10.0,
    undo: Annotated[
        bool, typer.Option("--undo", help="Delete the accounts that were made there, and no other.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were refused before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the accounts of a run at a hosted Supabase, over its admin API: with the same ids, passwords that can be kept, invitations.

    In batches; it can be stopped and run again, and nobody gets two accounts. The service key is read from TENANTRY_AUTH_KEY. Take
    it back with --undo before `tenantry rollback --everything`. Exit code 1: some were refused; `--json` lists them.
    """
    with _client(url, rate) as client, prepared_project(dsn, manifest) as (address, connection, prepared):
        if prepared.run is None:
            raise NoRun("There is no run of Tenantry in this database yet.", hint="`tenantry migrate` first.")
        if undo:
            gone = undo_actions(connection, client)
            if as_json:
                print_json({"deleted": gone})
            else:
                out.print(f"{gone:,} accounts were deleted.")
            return
        with connect(address, name="tenantry: users") as reading, Bars(err, quiet=as_json) as bars:
            row = reading.execute("select count(*)::int from tenantry.account_link where made or flagged").fetchone()
            total = 0 if row is None else int(str(row[0]))

            def told(ran: Ran) -> None:
                bars.count("making accounts", ran.done + ran.refused + ran.before, total)

            ran = run_actions(connection, client, actions(reading), again=again, progress=told)
        problems = refused(connection)
    if as_json:
        listed = [{"old_id": each.source_key, "kind": each.kind, "code": each.error_code} for each in problems]
        print_json({"done": ran.done, "before": ran.before, "refused": listed})
    else:
        out.print(f"{ran.done:,} done, {ran.before:,} done before, {len(problems):,} refused.")
        for each in problems[:50]:
            out.print(f"[red]refused[/] {escape(each.source_key)}: {escape(str(each.error_code))}")
    if problems:
        raise typer.Exit(1)


def _client(url: str, rate: float) -> AdminClient:
    key = os.environ.get(_KEY, "")
    if not key:
        raise SettingsError(
            f"{_KEY} is not set.", hint="Put the project's service key into it; it is never given as an option."
        )
    return AdminClient(url, key, pace=Pace(rate=rate))


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


def _write(file: Path, found: Iterable[Person]) -> int:
    written = 0
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer: csv.DictWriter[str] | None = None
        for each in found:
            line = each.to_json()
            if writer is None:
                writer = csv.DictWriter(opened, list(line))
                writer.writeheader()
            # Spreadsheets take what begins so for a formula.
            writer.writerow({name: _plain(value) for name, value in line.items()})
            written += 1
    return written


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _show(found: tuple[Fate, ...], as_json: bool, word: str) -> None:
    if as_json:
        print_json({"users": sum(each.count for each in found), "situations": [each.to_json() for each in found]})
        return
    table = Table("users", "account", f"what {word}", "to do", box=None, pad_edge=False)
    table.columns[0].justify = "right"
    for each in found:
        fate = {"left": "none yet"}.get(each.situation.fate, each.situation.fate)
        what = f"{each.situation.title} [dim]({each.situation.name})[/]"
        table.add_row(f"{each.count:,}", fate, what, escape(each.situation.does))
    out.print(table)
    out.print(f"{sum(each.count for each in found):,} users.")
