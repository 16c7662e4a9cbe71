"""What `tenantry auth init` does: the installation, then the first administrator and a service token where they are asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tenantry.auth.errors import MailNotSent
from tenantry.auth.install.administrator import AdministratorMade, create_administrator, service_token
from tenantry.auth.install.rights import wanted_rights
from tenantry.auth.install.settings_file import read_settings_file, write_private
from tenantry.auth.install.setup import SetupDone, SetupRequest, set_up
from tenantry.auth.keys import load_keys, note_token
from tenantry.auth.users import LinkSettings, OneTimeLink, one_time_link
from tenantry.auth.users.send import LinkMailer
from tenantry.errors import SettingsError


@dataclass(frozen=True, slots=True)
class FirstAccounts:
    """
    Attributes:
        admin_email: None: no administrator is asked for.
        mail_link: send the administrator's link instead of returning it.
        token_file: where a service token is written; None and not `show_token`: none is made.
        token_seconds: its lifetime.
    """

    admin_email: str | None = None
    mail_link: bool = False
    token_file: Path | None = None
    show_token: bool = False
    token_seconds: float = 365 * 86400.0


@dataclass(frozen=True, slots=True)
class InitDone:
    """
    Attributes:
        link: the new administrator's one-time link, unless it was mailed.
        token: the service token, if it is to be shown.
        problem: a mail that was not sent; everything else is done.
    """

    setup: SetupDone
    administrator: AdministratorMade | None = None
    link: OneTimeLink | None = None
    token: str | None = None
    token_file: Path | None = None
    problem: MailNotSent | None = None

    def to_json(self) -> dict[str, object]:
        database = self.setup.database
        shown: dict[str, object] = {
            "changed": self.setup.changed or bool(self.administrator and self.administrator.created),
            "schema_before": database.schema.value,
            "created_login": database.created_login,
            "granted": [str(each) for each in database.granted],
            "excess": [str(each) for each in database.excess],
            "settings": {
                "file": str(self.setup.settings),
                "created": self.setup.created_settings,
                "elsewhere": self.setup.elsewhere,
            },
            "keys": {"file": str(self.setup.keys) if self.setup.keys else None, "created": self.setup.created_keys},
        }
        if self.administrator is not None:
            shown["administrator"] = {"id": self.administrator.id, "created": self.administrator.created}
        if self.link is not None:
            shown["link"] = {"url": self.link.link, "code": self.link.code}
        if self.token is not None:
            shown["service_token"] = self.token
        if self.token_file is not None:
            shown["service_token_file"] = str(self.token_file)
        return shown


def initialize(
    connection: psycopg.Connection[Any], request: SetupRequest, first: FirstAccounts, environment: Mapping[str, str]
) -> InitDone:
    """Prepare what `tenantry auth serve` needs; see set_up().

    Raises:
        SettingsError: the token's file exists, or the administrator's address belongs to another account.
    """
    if first.token_file is not None and first.token_file.exists():
        raise SettingsError(
            f"{first.token_file} exists. Nothing was changed.", hint="Name a file that does not exist yet."
        )
    setup = set_up(connection, request, environment)
    values = {**read_settings_file(setup.settings), **environment}
    administrator, link, problem = _administrator(connection, first, values)
    token = _token(first, setup, values) if first.show_token or first.token_file is not None else None
    if first.token_file is not None and token is not None:
        write_private(first.token_file, token + "\n")
    return InitDone(setup, administrator, link, token if first.show_token else None, first.token_file, problem)


def _administrator(
    connection: psycopg.Connection[Any], first: FirstAccounts, values: Mapping[str, str]
) -> tuple[AdministratorMade | None, OneTimeLink | None, MailNotSent | None]:
    if first.admin_email is None:
        return None, None, None
    links = LinkSettings.read(values)
    mailer = LinkMailer(values, links) if first.mail_link else None
    with connection.transaction():
        made = create_administrator(connection, first.admin_email)
        link = one_time_link(connection, made.id, "invite", links) if made.created else None
    if mailer is None or link is None:
        return made, link, None
    try:
        mailer.send(link)
    except MailNotSent as problem:
        return made, None, problem
    return made, None, None


def _token(first: FirstAccounts, setup: SetupDone, values: Mapping[str, str]) -> str:
    key = load_keys(setup.keys, {} if setup.keys else values).keys().current(time.time())
    token, expires = service_token(key, issuer=LinkSettings.read(values).external, seconds=first.token_seconds)
    if setup.keys is not None:
        note_token(setup.keys, key.kid, expires)
    return token


def grants_text() -> str:
    """Return every right of the server's login, one in a line."""
    lines = [str(each) for each in sorted(wanted_rights(()))]
    return "\n".join([*lines, "execute on every function of schema tenantry_auth"])
