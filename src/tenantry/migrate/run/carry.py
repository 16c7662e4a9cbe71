"""The work of one round, in any direction: changes of one side are written to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.derivation.documents import held_ids
from tenantry.derivation.ids import new_id_sql
from tenantry.derivation.keys import mapping_key
from tenantry.journal.journal import Connection
from tenantry.mapping.legacy_ids import legacy_of, source_key
from tenantry.migrate.replay import strays
from tenantry.migrate.replay.queue import EVERYTHING, Round, take_log
from tenantry.postgres import ident, literal

if TYPE_CHECKING:
    from tenantry.migrate.run.handle import RunHandle


def carry_changes(live: RunHandle, connection: Connection, direction: str, limit: int) -> Round:
    """Do the work of a round in the open transaction.

    In the dual-write window, changes of the target are written to the source first, so that rows derived from the
    source contain them. If both sides changed a row since the last round, the later change wins.
    """
    both = direction == "both"
    entries, oldest = 0, 0.0
    if both:
        live.both.begin(connection)
    stray = direction == "forward" and strays.note_in_target(connection, live.project, live.replayer)
    if direction != "forward":
        # All entries at once: changes that belong together must be written back together.
        entries, oldest = take_log(
            connection, "target_log", "tenantry_changed (table_name, legacy_id, at, stated)", EVERYTHING,
            side="target" if both else None,
        )  # fmt: skip
        _truncated(live, connection)
    done = Round()
    if direction != "reverse":
        done = live.replayer.take(connection, limit, also=live.both.matching() if both else None)
    done.reversed_entries, done.oldest = entries, max(done.oldest, oldest)
    if direction == "reverse" and (found := strays.note_in_source(connection, live.project)):
        done.conflicts += found
        done.reversed_entries += found
    if both and done.entries and entries:
        done.conflicts = live.both.settle(connection)
    if done.reversed_entries:
        _naming(live, connection)
        back = live.reverser.apply(connection)
        done.rows += back.inserted + back.updated + back.deleted
        done.conflicts += back.conflicts
    if both and entries:
        live.both.add(connection)
        if back.conflicts:
            done.entries += live.both.stay(connection)
    if done.entries or stray:
        live.replayer.apply(connection, done)
    if stray:
        done.conflicts += _list_strays(live, connection)
        # Replayed rows are compared before the cut-over.
        done.entries += 1
    return done


def _list_strays(live: RunHandle, connection: Connection) -> int:
    found = strays.list_in_target(connection, live.project)
    report_strays(live, found)
    return found


def report_strays(live: RunHandle, found: int) -> None:
    """Report changes of the target that were undone."""
    live.journal.event(
        live.main, "strays", "rows of the target were written while applications wrote the source", listed=found
    )
    live.observer.notice(
        f"Tables of {live.project.target.schema} were written although applications write {live.project.source.schema}:"
        f" {found:,} changes were undone and are listed in tenantry.conflict; rows that only {live.project.target.schema}"
        " has stay there, and are listed in tenantry.kept."
    )


def _truncated(live: RunHandle, connection: Connection) -> None:
    """Mark every source row of a truncated target table."""
    for table, at in connection.execute(
        "select table_name, max(at)::text from tenantry_changed where legacy_id is null group by 1"
    ).fetchall():
        for mapping in live.project.by_target.get(str(table), ()):
            source = ident(live.project.source.schema, mapping.source.name)
            connection.execute(
                f"insert into tenantry_changed select {literal(str(table))}, {legacy_of(mapping, mapping_key(mapping))},"
                f" {literal(at)}::timestamptz from {source} s"
            )
    connection.execute("delete from tenantry_changed where legacy_id is null")


def _naming(live: RunHandle, connection: Connection) -> None:
    """Mark documents that name a deleted row of the target; `is true` lets the planner hash these rows once, not for each document."""
    for mapping in live.project:
        for column in mapping.columns:
            for each in column.ids:
                for parent in live.project.by_target[each.parent]:
                    gone = new_id_sql(live.project.manifest, parent, source_key(parent, "c"))
                    connection.execute(
                        f"insert into tenantry_changed select {literal(mapping.target.name)}, t.legacy_id from"
                        f" {ident(live.project.target.schema, mapping.target.name)} t where exists (select from"
                        f" jsonb_path_query({held_ids(live.project, mapping, column)}, {literal(each.jsonpath)}::jsonpath) x (node)"
                        f" where (x.node #>> '{{}}' in (select ({gone})::text from tenantry_changed c"
                        f" where c.table_name = {literal(parent.target.name)} and not exists (select from"
                        f" {ident(live.project.target.schema, parent.target.name)} p where p.legacy_id = c.legacy_id))) is true)"
                    )
