"""tenantry roles: the database roles."""

from __future__ import annotations

from typing import Annotated

import typer

from tenantry.access import make_roles, roles_sql
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, print_json, print_text
from tenantry.cli.database import connected
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.manifest import load_named
from tenantry.plan import read_environment
from tenantry.settings import read_settings


@command("tenantry roles > roles.sql", "tenantry roles --apply", section=HelpSection.BEFORE)
def roles(
    dsn: Dsn = None,
    manifest: ManifestPath = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the script (the default).")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Run the script; needs a superuser, or CREATEROLE.")] = False,
    owner: Annotated[
        str | None,
        typer.Option(help="The role that owns the tables and migrates.", show_default="the role that connects"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print, or run, the script that creates the database roles and prepares this database.

    A DBA runs it once in each database that is migrated: roles belong to the cluster, but the right to create temporary tables
    belongs to a database. Only `name` and [database_roles] are read from the manifest; the rest may be unfinished.
    """
    del sql
    settings = read_settings(dsn=dsn, manifest=manifest)
    loaded = load_named(settings.need_manifest())
    with connected(settings, loaded) as (_, connection):
        environment = read_environment(connection)
        script = roles_sql(loaded, owner=owner or environment.user, database=environment.database)
        if apply:
            make_roles(connection, script)
            err.print("Roles created.")
    if as_json:
        print_json({"script": script, "applied": apply})
    elif not apply:
        print_text(script)
