"""tenantry auth users ban: keep users out for a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from tenantry.auth.users import ban_users, find_users, need_accounts
from tenantry.cli.command import command
from tenantry.cli.console import err, print_json
from tenantry.cli.database import accounts_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath, duration


@command("tenantry auth users ban ada@app.example --for 7d", exit_1="there is no such account")
def ban(
    users: Annotated[list[str], typer.Argument(help="Ids or e-mail addresses.")],
    duration_: Annotated[str, typer.Option("--for", help="How long: 12h, 7d. Default: 100 years.")] = "36500d",
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Ban users: they cannot sign in, and their sessions end.

    An application that does not look at the database accepts their access tokens until they expire, within GOTRUE_JWT_EXP.
    """
    until = datetime.now(UTC) + timedelta(seconds=duration(duration_))
    with accounts_database(dsn, manifest) as connection:
        need_accounts(connection)
        banned, ended = ban_users(connection, find_users(connection, users), until)
    if as_json:
        print_json({"banned": banned, "until": until, "sessions_ended": ended})
    else:
        err.print(f"{banned:,} banned until {until:%Y-%m-%d %H:%M} UTC; {ended:,} sessions ended.")
