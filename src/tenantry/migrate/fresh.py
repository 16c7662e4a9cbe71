"""A run that was interrupted let go of its write lock: has the source changed since? The versions of the rows that were read
say so, whichever transactions were open in the meantime.

Some tables are read before they are copied: those whose ids stand in documents or in references of a cycle, and users, who
are linked to accounts by e-mail. Their versions are noted when a run begins to copy."""

from __future__ import annotations

from tenantry.manifest import Project
from tenantry.migrate.chunks import fingerprint, table_fingerprint
from tenantry.migrate.journal import Connection, Journal
from tenantry.postgres import ident

_WATCHING = "watching"


def changed_tables(connection: Connection, journal: Journal, project: Project) -> list[str]:
    """Source tables of which something that was read no longer is what it was. Call with the write lock held."""
    changed: dict[str, None] = dict.fromkeys(_changed_early(connection, journal, project))
    for mapping in project:
        if mapping.source.name in changed:
            continue
        for chunk in journal.chunks(connection, mapping.name):
            if chunk.done and chunk.fingerprint != fingerprint(connection, project, mapping, chunk):
                changed[mapping.source.name] = None
                break
    return list(changed)


def watch(connection: Connection, journal: Journal, project: Project) -> None:
    """Note how the tables that are read early stand now. Call with the write lock held, before anything is copied."""
    tables = {name: table_fingerprint(connection, ident(project.source.schema, name)) for name in _read_early(project)}
    journal.event(connection, _WATCHING, "tables that are read before they are copied", tables=tables)


def _changed_early(connection: Connection, journal: Journal, project: Project) -> list[str]:
    noted = [data["tables"] for _, code, _, data in journal.say(connection, "events") if code == _WATCHING]
    return [
        name
        for name, before in (noted[-1] if noted else {}).items()
        if table_fingerprint(connection, ident(project.source.schema, name)) != before
    ]


def _read_early(project: Project) -> list[str]:
    early: dict[str, None] = {}
    users = project.manifest.users
    if users is not None:
        early[users.source] = None
    for mapping in project:
        parents = [ref.parent for ref in (*mapping.references, *mapping.tenant_paths) if ref.late]
        parents += [each.parent for column in mapping.columns for each in column.ids]
        for parent in parents:
            early.update(dict.fromkeys(feeding.source.name for feeding in project.by_target[parent]))
    return list(early)
