"""Lets a migrated database accept the forms of ids that the manifest now names."""

from __future__ import annotations

from tenantry.journal.journal import Connection
from tenantry.mapping import Project
from tenantry.plan.operations.id_map import id_map


def apply_id_forms(connection: Connection, project: Project) -> tuple[str, ...]:
    """Replace the lookup functions in one transaction, while applications keep running; return the tables that accept both forms.

    The counts of use are kept.
    """
    with connection.transaction():
        for statement in id_map(project).sql:
            connection.execute(statement.encode())
    return tuple(project.manifest.ids.both)


__all__ = ["apply_id_forms"]
