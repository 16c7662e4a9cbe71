"""tenantry auth users unban: let users in again."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.auth.users import find_users, need_accounts, unban_users
from tenantry.cli.command import command
from tenantry.cli.console import err, print_json
from tenantry.cli.database import accounts_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath


@command("tenantry auth users unban ada@app.example", exit_1="there is no such account")
def unban(
    users: Annotated[list[str], typer.Argument(help="Ids or e-mail addresses.")],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Lift the ban of users; they sign in again."""
    with accounts_database(dsn, manifest) as connection:
        need_accounts(connection)
        lifted = unban_users(connection, find_users(connection, users))
    if as_json:
        print_json({"unbanned": lifted})
    else:
        err.print(f"{lifted:,} bans lifted.")
