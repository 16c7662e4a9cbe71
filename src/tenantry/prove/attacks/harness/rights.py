"""Questions to the catalog, for databases on which nothing may be tried: which right would allow an attack."""

from __future__ import annotations

from typing import Any

import psycopg

from tenantry.mapping.project import Project
from tenantry.postgres import load_blocks
from tenantry.prove.attacks.harness.model import Rights

_SHOWN = 3


def right(name: str) -> Rights:
    """The question of this name in rights.sql; its answer names the first rights that were found."""

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
        found = [str(row[0]) for row in connection.execute(statement.encode(), parameters)]
        if not found:
            return None
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return "; ".join(found[:_SHOWN]) + more

    return ask


def unsealed(_connection: psycopg.Connection[Any], project: Project) -> str | None:
    """What the manifest says of contexts: where they are not sealed, every statement states its claims."""
    if project.manifest.context.sealed:
        return None
    return "claims count as they stand in a setting ([context] sealed = false), and anybody may set it"


def any_of(*questions: Rights) -> Rights:
    """All that several questions find."""

    def ask(connection: psycopg.Connection[Any], project: Project) -> str | None:
        found = [answer for question in questions for answer in [question(connection, project)] if answer]
        return "; ".join(found) or None

    return ask


__all__ = ["any_of", "right", "unsealed"]
