"""The settings file of the sign-in server, auth.env: NAME='value' lines that only this user can read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from psycopg.conninfo import conninfo_to_dict

from tenantry.auth.settings import file_values
from tenantry.errors import SettingsError

SETTINGS_FILE = "auth.env"
KEYS_NAME = "auth-keys.json"
_NOT_THE_LOGINS = frozenset(
    {
        "user",
        "password",
        "passfile",
        "service",
        "servicefile",
        "options",
        "application_name",
        "sslcert",
        "sslkey",
        "sslpassword",
    }
)
"""Parameters of the administrator's connection that are not the server's."""


@dataclass(frozen=True, slots=True)
class ServerAddresses:
    """
    Attributes:
        external: where clients reach the server, with the path if it is mounted under one.
        site: the application, to which links lead back.
    """

    external: str
    site: str


def database_url(dsn: str, login: str, password: str) -> str:
    """Return a URL for the login, to the database that a connection string leads to."""
    found = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value and name not in _NOT_THE_LOGINS}
    host, port, name = found.pop("host", ""), found.pop("port", ""), found.pop("dbname", "")
    if host.startswith(("/", "@")) or "," in host:
        # A socket's folder, and several hosts, stand in the query.
        found = {"host": host, **({"port": port} if port else {}), **found}
        host = port = ""
    place = f"[{host}]" if ":" in host else quote(host, safe="")
    query = urlencode(found, quote_via=quote)
    return (
        f"postgresql://{quote(login, safe='')}:{quote(password, safe='')}@{place}{':' + port if port else ''}/{quote(name, safe='')}"
        f"{'?' + query if query else ''}"
    )


def settings_text(url: str, addresses: ServerAddresses, keys: Path | None) -> str:
    """Return the content of a new file.

    Raises:
        SettingsError: a value has a character that such a file cannot hold.
    """
    return f"""\
# Settings of `tenantry auth serve`, with the names of Supabase Auth. Values of the environment count before these.
# The password of the database's login is in this file: keep it to yourself (mode 600).

DATABASE_URL={_quoted(url)}
API_EXTERNAL_URL={_quoted(addresses.external)}
GOTRUE_SITE_URL={_quoted(addresses.site)}
# Where links may lead back to besides the site, separated by commas; * and ** are wildcards.
#GOTRUE_URI_ALLOW_LIST='https://app.example.org/**'

{f"GOTRUE_JWT_KEYS_FILE={_quoted(str(keys))}" if keys is not None else "# The signing keys are in the environment."}
GOTRUE_JWT_EXP=3600

# Users sign in once they have confirmed their address.
GOTRUE_MAILER_AUTOCONFIRM=false
{_mail_lines(addresses)}"""


def _mail_lines(addresses: ServerAddresses) -> str:
    """Return the settings of mail: for a site on this machine those of `tenantry auth mail`; for others, what has to be filled in."""
    if urlsplit(addresses.site).hostname in {"localhost", "127.0.0.1", "::1"}:
        return """\
# The mail server of development: `tenantry auth mail` catches mails and shows them at http://127.0.0.1:8025/.
GOTRUE_SMTP_HOST='127.0.0.1'
GOTRUE_SMTP_PORT=1025
GOTRUE_SMTP_ADMIN_EMAIL='no-reply@example.org'
"""
    return """\
# Without a mail server nobody can confirm an address, and nothing that needs a mail is served.
#GOTRUE_SMTP_HOST='smtp.example.org'
#GOTRUE_SMTP_PORT=587
#GOTRUE_SMTP_USER=
#GOTRUE_SMTP_PASS=
#GOTRUE_SMTP_ADMIN_EMAIL='no-reply@example.org'
#GOTRUE_SMTP_SENDER_NAME=
"""


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Return the content of a file with these values in place of earlier ones of the same names.

    Raises:
        SettingsError: a value has a character that such a file cannot hold.
    """
    kept = [line for line in text.splitlines() if line.partition("=")[0].removeprefix("export ").strip() not in values]
    return "\n".join([*kept, *(f"{name}={_quoted(value)}" for name, value in values.items())]) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a new file that only this user can read.

    Raises:
        SettingsError: it exists, or cannot be written.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}.", hint="Name a file that does not exist yet."
        ) from None
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)


def replace_private(path: Path, text: str) -> None:
    """Replace a file's content at once, for the same account; nobody else can read it.

    Raises:
        SettingsError: it cannot be written, or belongs to another account, and this is not root.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        owner = target.stat()
        write_private(temporary, text)
        if owner.st_uid != os.geteuid() or owner.st_gid != os.getegid():
            os.chown(temporary, owner.st_uid, owner.st_gid)
        temporary.replace(target)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be replaced: {error.strerror}.", hint="Run the command as the account that owns it."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def read_settings_file(path: Path) -> Mapping[str, str]:
    """Return the names and values of a file; empty if there is none.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}."
        ) from None
    return file_values(text)


def known_password(values: Mapping[str, str], login: str) -> str | None:
    """Return the password that settings have for the login in DATABASE_URL, if any."""
    try:
        found = conninfo_to_dict(values.get("DATABASE_URL", ""))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, its text may hold a password
        return None
    return str(found["password"]) if found.get("user") == login and found.get("password") else None


def same_database(first: str, second: str) -> bool:
    """Whether two connection strings name the same host, port and database; another name of the same host counts as another."""

    def place(dsn: str) -> tuple[str, str, str]:
        found = conninfo_to_dict(dsn)
        return tuple(
            str(found.get(name) or default) for name, default in (("host", ""), ("port", "5432"), ("dbname", ""))
        )  # type: ignore[return-value]

    try:
        return place(first) == place(second)
    except Exception:  # noqa: BLE001 - as above
        return False


def _quoted(value: str) -> str:
    if any(sign in value for sign in "'\\\r\n\0"):
        raise SettingsError("A value has a quote, a backslash or a line break, which a settings file cannot hold.")
    return f"'{value}'"
