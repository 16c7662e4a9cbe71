"""tenantry throttle, pause, resume: what holds a run back, and changing it while the run goes on."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.markup import escape
from rich.table import Table as RichTable

from tenantry.cli.console import AsJson, Dsn, ManifestPath, connected, err, out, print_json
from tenantry.errors import SettingsError
from tenantry.manifest import Manifest, load_manifest
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.throttle import overrides
from tenantry.migrate.throttle.limits import PAUSE, Reading, Reason, in_bytes, in_time
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.postgres import ident
from tenantry.settings import read_settings

throttle_app = typer.Typer(invoke_without_command=True)

_YES, _NO = ("true", "on", "yes"), ("false", "off", "no")


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.add_typer(throttle_app, name="throttle")
    app.command()(pause)
    app.command()(resume)


@dataclass(frozen=True, slots=True)
class _Given:
    """The options that every command here has, wherever they stand: before `set` or behind it."""

    dsn: str | None
    manifest: Path | None
    as_json: bool

    @classmethod
    def to(cls, context: typer.Context, dsn: str | None, manifest: Path | None, as_json: bool) -> _Given:
        before = context.obj if isinstance(context.obj, _Given) else cls(None, None, False)
        return cls(dsn or before.dsn, manifest or before.manifest, as_json or before.as_json)


@contextmanager
def _database(given: _Given) -> Iterator[tuple[Manifest | None, Settings, psycopg.Connection[Any]]]:
    """The manifest, its settings (the defaults where there is no manifest), and a connection."""
    settings = read_settings(dsn=given.dsn, manifest=given.manifest)
    loaded = load_manifest(settings.manifest) if settings.manifest is not None else None
    with connected(settings, loaded) as (_, connection):
        yield loaded, loaded.throttle if loaded else Settings(), connection


@throttle_app.callback()
def throttle(context: typer.Context, dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Show the settings in force, what they limit as it is now, and what holds a run back.

    Settings stand in the manifest's section [throttle]; `tenantry throttle set` overrides them, also while a run goes on.
    Looking takes a second, in which the writing of WAL is measured. Exit code 1: something holds a run back now.
    """
    given = _Given.to(context, dsn, manifest, as_json)
    if context.invoked_subcommand is not None:
        context.obj = given
        return
    with _database(given) as (loaded, settings, connection):
        stored = overrides.stored_settings(connection)
        notices: list[str] = []
        watch = Throttle(lambda: connection, settings, notice=notices.append, stopped=lambda: False)
        watch.readings()
        time.sleep(1)
        readings, in_force = watch.readings(), watch.settings()
        reasons = [reason for reason in watch.reasons() if _concerns(loaded, reason)]
    by_name = {reading.setting: reading for reading in readings}
    rows = [
        {
            "name": name,
            "value": value,
            "from": "set"
            if name in stored and getattr(in_force, name) == stored[name][0]
            else "manifest"
            if name in settings.model_fields_set
            else "default",
            "manifest": getattr(settings, name),
            "at": stored[name][1].isoformat() if name in stored else None,
            "measured": by_name[name].value if name in by_name else None,
            "unknown": by_name[name].unknown if name in by_name else "",
        }
        for name, value in in_force
    ]
    if given.as_json:
        print_json(
            {
                "paused": any(reason.code == "paused" for reason in reasons),
                "settings": rows,
                "reasons": [reason.to_json() for reason in reasons],
                "notices": notices,
            }
        )
    else:
        _show(rows, by_name)
        for notice in notices:
            err.print(f"[yellow]{escape(notice)}[/]")
        for reason in reasons:
            copy, replay = reason.effect("copy", next(iter(reason.tables), None)), reason.effect("replay")
            out.print(f"[bold red]{reason.code}[/] {escape(reason.text)}. [dim]Copy {copy}, replay {replay}.[/]")
        if not reasons:
            out.print("[green]Nothing holds a run back.[/]")
    if reasons:
        raise typer.Exit(1)


