"""tenantry seal: the keys that applications use to prove their context."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from tenantry.access.seal_keys import draw_key, list_keys, need_seal_keys, retire_key
from tenantry.cli.command import Group, HelpSection, command
from tenantry.cli.console import err, out, print_json, print_text
from tenantry.cli.database import any_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath, duration
from tenantry.errors import SettingsError
from tenantry.report.foreign_text import escape
from tenantry.report.terminal.seal import keys as show_keys

GROUP = Group(
    HelpSection.ISOLATION,
    "tenantry seal new --out new.key",
    help="""
Create, list and retire the keys with which an application seals its context.

To rotate keys without downtime: `tenantry seal new --out new.key`, give the new key to every instance of the application, then
`tenantry seal retire OLD --in 1h`. Meanwhile both keys open contexts. If a key leaks, `tenantry seal retire NAME` revokes it at
once, and with it every context that it opened.
""",
)


@contextmanager
def _keys(dsn: str | None, manifest: Path | None) -> Iterator[psycopg.Connection[Any]]:
    with any_database(dsn, manifest) as (_, connection, _loaded):
        need_seal_keys(connection)
        yield connection


@command("tenantry seal new --out app.key", "tenantry seal new --print | vault kv put secret/app key=-")
def new(
    to: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the key to this new file, readable by you alone.", show_default=False),
    ] = None,
    show: Annotated[
        bool, typer.Option("--print", help="Print the key on stdout, for the command of a secret store.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the key. Default: today's date.", show_default=False)
    ] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Create a random key (kid:base64url, one line) for the application, and register it in the database.

    The key is shown once. The database keeps only what it needs to verify tokens, and no command shows that. With --print and
    --json the key is in the JSON object.
    """
    if (to is None) == (not show):
        raise SettingsError(
            "Choose where the key goes.", hint="--out FILE writes it to a file, --print prints it on stdout."
        )
    with _keys(dsn, manifest) as connection:
        key = draw_key(connection, name, lambda made: _write(to, made.text()) if to is not None else None)
    if as_json:
        print_json({"name": key.kid, "file": str(to)} if to is not None else {"name": key.kid, "key": key.text()})
    elif to is None:
        print_text(key.text())
    else:
        err.print(f"Key {key.kid} was written to {escape(str(to))}. It opens contexts from now on.")


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}.", hint="Name a file that does not exist yet."
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")


@command("tenantry seal list")
def list_(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """List the keys by name, with their start and end. The keys themselves are never shown."""
    with _keys(dsn, manifest) as connection:
        found = list_keys(connection)
    if as_json:
        print_json({"keys": [asdict(each) for each in found]})
        return
    show_keys(out, found)
    if not any(each.opens for each in found):
        err.print("No key opens contexts: applications see no rows. Create one with `tenantry seal new --out FILE`.")


@command("tenantry seal retire k20300131-a1b2c3 --in 1h")
def retire(
    name: Annotated[str, typer.Argument(help="The key's name, as `tenantry seal list` shows it.")],
    after: Annotated[str, typer.Option("--in", help="Delay: 0s, 10m, 1h.")] = "0s",
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key. It stops opening contexts, and contexts that it opened become invalid."""
    seconds = duration(after)
    with _keys(dsn, manifest) as connection:
        ends = retire_key(connection, name, after=seconds)
    if as_json:
        print_json({"name": name, "not_after": ends})
    else:
        err.print(f"Key {name} ends at {ends:%Y-%m-%d %H:%M:%S}.")
