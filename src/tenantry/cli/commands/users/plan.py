"""tenantry users plan: what would become of the users."""

from __future__ import annotations

from tenantry.accounts.outcomes import preview
from tenantry.catalog.hidden import need_rows_of
from tenantry.cli.command import command
from tenantry.cli.console import err, out, print_json
from tenantry.cli.database import prepared_project
from tenantry.cli.options import AsJson, Dsn, ManifestPath
from tenantry.migrate.session.visibility import source_names
from tenantry.report.terminal import users as view


@command("tenantry users plan")
def plan(dsn: Dsn = None, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """Show what would become of the users: who is linked to an account, who gets one, and who is left without.

    Reads only. The manifest's section [users] decides. Rows that the target would refuse are reported by `tenantry analyze`.
    """
    with prepared_project(dsn, manifest) as (_, connection, prepared):
        need_rows_of(connection, source_names(prepared.project))
        there, found = preview(connection, prepared.project, journal=prepared.run is not None)
    if as_json:
        print_json({"users": sum(each.count for each in found), "situations": [each.to_json() for each in found]})
        return
    if not there:
        err.print("This database has no auth.users yet: no user has an account.")
    view.fates(out, found, "what would be decided")
