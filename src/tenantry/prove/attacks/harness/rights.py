"""Queries of the catalog, for databases on which nothing may be tried: which right would allow an attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from tenantry.access.telling_columns import owned_by_the_service
from tenantry.mapping.client_columns import columns_in
from tenantry.mapping.project import Project
from tenantry.postgres import ident, load_blocks
from tenantry.prove.attacks.harness.model import Rights

_SHOWN = 3


def right(name: str) -> Rights:
    """Return the query of this name in rights.sql; its answer names the first rights that were found."""

    def ask(connection: psycopg.Connection[Any], project: Project) -> str | None:
        roles = project.manifest.database_roles
        parameters = {
            "schema": project.target.schema,
            "client": roles.authenticated,
            "anon": roles.anon,
            "login": roles.login,
            "tenant": project.manifest.tenant.column,
        }
        statement = load_blocks("tenantry.prove.attacks.harness.sql", "rights")[name]
        return _first([str(row[0]) for row in connection.execute(statement.encode(), parameters)])

    return ask


def unsealed(_connection: psycopg.Connection[Any], project: Project) -> str | None:
    """Answer from the manifest: without sealed contexts, every statement can set its own claims."""
    if project.manifest.context.sealed:
        return None
    return "claims are read from a plain setting ([context] sealed = false), which any statement may set"


def acceptance(connection: psycopg.Connection[Any], project: Project) -> str | None:
    """Find where clients, who make shares, may also write the columns that record the other tenant's acceptance."""
    client = project.manifest.database_roles.authenticated
    found = []
    for share in project.manifest.shares.values():
        table = project.target.table(share.table)
        for column in sorted(columns_in(share.accepted, table)) if table is not None else ():
            rights = connection.execute(
                "select r from unnest(array['INSERT', 'UPDATE']) as r where has_column_privilege(%s, %s::regclass, %s, r)",
                [client, ident(project.target.schema, share.table), column],
            ).fetchall()
            found += [f"{client} has {right} of {share.table}.{column}" for (right,) in rights]
    return _first(list(dict.fromkeys(found)))


def service_columns(connection: psycopg.Connection[Any], project: Project) -> str | None:
    """Find columns that clients may write although their names suggest the application writes them and the manifest does not open them."""
    client = project.manifest.database_roles.authenticated
    found = []
    for table, command, columns in owned_by_the_service(project):
        rows = connection.execute(
            "select c from unnest(%s::text[]) as c where has_column_privilege(%s, %s::regclass, c, %s)",
            [list(columns), client, ident(table.schema, table.name), command],
        ).fetchall()
        found += [f"{client} has {command.upper()} of {table.name}.{column}" for (column,) in rows]
    return _first(found)


def _first(found: Sequence[str]) -> str | None:
    """Return the first finding and the number of further ones; None if there is none."""
    if not found:
        return None
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more


def any_of(*questions: Rights) -> Rights:
    """Return a query that joins the findings of several queries."""

    def ask(connection: psycopg.Connection[Any], project: Project) -> str | None:
        found = [answer for question in questions for answer in [question(connection, project)] if answer]
        return "; ".join(found) or None

    return ask


__all__ = ["acceptance", "any_of", "right", "service_columns", "unsealed"]
