"""A run that was interrupted let go of its write lock: has the source changed since? Rows younger than what a chunk saw, or
rows that are gone, say so.

Some tables are read before they are copied: those whose ids stand in documents or in references of a cycle, and users, who
are linked to accounts by e-mail. They are counted when a run begins to copy."""

from __future__ import annotations

from tenantry.manifest import Project
from tenantry.migrate.chunks import range_condition
from tenantry.migrate.journal import Connection, Journal
from tenantry.postgres import ident

_WATCHING = "watching"


def changed_tables(connection: Connection, journal: Journal, project: Project) -> list[str]:
    """Source tables of which a copied range no longer is what it was. Call with the write lock held.

    A row's xmin is the transaction that wrote it. A chunk keeps the oldest transaction that was open when it was read: every
    later write has a younger one. Deleted rows show in the count.
    """
    changed: dict[str, None] = dict.fromkeys(_changed_early(connection, journal, project))
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
            if _differs(connection, table, condition, chunk.source_rows, chunk.snapshot):
                changed[mapping.source.name] = None
                break
    return list(changed)


def watch(connection: Connection, journal: Journal, project: Project) -> None:
    """Note how the tables that are read early stand now. Call with the write lock held, before anything is copied."""
    counts = {}
    for name in _read_early(project):
        row = connection.execute(f"select count(*) from {ident(project.source.schema, name)}").fetchone()
        assert row is not None
        counts[name] = int(row[0])
    row = connection.execute("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint").fetchone()
    assert row is not None
    journal.event(connection, _WATCHING, "tables that are read before they are copied", tables=counts, snapshot=int(row[0]))


def _changed_early(connection: Connection, journal: Journal, project: Project) -> list[str]:
    noted = [data for _, code, _, data in journal.say(connection, "events") if code == _WATCHING]
    if not noted:
        return []
    return [
        name
        for name, count in noted[-1]["tables"].items()
        if _differs(connection, ident(project.source.schema, name), "true", count, noted[-1]["snapshot"])
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


def _differs(connection: Connection, table: str, condition: str, count: int, snapshot: int) -> bool:
    """Whether the rows are no longer so many, or one is younger than the snapshot. (A negative age is that of a row so old
    that it was frozen long ago.)"""
    row = connection.execute(
        "select count(*), coalesce(bool_or(age(s.xmin) between 0 and age(%s::text::xid)), false)"
        f" from {table} s where {condition.replace('%', '%%')}",
        [str(snapshot % 2**32)],
    ).fetchone()
    assert row is not None
    return bool(row[0] != count or row[1])