@throttle_app.command("set")
def throttle_set(
    context: typer.Context,
    pairs: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE…", help="As max_wal_per_second=16MB; `off` switches a limit off.")
    ],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Override settings of the manifest; a run that is under way takes them up at once."""
    given = _Given.to(context, dsn, manifest, as_json)
    wrong = [pair for pair in pairs if not pair.partition("=")[1] or not pair.partition("=")[0].strip()]
    if wrong:
        raise typer.BadParameter(f"write it as name=value, not {wrong[0]!r}", param_hint="NAME=VALUE")
    values = {_name(name): _value(_name(name), value) for name, _, value in (pair.partition("=") for pair in pairs)}
    with _database(given) as (_, settings, connection):
        changed = overrides.change_settings(connection, values)
    if given.as_json:
        print_json({"set": changed, "manifest": {name: getattr(settings, name) for name in changed}})
    else:
        for name, value in changed.items():
            out.print(f"{name} = {_written(value)} [dim](manifest: {_written(getattr(settings, name))})[/]")


@throttle_app.command("reset")
def throttle_reset(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Settings; none: all of them.", show_default=False)
    ] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Let the manifest decide again."""
    given = _Given.to(context, dsn, manifest, as_json)
    with _database(given) as (_, settings, connection):
        back = overrides.reset_settings(connection, [_name(name) for name in names or ()])
    if given.as_json:
        print_json({"reset": back, "manifest": {name: getattr(settings, name) for name in back}})
        return
    for name in back:
        out.print(f"{name} = {_written(getattr(settings, name))} again")
    if not back:
        out.print("Nothing was overridden.")


def pause(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever finds the run waiting.", show_default=False)] = "",
    as_json: AsJson = False,
) -> None:
    """Hold a run's copy and replay back until `tenantry resume`; what is under way ends first.

    The run's process goes on waiting, and capture goes on: nothing is lost, but the log of changes grows.
    """
    with _database(_Given(dsn, manifest, as_json)) as (*_, connection):
        first = overrides.pause(connection, by=f"{getpass.getuser()} on {socket.gethostname()}", reason=reason)
        since = overrides.stored_settings(connection)[PAUSE][1]
    if as_json:
        print_json({"paused": True, "changed": first, "since": since.isoformat()})
    elif first:
        out.print("Paused: a run begins nothing new until `tenantry resume`.")
    else:
        out.print(f"It has been paused since {since:%Y-%m-%d %H:%M:%S} UTC.")


def resume(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Let a paused run go on."""
    with _database(_Given(dsn, manifest, as_json)) as (*_, connection):
        was_paused = overrides.resume(connection)
    if as_json:
        print_json({"paused": False, "changed": was_paused})
    else:
        out.print("It goes on." if was_paused else "It was not paused.")


# -- words -----------------------------------------------------------------------------------------------------------


def _concerns(manifest: Manifest | None, reason: Reason) -> bool:
    """Whether the run that the manifest describes could be held back by it: autovacuum is always at work somewhere."""
    if manifest is None or not reason.tables:
        return True
    schema = ident(manifest.source.schema_name)
    return any(name.startswith(f"{schema}.") for name in reason.tables)


def _name(text: str) -> str:
    name = text.strip().replace("-", "_")
    if name in ("pause", "paused"):
        raise SettingsError("A pause is no setting.", hint="Say `tenantry pause`, and `tenantry resume`.")
    return name


def _value(name: str, text: str) -> object:
    field = Settings.model_fields.get(name)
    if field is not None and isinstance(field.default, bool):
        word = text.strip().lower()
        return True if word in _YES else False if word in _NO else text
    return text


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _measured(reading: Reading | None) -> str:
    if reading is None or reading.value is None:
        return ""
    if reading.setting in ("max_lock_wait", "max_replication_lag", "max_transaction_age"):
        return in_time(reading.value)
    if reading.setting == "yield_to_autovacuum":
        return f"{reading.value:.0f} at work"
    return in_bytes(reading.value)


def _show(rows: list[dict[str, Any]], readings: Mapping[str, Reading]) -> None:
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in ("setting", "value", "now", "from", "cannot be known"):
        table.add_column(column, justify="right" if column in ("value", "now") else "left", no_wrap=True)
    table.columns[-1].no_wrap = False
    for row in rows:
        name = row["name"]
        source = (
            f"set at {row['at'][:19]}, manifest: {_written(row['manifest'])}" if row["from"] == "set" else row["from"]
        )
        off = row["value"] in ("off", False)
        table.add_row(
            name, _written(row["value"]), _measured(readings.get(name)), source, "" if off else escape(row["unknown"])
        )
    out.print(table)
