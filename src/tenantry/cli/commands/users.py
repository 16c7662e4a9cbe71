"""tenantry users: accounts and profiles, and what stands between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row
from rich.markup import escape
from rich.table import Table

from tenantry.cli.console import AsJson, Dsn, ManifestPath, connected, err, out, print_json
from tenantry.errors import NoRun
from tenantry.manifest import load_manifest
from tenantry.postgres import load_blocks
from tenantry.settings import read_settings

users_app = typer.Typer(no_args_is_help=True)

_BATCH = 20
"""Events of one transaction: it holds the rows that it writes until its end."""


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.add_typer(users_app, name="users")


@users_app.callback()
def users() -> None:
    """What happens between accounts (auth.users) and the application's profiles."""


@contextmanager
def _queue(dsn: str | None, manifest: Path | None) -> Iterator[tuple[psycopg.Connection[Any], dict[str, str]]]:
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    with connected(settings, loaded) as (_, connection):
        if connection.execute("select to_regclass('tenantry.auth_event')").fetchone() == (None,):
            raise NoRun(
                "Accounts and profiles are not kept in step in this database (there is no tenantry.auth_event).",
                hint="`tenantry migrate` makes what does it, where the manifest says [users] in_step = true.",
            )
        yield connection, load_blocks("tenantry.accounts.sql", "auth_event")


@users_app.command()
def events(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is done.")] = False,
    limit: Annotated[int, typer.Option(help="Lines to print; 0 for all.", min=0)] = 50,
    as_json: AsJson = False,
) -> None:
    """List what keeping accounts and profiles in step could not do yet, and what waits for the admin API of Supabase Auth."""
    values = {"everything": everything, "limit": limit or None}
    with _queue(dsn, manifest) as (connection, blocks), connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(blocks["listed"], values).fetchall()
        count = cursor.execute(blocks["open"]).fetchone()
    remaining = 0 if count is None else int(count["open"])
    if as_json:
        print_json({"open": remaining, "events": found})
        return
    if found:
        table = Table("number", "account", "what is to be done", "why not yet", "tries", "again at")
        for event in found:
            why = " ".join(text for text in (event["code"], event["message"]) if text)
            again = "done" if event["done_at"] else f"{event['next_at']:%Y-%m-%d %H:%M}"
            tries = str(event["tries"])
            table.add_row(str(event["id"]), str(event["account"]), escape(event["what"]), escape(why), tries, again)
        out.print(table)
    out.print(
        f"{remaining:,} to be done. `tenantry users retry` tries what is due."
        if remaining
        else "Nothing is to be done."
    )


@users_app.command()
def retry(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is to wait for longer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try again what keeping accounts and profiles in step could not do; exit code 1 where something is left.

    What is queued for the admin API of Supabase Auth counts as done when the account shows it.
    """
    tried = done = 0
    with _queue(dsn, manifest) as (connection, blocks):
        if everything:
            connection.execute(blocks["due"])
        while True:
            with connection.transaction():
                row = connection.execute(blocks["retry"], {"most": _BATCH}).fetchone()
            assert row is not None
            tried, done, remaining = tried + row[0], done + row[1], row[2]
            if row[0] == 0:
                break
    if as_json:
        print_json({"tried": tried, "done": done, "open": remaining})
    else:
        out.print(f"{tried:,} tried: {done:,} done. {remaining:,} left.")
        if remaining:
            err.print("`tenantry users events` says what, and why.")
    if remaining:
        raise typer.Exit(1)
