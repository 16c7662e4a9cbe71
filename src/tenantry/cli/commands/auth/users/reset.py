"""tenantry auth users reset: a one-time link with which a user sets a new password."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.auth.users import LinkSettings, find_users, need_accounts, one_time_link
from tenantry.cli.auth_options import DEFAULT_CONFIG, ConfigPath, auth_values
from tenantry.cli.command import command
from tenantry.cli.console import err, print_json, print_text
from tenantry.cli.database import accounts_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath


@command(
    "tenantry auth users reset ada@app.example",
    "tenantry auth users reset ada@app.example --mail",
    exit_1="there is no such account, or the mail was not sent",
)
def reset(
    user: Annotated[str, typer.Argument(help="Id or e-mail address.")],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    config: ConfigPath = DEFAULT_CONFIG,
    mail: Annotated[bool, typer.Option("--mail", help="Send the link by mail instead of printing it.")] = False,
    invite: Annotated[
        bool, typer.Option("--invite", help="An invitation instead: it also confirms the address.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a link, and a code, with which a user signs in once and sets a new password. Earlier links stop working.

    Whoever has the link has the account: hand it over in person, or give --mail. Addresses are those of API_EXTERNAL_URL and
    GOTRUE_SITE_URL.
    """
    values = auth_values(config)
    from tenantry.auth.users.send import LinkMailer  # noqa: PLC0415 - needs the extra

    links = LinkSettings.read(values)
    mailer = LinkMailer(values, links) if mail else None
    with accounts_database(dsn, manifest) as connection:
        need_accounts(connection)
        (account,) = find_users(connection, [user])
        made = one_time_link(connection, account, "invite" if invite else "recovery", links)
    if mailer is not None:
        mailer.send(made)
    if as_json:
        print_json({"id": account, "mailed": mail, **({} if mail else {"link": made.link, "code": made.code})})
    elif mail:
        err.print(f"The link was sent. It works for {made.seconds // 3600} hours, once.")
    else:
        print_text(f"Link: {made.link}\nCode: {made.code}")
        err.print(f"It works for {made.seconds // 3600} hours, once.")
