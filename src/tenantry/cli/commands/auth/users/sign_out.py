"""tenantry auth users sign-out: end sessions."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.auth.users import find_users, need_accounts, sign_out_everyone, sign_out_users
from tenantry.cli.command import command
from tenantry.cli.console import confirmed, err, print_json
from tenantry.cli.database import accounts_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath, Yes
from tenantry.errors import SettingsError


@command(
    "tenantry auth users sign-out ada@app.example",
    "tenantry auth users sign-out --everyone --yes",
    exit_1="there is no such account",
)
def sign_out(
    users: Annotated[list[str] | None, typer.Argument(help="Ids or e-mail addresses.", show_default=False)] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="All users, for example after a leak.")] = False,
    yes: Yes = False,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Sign users out everywhere: their sessions and refresh tokens end.

    An application that does not look at the database accepts their access tokens until they expire, within GOTRUE_JWT_EXP.
    """
    if bool(users) == everyone:
        raise SettingsError("Name users, or give --everyone.", hint="`tenantry auth users list` shows them.")
    if everyone and not yes:
        question = "Sign out everyone?"
        hint = "Give --yes to sign out everyone without a question."
        if not confirmed(question, otherwise="Everyone would be signed out.", hint=hint):
            raise typer.Exit(1)
    with accounts_database(dsn, manifest) as connection:
        need_accounts(connection)
        ended = (
            sign_out_everyone(connection)
            if everyone
            else sign_out_users(connection, find_users(connection, users or []))
        )
    if as_json:
        print_json({"sessions_ended": ended})
    else:
        err.print(f"{ended:,} sessions ended.")
