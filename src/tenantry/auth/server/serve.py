"""Starts the sign-in server from its settings, after it has checked that it can serve.

`application()` is a factory for any ASGI server: `uvicorn --factory tenantry.auth.server.serve:application`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psycopg
import uvicorn
from starlette.applications import Starlette

from tenantry.auth.keys import load_keys
from tenantry.auth.mail import Mailer, MailTemplates, SmtpSender, read_mail_settings
from tenantry.auth.passwords import Passwords
from tenantry.auth.server.app import sign_in_app
from tenantry.auth.server.database import Database
from tenantry.auth.server.errors import AddressTaken, SignInLoginUnfit, SignInNotInstalled
from tenantry.auth.server.state import Outbox, SignInServer
from tenantry.auth.settings import SignInSettings, read_values, sign_in_settings
from tenantry.postgres import connect, load_blocks

CONFIG = "TENANTRY_AUTH_CONFIG"
"""The variable that names the settings file."""


def application() -> Starlette:
    """Return the application with the settings of the environment, and of the file that TENANTRY_AUTH_CONFIG names.

    Raises:
        SettingsError, SigningKeysWrong: what is missing or impossible.
    """
    named = os.environ.get(CONFIG)
    return sign_in_app(build(read_values(os.environ, Path(named) if named else None)))


def build(values: Mapping[str, str]) -> SignInServer:
    """Return a server with these settings. Nothing is connected yet.

    Raises:
        SettingsError, SigningKeysWrong, SigningKeysExposed: what is missing or impossible.
    """
    settings = sign_in_settings(values)
    return SignInServer(
        settings,
        load_keys(None, values),
        Passwords(settings.bcrypt_threads),
        Database(settings.database_url.get_secret_value(), settings.pool_size),
        outbox_of(values),
    )


def outbox_of(values: Mapping[str, str]) -> Outbox | None:
    """Return where mails go; None without a mail server."""
    mail = read_mail_settings(values)
    return Mailer(SmtpSender(mail.smtp), MailTemplates(mail)) if mail.smtp is not None else None


def check_database(settings: SignInSettings) -> None:
    """Connect as the server will, and check that it finds what it needs, with no more rights than it should have.

    Raises:
        ServerUnreachable, LoginRefused …: the database does not answer, or refuses the login.
        SignInNotInstalled: schema auth or the server's own objects are missing, or the login may not use them.
        SignInLoginUnfit: the login is a superuser, bypasses row-level security, or owns the accounts.
    """
    with connect(settings.database_url.get_secret_value(), name="tenantry: sign-in") as connection:
        row = connection.execute(load_blocks("tenantry.auth.server.sql", "check")["fit"].encode()).fetchone()
        assert row is not None
        login, unfit, missing = str(row[0]), list(row[1]), list(row[2])  # type: ignore[call-overload]
        if unfit:
            raise SignInLoginUnfit(f"The sign-in server does not run as {login}: {', '.join(unfit)}.")
        if missing:
            raise SignInNotInstalled(f"The database lacks what the sign-in server needs: {', '.join(missing)}.")
        try:
            connection.execute("select from auth.users limit 1")
            connection.execute("select from tenantry_auth.rate_limits limit 1")
        except psycopg.errors.InsufficientPrivilege:
            raise SignInNotInstalled(f"{login} has no rights on the accounts of this database.") from None


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket of an address.

    Raises:
        AddressTaken: another process listens there, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except OSError as problem:
        made.close()
        raise AddressTaken(
            f"Port {port} of {host} cannot be used: {(problem.strerror or 'unknown').lower()}."
        ) from None
    return made


def serve(values: Mapping[str, str], listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are completed first."""
    config = uvicorn.Config(
        sign_in_app(build(values)),
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=values.get("FORWARDED_ALLOW_IPS", "127.0.0.1"),
        timeout_graceful_shutdown=15,
        limit_concurrency=2000,
    )
    # The server ends as it was told to, and then sends the signal once more.
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


__all__ = ["application", "bound_socket", "build", "check_database", "outbox_of", "serve"]
