"""tenantry auth users show: one account."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.auth.users import need_accounts, show_account
from tenantry.cli.command import command
from tenantry.cli.console import out, print_json
from tenantry.cli.database import accounts_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.report.terminal import sign_in as view


@command("tenantry auth users show ada@app.example", exit_1="there is no such account")
def show(
    user: Annotated[str, typer.Argument(help="Id or e-mail address.")],
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Show an account with its identities, second factors and its 100 newest sessions."""
    with accounts_database(dsn, manifest) as connection:
        need_accounts(connection)
        shown = show_account(connection, user)
    print_json(shown) if as_json else view.account(out, shown)
