"""Settings that are changed during a run: table tenantry.setting, which a run reads in every reading.

`tenantry throttle set`, `tenantry pause` and `tenantry resume` write it; its owner may do so with psql.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from psycopg import errors as pg
from psycopg.types.json import Jsonb

from tenantry.errors import NoRun, SettingsError
from tenantry.journal.ddl import throttle_ddl
from tenantry.journal.journal import Connection
from tenantry.manifest.model import Throttle as Settings
from tenantry.migrate.throttle.limits import PAUSE, checked, unknown_setting
from tenantry.postgres import load_blocks

_PACKAGE = "tenantry.migrate.throttle"
_NO_TABLE = (pg.UndefinedTable, pg.InvalidSchemaName)


def stored_settings(connection: Connection) -> dict[str, tuple[object, datetime]]:
    """Return the content of tenantry.setting: name → value and time; empty if the table does not exist."""
    try:
        return {row[0]: (row[1], row[2]) for row in connection.execute(_block("stored"))}
    except _NO_TABLE:
        return {}


def change_settings(connection: Connection, values: Mapping[str, object]) -> dict[str, object]:
    """Override settings of the manifest, from the run's next reading on; all of them or none.

    Returns:
        The stored values: texts with their unit, true or false.

    Raises:
        SettingsError: no such setting (with the nearest), or an invalid value.
        NoRun: there is no journal yet.
    """
    changed, problems = {}, []
    for name, value in values.items():
        try:
            changed[name] = checked(name, value)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise SettingsError("\n".join(problems), hint="Nothing was changed. `tenantry throttle` shows all settings.")
    with connection.transaction():
        _make_table(connection)
        for name, checked_value in changed.items():
            connection.execute(_block("set"), {"name": name, "value": Jsonb(checked_value)})
    return changed


def reset_settings(connection: Connection, names: Collection[str] = ()) -> list[str]:
    """Remove overrides, so that the manifest decides again; without names all of them. Return the removed names.

    Raises:
        SettingsError: no such setting.
    """
    problems = [f"{name}: {unknown_setting(name)}" for name in names if name not in Settings.model_fields]
    if problems:
        raise SettingsError("\n".join(problems), hint="Nothing was changed. `tenantry throttle` shows all settings.")
    try:
        rows = connection.execute(_block("reset"), {"names": list(names or Settings.model_fields)}).fetchall()
    except _NO_TABLE:
        return []
    return sorted(str(row[0]) for row in rows)


def pause(connection: Connection, *, by: str = "", reason: str = "") -> bool:
    """Pause copy and replay until resume(); running work ends first. Return False if it was paused already.

    Raises:
        NoRun: there is no journal yet.
    """
    with connection.transaction():
        _make_table(connection)
        value = Jsonb({"by": by, "reason": reason})
        return connection.execute(_block("set_once"), {"name": PAUSE, "value": value}).rowcount == 1


def resume(connection: Connection) -> bool:
    """End a pause. Return False if there was none."""
    try:
        return connection.execute(_block("reset"), {"names": [PAUSE]}).rowcount == 1
    except _NO_TABLE:
        return False


def _make_table(connection: Connection) -> None:
    row = connection.execute(_block("journal")).fetchone()
    if row is None or not row[0]:
        raise NoRun(
            "There is no run of Tenantry in this database yet.",
            hint="Put settings for a new run into the manifest, section [throttle].",
        )
    if connection.execute("select to_regclass('tenantry.setting')").fetchone() == (None,):
        connection.execute(throttle_ddl())


def _block(name: str) -> str:
    return load_blocks(_PACKAGE, "look")[name]
