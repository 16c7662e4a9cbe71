"""tenantry auth users list: accounts, page by page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, cast
from uuid import UUID

import typer

from tenantry.auth.users import list_accounts, need_accounts
from tenantry.auth.users.find import STATES, State
from tenantry.cli.command import command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import accounts_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.errors import SettingsError
from tenantry.report.terminal import sign_in as view


@command("tenantry auth users list", "tenantry auth users list --state unconfirmed --size 20")
def list_(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    email: Annotated[str | None, typer.Option(help="Only addresses that contain this.", show_default=False)] = None,
    state: Annotated[
        str | None,
        typer.Option(help="Only accounts that are banned, unconfirmed, deleted or anonymous.", show_default=False),
    ] = None,
    size: Annotated[int, typer.Option(help="Accounts of a page.", min=1, max=10_000)] = 50,
    after: Annotated[
        UUID | None, typer.Option(help="Begin after this account: `next` of the page before.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the accounts, the newest first, with what keeps them from signing in."""
    if state is not None and state not in STATES:
        raise SettingsError(f"There is no state {state!r}.", hint=f"There are {', '.join(STATES)}.")
    with accounts_database(dsn, manifest) as connection:
        need_accounts(connection)
        page = list_accounts(connection, size=size, after=after, email=email, state=cast("State | None", state))
    if as_json:
        print_json({"users": [asdict(each) for each in page.users], "next": page.next})
        return
    view.accounts(out, page.users)
    if page.next is not None:
        err.print(f"There are more: --after {page.next}")
