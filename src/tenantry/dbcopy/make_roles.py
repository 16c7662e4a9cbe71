"""Creates, on another server, the roles of the original that a copy needs."""

from __future__ import annotations

from typing import Any

from tenantry.dbcopy.maker import CopyMaker
from tenantry.dbcopy.original import SQL
from tenantry.journal.journal import Connection
from tenantry.postgres import ident, literal, load_blocks


def make_roles(maker: CopyMaker, admin: Connection) -> None:
    """Create, on an embedded server, the roles that own the original's objects, and a login with the migrator's
    attributes."""
    catalog, original = maker.original.catalog, maker.original
    wanted = {original.user, original.login, catalog.owner, *(grant.grantee for grant in catalog.grants)}
    objects: list[Any] = [*catalog.tables, *catalog.views, *catalog.functions, *catalog.sequences]
    for each in (*objects, *catalog.enums, *catalog.domains, *catalog.composites):
        # Only tables have policies.
        roles = [role for policy in getattr(each, "policies", ()) for role in policy.roles]
        wanted |= {each.owner, *(grant.grantee for grant in each.grants), *roles}
    wanted = {name for name in wanted if name and name.upper() != "PUBLIC" and not name.startswith("pg_")}
    made = maker.connection.execute(
        load_blocks(SQL, "duplicate")["roles"], {"names": sorted(wanted), "login": original.login}
    ).fetchall()
    for name, attributes, _ in made:
        admin.execute(
            f"do $$ begin if to_regrole({literal(ident(name))}) is null then create role {ident(name)} {attributes};"
            " end if; exception when duplicate_object or unique_violation then null; end $$".encode()
        )
    # Create all of them first: any role may be granted to any other.
    for name, _, granted in made:
        for other in granted:
            admin.execute(f"grant {ident(other)} to {ident(name)}".encode())
