"""tenantry auth handover: schema auth for a Supabase Auth server."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tenantry.auth.handover import Handover, HandoverState, hand_over, handover_script, read_handover
from tenantry.auth.handover.migrations import LAST_SERVER
from tenantry.cli.command import command
from tenantry.cli.console import err, print_json, print_text
from tenantry.cli.database import accounts_database
from tenantry.cli.options import AsJson, Dsn, ManifestPath


@command(
    "tenantry auth handover > handover.sql",
    "tenantry auth handover --apply",
    "tenantry auth handover --check",
    exit_1="--check: an object of a listed migration is missing",
)
def handover(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    apply: Annotated[bool, typer.Option("--apply", help="Run the script, as the owner of schema auth.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read how far a Supabase Auth server took the schema.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print, or run, the script after which a Supabase Auth server can take over schema auth.

    The script lists, in auth.schema_migrations, the migrations that the schema already contains. The server then runs only its others,
    and both can read the schema from then on. Stop one server before you start the other.
    """
    if not apply and not check:
        print_json({"script": handover_script()}) if as_json else print_text(handover_script())
        return
    with accounts_database(dsn, manifest) as connection:
        found = hand_over(connection) if apply else read_handover(connection)
    if as_json:
        print_json(asdict(found))
    else:
        _show(found)
    if found.missing:
        raise typer.Exit(1)


def _show(found: Handover) -> None:
    if found.state is HandoverState.OURS:
        err.print("Not prepared: no migration of Supabase Auth is listed. Run `tenantry auth handover --apply`.")
    elif found.state is HandoverState.PREPARED:
        err.print(f"Prepared: {found.listed} migrations are listed. A Supabase Auth server can start.")
    else:
        err.print(f"A Supabase Auth server has taken over: {found.listed} migrations are listed.")
    if found.unlisted and found.state is not HandoverState.OURS:
        err.print(f"Not listed, and to be: {', '.join(found.unlisted)}. Run `tenantry auth handover --apply`.")
    if found.unknown:
        err.print(
            f"Newer than Supabase Auth {LAST_SERVER}, and not known here: {', '.join(found.unknown)}."
            " Tenantry's own server was not tested with them."
        )
    for name in found.missing:
        err.print(f"Missing, although its migration is listed: {name}")
