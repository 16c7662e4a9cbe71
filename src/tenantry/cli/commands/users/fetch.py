"""tenantry users fetch: mirror the accounts of a hosted Supabase."""

from __future__ import annotations

from tenantry.auth_admin.mirror import fetch as fetch_accounts
from tenantry.cli.admin_api import Rate, Url, admin_client, warn_of_auto_confirm
from tenantry.cli.command import command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.cli.progress import Bars


@command("tenantry users fetch --url https://project.example")
def fetch(
    url: Url,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    rate: Rate = 10.0,
    as_json: AsJson = False,
) -> None:
    """Mirror the accounts of a hosted Supabase that is reachable only through its admin API, before a run links users to them.

    The service key is read from TENANTRY_AUTH_KEY. Rerun it to update the mirror.
    """
    with (
        admin_client(url, rate) as client,
        prepared_project(dsn, manifest) as (_, connection, _prepared),
        Bars(err, quiet=as_json) as bars,
    ):
        warn_of_auto_confirm(client)
        read = fetch_accounts(connection, client, lambda done, total: bars.count("fetching accounts", done, total))
        bars.count("fetching accounts", read, read)
    if as_json:
        print_json({"accounts": read})
    else:
        out.print(f"{read:,} accounts mirrored in auth.users.")
