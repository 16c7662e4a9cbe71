"""tenantry throttle: the limits of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from tenantry.cli.command import Group, HelpSection, command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import any_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.errors import SettingsError
from tenantry.manifest import Manifest
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.throttle import overrides
from tenantry.migrate.throttle.limits import Reason, ServerReading
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.postgres import ident
from tenantry.report.foreign_text import escape
from tenantry.report.terminal import throttle as view

_YES, _NO = ("true", "on", "yes"), ("false", "off", "no")


@dataclass(frozen=True, slots=True)
class _Given:
    """The options of every command in this group, before or after `set`."""

    dsn: str | None
    manifest: Path | None
    as_json: bool

    @classmethod
    def to(cls, context: typer.Context, dsn: str | None, manifest: Path | None, as_json: bool) -> _Given:
        before = context.obj if isinstance(context.obj, _Given) else cls(None, None, False)
        return cls(dsn or before.dsn, manifest or before.manifest, as_json or before.as_json)


@contextmanager
def _database(given: _Given) -> Iterator[tuple[Manifest | None, Settings, psycopg.Connection[Any]]]:
    """Provide the manifest, its settings (the defaults without a manifest), and a connection."""
    with any_database(given.dsn, given.manifest) as (_, connection, loaded):
        yield loaded, loaded.throttle if loaded else Settings(), connection


def throttle(context: typer.Context, dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Show the limits in force, the current readings, and what throttles a run now.

    The limits are in the manifest's section [throttle]; `tenantry throttle set` overrides them, also during a run. Showing them
    takes a second, in which the rate of WAL is measured.
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
    rows = [_row(name, value, settings, stored, by_name.get(name)) for name, value in in_force]
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
        view.settings(out, rows, by_name)
        for notice in notices:
            err.print(f"[yellow]{escape(notice)}[/]")
        view.reasons(out, reasons)
    if reasons:
        raise typer.Exit(1)


GROUP = Group(
    HelpSection.RUN,
    "tenantry throttle",
    callback=throttle,
    exit_1="something throttles a run now",
)


@command("tenantry throttle set max_wal_per_second=16MB")
def set_(
    context: typer.Context,
    pairs: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE…", help="For example max_wal_per_second=16MB; `off` turns a limit off."),
    ],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Override settings of the manifest; a run in progress applies them at once."""
    given = _Given.to(context, dsn, manifest, as_json)
    wrong = [pair for pair in pairs if not pair.partition("=")[1] or not pair.partition("=")[0].strip()]
    if wrong:
        raise typer.BadParameter(f"must be written as name=value, not {wrong[0]!r}", param_hint="NAME=VALUE")
    values = {_name(name): _value(_name(name), value) for name, _, value in (pair.partition("=") for pair in pairs)}
    with _database(given) as (_, settings, connection):
        changed = overrides.change_settings(connection, values)
    if given.as_json:
        print_json({"set": changed, "manifest": {name: getattr(settings, name) for name in changed}})
    else:
        for name, value in changed.items():
            out.print(f"{name} = {view.written(value)} [dim](manifest: {view.written(getattr(settings, name))})[/]")


@command("tenantry throttle reset", "tenantry throttle reset max_wal_per_second")
def reset(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]…", help="Settings to reset; without any, all of them.", show_default=False),
    ] = None,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Remove overrides: the manifest's values apply again."""
    given = _Given.to(context, dsn, manifest, as_json)
    with _database(given) as (_, settings, connection):
        back = overrides.reset_settings(connection, [_name(name) for name in names or ()])
    if given.as_json:
        print_json({"reset": back, "manifest": {name: getattr(settings, name) for name in back}})
        return
    for name in back:
        out.print(f"{name} = {view.written(getattr(settings, name))} again")
    if not back:
        out.print("No setting was overridden.")


def _row(
    name: str, value: object, settings: Settings, stored: dict[str, Any], reading: ServerReading | None
) -> dict[str, Any]:
    overridden = name in stored and value == stored[name][0]
    return {
        "name": name,
        "value": value,
        "from": "set" if overridden else "manifest" if name in settings.model_fields_set else "default",
        "manifest": getattr(settings, name),
        "at": stored[name][1].isoformat() if name in stored else None,
        "measured": reading.value if reading is not None else None,
        "unknown": reading.unknown if reading is not None else "",
    }


def _concerns(manifest: Manifest | None, reason: Reason) -> bool:
    """Whether a reading could throttle the run that the manifest describes: autovacuum is always active somewhere."""
    if manifest is None or not reason.tables:
        return True
    schema = ident(manifest.source.schema_name)
    return any(name.startswith(f"{schema}.") for name in reason.tables)


def _name(text: str) -> str:
    name = text.strip().replace("-", "_")
    if name in ("pause", "paused"):
        raise SettingsError("A pause is not a setting.", hint="Use `tenantry pause` and `tenantry resume`.")
    return name


def _value(name: str, text: str) -> object:
    field = Settings.model_fields.get(name)
    if field is not None and isinstance(field.default, bool):
        word = text.strip().lower()
        return True if word in _YES else False if word in _NO else text
    return text
