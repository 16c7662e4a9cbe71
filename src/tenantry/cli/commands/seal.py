"""tenantry seal: the keys with which applications prove whom they act for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.table import Table

from tenantry.cli.commands.live import duration
from tenantry.cli.console import AsJson, Dsn, ManifestPath, connected, err, out, print_json
from tenantry.errors import NoRun, SettingsError
from tenantry.manifest import load_manifest
from tenantry.postgres.seal import SealKey
from tenantry.settings import read_settings

seal_app = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.add_typer(seal_app, name="seal")


@seal_app.callback()
def seal() -> None:
    """Make, list and retire the keys with which an application seals whom it acts for.

    Rotation without downtime: `tenantry seal new --out new.key`, give every instance of the application the new key, then
    `tenantry seal retire <old> --in 1h`. Between these both keys open contexts. A lost key: `tenantry seal retire <name>`
    ends it at once, and with it every context that it opened.
    """


@contextmanager
def _keys(dsn: str | None, manifest: Path | None) -> Iterator[psycopg.Connection[Any]]:
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    with connected(settings, loaded) as (_, connection):
        if connection.execute("select to_regclass('tenantry.seal_key')").fetchone() == (None,):
            raise NoRun(
                "This database has no sealed contexts yet (there is no tenantry.seal_key).",
                hint="`tenantry migrate` makes them, unless the manifest says [context] sealed = false.",
            )
        yield connection


@seal_app.command()
def new(
    to: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write the key into this new file, readable by you alone.", show_default=False
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--print", help="Print the key on stdout, for a secret store's command.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the key; today's date by default.", show_default=False)
    ] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
) -> None:
    """Make a random key: the database learns to check it, the application is to hold it (kid:base64url, one line).

    It is shown once. What the database keeps lets it check tokens; it is not shown by any command.
    """
    if (to is None) == (not show):
        raise SettingsError("Say where the key shall go.", hint="--out FILE writes it into a file, --print on stdout.")
    key = SealKey.new(name)
    with _keys(dsn, manifest) as connection, connection.transaction():
        try:
            key.register(connection)
        except psycopg.errors.UniqueViolation:
            raise SettingsError(
                f"There is a key of the name {key.kid}.", hint="Choose another one with --name."
            ) from None
        if to is not None:
            # Before the commit: a key that nobody holds is of no use.
            _write(to, key.text())
    if to is None:
        print(key.text(), file=sys.stdout)  # noqa: T201 - this is the output
    else:
        err.print(f"Key {key.kid} stands in {to}. Contexts sealed with it are opened from now on.")


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}.", hint="Name a file that does not exist yet."
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")


@seal_app.command("list")
def list_keys(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """The keys by name: since when, until when. Never the keys themselves."""
    with _keys(dsn, manifest) as connection:
        rows = connection.execute(
            "select kid, created_at, not_after, not_after is null or not_after > now() from tenantry.seal_key order by 2, 1"
        ).fetchall()
    if as_json:
        print_json({"keys": [{"name": n, "created_at": c, "not_after": e, "opens": opens} for n, c, e, opens in rows]})
        return
    table = Table("key", "since", "until", "opens contexts")
    for name, created, ends, opens in rows:
        table.add_row(
            name,
            f"{created:%Y-%m-%d %H:%M}",
            "" if ends is None else f"{ends:%Y-%m-%d %H:%M}",
            "yes" if opens else "no",
        )
    out.print(table)
    if not any(row[3] for row in rows):
        err.print("No key opens contexts: applications see no rows. Make one with `tenantry seal new --out FILE`.")


@seal_app.command()
def retire(
    name: Annotated[str, typer.Argument(help="The key's name, as `tenantry seal list` shows it.")],
    after: Annotated[str, typer.Option("--in", help="When: 0s, 10m, 1h.")] = "0s",
    dsn: Dsn = None,
    manifest: ManifestPath = None,
) -> None:
    """End a key: from then on it opens nothing, and what it opened is no context any more."""
    seconds = duration(after)
    with _keys(dsn, manifest) as connection:
        found = connection.execute(
            "update tenantry.seal_key set not_after = now() + make_interval(secs => %s) where kid = %s returning not_after",
            [seconds, name],
        ).fetchone()
    if found is None:
        raise SettingsError(f"There is no key of the name {name!r}.", hint="`tenantry seal list` shows them.")
    err.print(f"Key {name} ends at {found[0]:%Y-%m-%d %H:%M:%S}.")
