"""Rights of clients on source tables that are left where they are, as `[source.access]` decides. Pure but for `read_left`.

Such tables get no policies: they belong to applications of the source, which a policy would bind. So a client that may read one reads
every row, and none writes. Rights that were there before the run are never revoked; what is more than decided is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from tenantry.access.difference import AccessDifference
from tenantry.access.grants import Right
from tenantry.catalog import PUBLIC, Grant
from tenantry.manifest import Manifest
from tenantry.mapping.project import Project
from tenantry.postgres import ident, load_blocks

HeldRights = Mapping[tuple[str, str], frozenset[str]]
"""By left table and client role: the rights that it has in effect, in capitals; none for a table that is gone."""


def readers(manifest: Manifest, table: str) -> tuple[str, ...]:
    """Return the client roles that may read a left table."""
    roles = manifest.database_roles
    return {
        "public": (roles.anon, roles.authenticated),
        "signed_in": (roles.authenticated,),
    }.get(manifest.source.access.get(table, "service"), ())


def decided_tables(manifest: Manifest) -> tuple[str, ...]:
    """Return the left tables with a decision, by name."""
    return tuple(sorted(manifest.source.access))


def left_statements(project: Project) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the grants that the source lacks, and the statements that take them back."""
    missing = list(_missing(project))
    return tuple(right.grant() for right in missing), tuple(right.revoke() for right in reversed(missing))


def _missing(project: Project) -> Iterator[Right]:
    source, manifest = project.source, project.manifest
    reading = {name: readers(manifest, name) for name in decided_tables(manifest)}
    everybody = tuple(dict.fromkeys(role for roles in reading.values() for role in roles))
    if lacking := _without(everybody, source.grants, "USAGE"):
        yield Right("schema", ident(source.schema), ("usage",), lacking)
    for name, roles in reading.items():
        table = source.table(name)
        if table is not None and (lacking := _without(roles, table.grants, "SELECT")):
            yield Right("table", ident(source.schema, name), ("select",), lacking)


def _without(roles: tuple[str, ...], grants: tuple[Grant, ...], privilege: str) -> tuple[str, ...]:
    held = {each.grantee for each in grants if each.privilege == privilege and each.column is None}
    return () if PUBLIC in held else tuple(role for role in roles if role not in held)


def read_left(connection: psycopg.Connection[Any], manifest: Manifest) -> HeldRights:
    """Read the rights that the client roles have on left tables with a decision, by PUBLIC and other roles too."""
    roles = manifest.database_roles
    rows = connection.execute(
        load_blocks("tenantry.access.sql", "live")["left"],
        {
            "schema": manifest.source.schema_name,
            "tables": list(decided_tables(manifest)),
            "roles": [roles.anon, roles.authenticated],
        },
    ).fetchall()
    return {(str(table), str(role)): frozenset(held) for table, role, held in rows}


def compare_left(manifest: Manifest, held: HeldRights) -> Iterator[AccessDifference]:
    """Compare the rights of clients on left tables with the manifest."""
    roles = manifest.database_roles
    schema = manifest.source.schema_name
    for table in decided_tables(manifest):
        name = ident(schema, table)
        for role in (roles.anon, roles.authenticated):
            want = {"SELECT"} if role in readers(manifest, table) else set[str]()
            got = held.get((table, role), frozenset())
            for right in sorted(want - got):
                yield AccessDifference(
                    "right", "missing", name, f"{right} for {role}", right, "none",
                    fix=(f"grant usage on schema {ident(schema)} to {ident(role)};", f"grant select on {name} to {ident(role)};"),
                )  # fmt: skip
            for right in sorted(got - want):
                yield AccessDifference(
                    "right", "extra", name, f"{right} for {role}", "none", right,
                    advice=f"Revoke it from {role} (or from PUBLIC) unless an application of the source needs it; this command never does.",
                )  # fmt: skip
