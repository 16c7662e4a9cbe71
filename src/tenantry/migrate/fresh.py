"""A run that was interrupted let go of its write lock: has the source changed since? Rows younger than what a chunk saw, or
rows that are gone, say so."""

from __future__ import annotations

from tenantry.manifest import Project
from tenantry.migrate.chunks import range_condition
from tenantry.migrate.journal import Connection, Journal
from tenantry.postgres import ident


def changed_tables(connection: Connection, journal: Journal, project: Project) -> list[str]:
    """Source tables of which a copied range no longer is what it was. Call with the write lock held.

    A row's xmin is the transaction that wrote it. A chunk keeps the oldest transaction that was open when it was read: every
    later write has a younger one. Deleted rows show in the count.
    """
    changed: dict[str, None] = {}
    for mapping in project:
        if mapping.source.name in changed:
            continue
        table = ident(project.source.schema, mapping.source.name)
        for chunk in journal.chunks(connection, mapping.name):
            if not chunk.done or chunk.snapshot is None:
                continue
            condition = range_condition(mapping, chunk.low, chunk.high)
            if mapping.where:
                condition += f" and ({mapping.where})"
            row = connection.execute(
                "select count(*), coalesce(bool_or(age(s.xmin) <= age(%s::text::xid)), false)"
                f" from {table} s where {condition.replace('%', '%%')}",
                [str(chunk.snapshot % 2**32)],
            ).fetchone()
            assert row is not None
            if row[0] != chunk.source_rows or row[1]:
                changed[mapping.source.name] = None
                break
    return list(changed)
