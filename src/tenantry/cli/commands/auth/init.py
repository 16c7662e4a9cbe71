"""tenantry auth init: a database that the sign-in server can serve."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tenantry.auth.users.links import web_address
from tenantry.cli.auth_options import need_auth_extra
from tenantry.cli.command import command
from tenantry.cli.console import err, print_json, print_text
from tenantry.cli.database import OWNER_DSN, any_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath, duration
from tenantry.errors import SettingsError
from tenantry.report.terminal import sign_in as view
from tenantry.settings import read_settings


@command(
    "tenantry auth init --dsn postgresql://owner@localhost/app",
    "tenantry auth init --admin-email ada@app.example",
    "tenantry auth init --sql > auth.sql",
    exit_1="a mail was not sent; everything else is done",
)
def init(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    folder: Annotated[
        Path,
        typer.Option("--folder", help="Where auth.env, the settings, and auth-keys.json, the signing key, are kept."),
    ] = Path(),
    login: Annotated[str, typer.Option(help="The login that the server uses; it is created.")] = "tenantry_auth_server",
    external_url: Annotated[
        str, typer.Option(help="The address under which clients reach the server.")
    ] = "http://127.0.0.1:9999",
    site_url: Annotated[
        str, typer.Option(help="The application's address, to which links lead back.")
    ] = "http://localhost:3000",
    admin_email: Annotated[
        str | None,
        typer.Option(help="Create the first administrator, and print a one-time link for them.", show_default=False),
    ] = None,
    mail_link: Annotated[
        bool, typer.Option("--mail-link", help="Send the administrator's link by mail instead of printing it.")
    ] = False,
    service_token: Annotated[
        Path | None,
        typer.Option(
            help="Write a token of the role service_role, for programs that administer accounts, to this new file.",
            show_default=False,
        ),
    ] = None,
    print_service_token: Annotated[
        bool, typer.Option("--print-service-token", help="Print that token on stdout.")
    ] = False,
    service_lifetime: Annotated[str, typer.Option(help="How long that token lives: 12h, 90d.")] = "365d",
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Give an existing login a new password, and write it to auth.env.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the script for a DBA, and do nothing.")] = False,
    show_grants: Annotated[
        bool, typer.Option("--show-grants", help="Print every right of the server's login, and do nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prepare a database and a folder for `tenantry auth serve`. Run again, it changes nothing and says what is there.

    It creates schema auth where it is missing, the server's own schema tenantry_auth, and a login that owns nothing and has rights on
    exactly the columns that the server uses. The login's password goes to auth.env, or is read from TENANTRY_AUTH_DB_PASSWORD; the
    first signing key goes to auth-keys.json. Both files have mode 600. A database of a Supabase is refused: its own server serves there.
    """
    need_auth_extra()
    from tenantry.auth.install.database import installation_sql  # noqa: PLC0415 - needs the extra
    from tenantry.auth.install.initialize import FirstAccounts, grants_text, initialize  # noqa: PLC0415
    from tenantry.auth.install.settings_file import ServerAddresses  # noqa: PLC0415
    from tenantry.auth.install.setup import SetupRequest  # noqa: PLC0415

    if sql or show_grants:
        text = installation_sql(login) if sql else grants_text()
        print_json({"script" if sql else "grants": text}) if as_json else print_text(text)
        return
    if read_settings(dsn=dsn, manifest=manifest).embedded:
        raise SettingsError(
            "The sign-in server needs a PostgreSQL that keeps running; the embedded one stops with each command.",
            hint=OWNER_DSN,
        )
    if service_token is not None and print_service_token:
        raise SettingsError("--service-token and --print-service-token exclude each other.", hint="Give one of them.")
    addresses = ServerAddresses(web_address(external_url, "--external-url"), web_address(site_url, "--site-url"))
    first = FirstAccounts(admin_email, mail_link, service_token, print_service_token, duration(service_lifetime))
    with any_database(dsn, manifest) as (address, connection, _):
        done = initialize(connection, SetupRequest(address, folder, login, addresses, new_password), first, os.environ)
    if as_json:
        print_json(done.to_json())
    else:
        view.installed(err, done, login)
        for secret in (done.link and f"Link: {done.link.link}\nCode: {done.link.code}", done.token):
            if secret:
                print_text(secret)
    if done.problem is not None:
        raise done.problem
