"""tenantry users push: create the accounts of a run at a hosted Supabase."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.auth_admin.actions import Ran, refused, run_actions, undo_actions
from tenantry.auth_admin.mirror import actions, count_actions
from tenantry.cli.admin_api import Rate, Url, admin_client, warn_of_auto_confirm
from tenantry.cli.command import command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import need_run, prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.cli.progress import Bars
from tenantry.postgres import connect
from tenantry.report.terminal import users as view


@command(
    "tenantry users push --url https://project.example",
    "tenantry users push --url https://project.example --undo",
    exit_1="some accounts were refused",
)
def push(
    url: Url,
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    rate: Rate = 10.0,
    undo: Annotated[
        bool, typer.Option("--undo", help="Delete the accounts that a push created there, and no others.")
    ] = False,
    retry_refused: Annotated[
        bool, typer.Option("--retry-refused", help="Also retry accounts that were refused before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create the accounts of a run at a hosted Supabase, through its admin API: with the same ids, passwords where their hash can be
    kept, and invitations.

    It works in batches and can be stopped and rerun; no user gets two accounts. The service key is read from TENANTRY_AUTH_KEY. Undo
    it with --undo before `tenantry rollback --everything`. `--json` lists what was refused.
    """
    with admin_client(url, rate) as client, prepared_project(dsn, manifest) as (address, connection, prepared):
        need_run(prepared, "Run `tenantry migrate` first.")
        if undo:
            gone = undo_actions(connection, client)
            if as_json:
                print_json({"deleted": gone})
            else:
                out.print(f"{gone:,} accounts were deleted.")
            return
        warn_of_auto_confirm(client)
        with connect(address, name="tenantry: users") as reading, Bars(err, quiet=as_json) as bars:
            total = count_actions(reading)

            def told(ran: Ran) -> None:
                bars.count("creating accounts", ran.done + ran.refused + ran.before, total)

            ran = run_actions(connection, client, actions(reading), again=retry_refused, progress=told)
        problems = refused(connection)
    if as_json:
        listed = [{"old_id": each.source_key, "kind": each.kind, "code": each.error_code} for each in problems]
        print_json({"done": ran.done, "before": ran.before, "refused": listed})
    else:
        view.pushed(out, ran, problems)
    if problems:
        raise typer.Exit(1)
