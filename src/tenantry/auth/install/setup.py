"""The whole installation: database, login, signing key, settings file, the first administrator. Run again, it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tenantry.auth.errors import ServerPasswordUnknown
from tenantry.auth.install.database import Installed, install_database, login_exists, need_own_schema, new_password
from tenantry.auth.install.settings_file import (
    KEYS_NAME,
    SETTINGS_FILE,
    ServerAddresses,
    database_url,
    known_password,
    read_settings_file,
    replace_private,
    same_database,
    settings_text,
    with_values,
    write_private,
)
from tenantry.auth.keys import KEYS_FILE, create_keys, load_keys
from tenantry.errors import SettingsError

PASSWORD = "TENANTRY_AUTH_DB_PASSWORD"  # noqa: S105 - the name of the variable
_KEYS_ELSEWHERE = ("GOTRUE_JWT_KEYS", "JWT_KEYS", "GOTRUE_JWT_SECRET", "JWT_SECRET")


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """
    Attributes:
        folder: where the settings file and the file of keys are, or will be.
        new_password: give an existing login a new password, and write the settings file again.
    """

    dsn: str
    folder: Path
    login: str
    addresses: ServerAddresses
    new_password: bool = False


@dataclass(frozen=True, slots=True)
class SetupDone:
    """
    Attributes:
        keys: the file of signing keys; None: keys are in the environment.
        elsewhere: the settings file was there, and leads to another database or another login than this one.
    """

    database: Installed
    settings: Path
    created_settings: bool
    keys: Path | None
    created_keys: bool
    elsewhere: bool = False

    @property
    def changed(self) -> bool:
        return self.database.changed or self.created_settings or self.created_keys


def set_up(connection: psycopg.Connection[Any], request: SetupRequest, environment: Mapping[str, str]) -> SetupDone:
    """Prepare everything that `tenantry auth serve` needs, and keep what is there.

    Raises:
        AuthSchemaForeign, ServerLoginUnfit, RightsMissing: as install_database().
        ServerPasswordUnknown: the login exists, and its password is neither in the environment nor in the settings file.
        SigningKeysWrong, SigningKeysExposed: the keys that are there cannot be used.
        SettingsError: a file cannot be read or written.
    """
    if not request.folder.is_dir():
        raise SettingsError(
            f"{request.folder} is not a folder. Nothing was changed.", hint="Create it, or give another --folder."
        )
    need_own_schema(connection)
    path = request.folder / SETTINGS_FILE
    there = read_settings_file(path)
    exists = login_exists(connection, request.login)
    password, is_new = _password(request, environment, there, exists=exists)
    keys, created_keys = _keys(request.folder, {**there, **environment})
    lacking = _lacking(request, {**there, **environment}, keys)
    # A new password is written down, or it is lost.
    if is_new and known_password(there, request.login) != password:
        lacking["DATABASE_URL"] = database_url(request.dsn, request.login, password)
    created = not there or bool(lacking)
    replaced = path.read_text(encoding="utf-8") if path.exists() and created else None
    if replaced is not None:
        replace_private(path, with_values(replaced, lacking))
    elif created:
        url = database_url(request.dsn, request.login, password)
        write_private(path, settings_text(url, request.addresses, keys))
    try:
        installed = install_database(connection, request.login, password if is_new or not exists else None)
    except BaseException:
        # The password in the new file counts nowhere.
        if replaced is not None:
            replace_private(path, replaced)
        elif created:
            path.unlink(missing_ok=True)
        raise
    url = there.get("DATABASE_URL", "")
    elsewhere = not created and not (same_database(url, request.dsn) and known_password(there, request.login))
    return SetupDone(installed, path, created, keys, created_keys, elsewhere)


def _lacking(request: SetupRequest, values: Mapping[str, str], keys: Path | None) -> dict[str, str]:
    """Return what an existing settings file needs besides the database."""
    wanted = {
        "API_EXTERNAL_URL": (request.addresses.external, "GOTRUE_API_EXTERNAL_URL"),
        "GOTRUE_SITE_URL": (request.addresses.site, "SITE_URL"),
        **({KEYS_FILE: (str(keys), "JWT_KEYS_FILE")} if keys is not None else {}),
    }
    return {name: value for name, (value, other) in wanted.items() if not values.get(name) and not values.get(other)}


def _password(
    request: SetupRequest, environment: Mapping[str, str], there: Mapping[str, str], *, exists: bool
) -> tuple[str, bool]:
    """Return the login's password, and whether it has to be set."""
    given = environment.get(PASSWORD)
    if request.new_password or not exists:
        kept = None if request.new_password else known_password(there, request.login)
        return given or kept or new_password(), True
    known = given or known_password(there, request.login)
    if known is None or not _opens(database_url(request.dsn, request.login, known)):
        problem = (
            "its password is not known here" if known is None else "it does not accept the password that is known here"
        )
        raise ServerPasswordUnknown(
            f"The login {request.login} exists, and {problem}. Nothing was changed.",
            hint=f"Give it in {PASSWORD}, or set a new one with --new-password; servers that use the old one must be told.",
        )
    return known, False


def _opens(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.Error:
        return False
    return True


def _keys(folder: Path, values: Mapping[str, str]) -> tuple[Path | None, bool]:
    """Return the file of keys, checked, and whether it was created."""
    named = values.get(KEYS_FILE) or values.get("JWT_KEYS_FILE")
    if not named and any(values.get(name) for name in _KEYS_ELSEWHERE):
        load_keys(None, values)
        return None, False
    path = Path(named) if named else (folder / KEYS_NAME).absolute()
    if path.exists():
        load_keys(path, {})
        return path, False
    create_keys(path)
    return path, True
