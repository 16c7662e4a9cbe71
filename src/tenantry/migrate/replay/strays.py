"""Strays: writes on the inactive side, which bypassed its fence.

The fence refuses everyone, but the owner of a table, or a superuser, can switch it off. Their writes are captured by
the change triggers or, if these were off as well, found by a comparison. The active side
wins: rows of the other side are corrected. Their stray values are listed in `tenantry.conflict`; a row for which the
other side has no place stays, and is listed in `tenantry.kept`.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence

from tenantry.accounts.decide import profile_mapping
from tenantry.derivation.keys import mapping_key, same_key
from tenantry.journal.journal import Connection, Journal
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.legacy_ids import from_part, legacy_of, of_part, source_key
from tenantry.migrate.replay.queue import Round, take_log
from tenantry.migrate.replay.round import Replayer
from tenantry.migrate.session.trigger_states import trust_guards
from tenantry.migrate.verify import compare as verify
from tenantry.postgres import ident, idents, literal

IN_TARGET = "written in the target while applications wrote the source"
IN_SOURCE = "written in the source while applications wrote the target"

_DELETED = "'{\"deleted\": true}'"


def look_for_strays(connection: Connection, project: Project, replayer: Replayer, journal: Journal) -> int:
    """Compare both sides completely after triggers were switched, since writes in the target were not captured meanwhile;
    treat differences like other strays. Call it before any replay with the restored triggers, which would
    hide the writes. Return the number of undone changes.

    Args:
        connection: a connection for rounds.
    """
    waiting = {
        (str(table), str(key))
        for table, key in connection.execute(
            f"select l.table_name, k.key from {JOURNAL}.source_log l cross join lateral (values (l.old_key), (l.new_key)) k (key)"
            " where k.key is not null"
        )
    }
    found = {
        name: [key for key in keys if (project.mapping(name).source.name, key) not in waiting]
        for name, keys in verify.find_candidates(connection, project, journal).items()
    }
    listed = 0
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        # First captured strays, including deletions; then the others, among which changes that were not replayed yet are no strays.
        for these in (None, found):
            if note_in_target(connection, project, replayer, these):
                if these is not None:
                    connection.execute("delete from tenantry_stray where image is null")
                replayer.settle(connection, Round())
                listed += list_in_target(connection, project)
                connection.execute("delete from tenantry_stray; delete from tenantry_changed")
        trust_guards(connection, project)
    replayer.made()
    return listed


def note_in_target(
    connection: Connection, project: Project, replayer: Replayer, found: MappingType[str, Sequence[str]] | None = None
) -> bool:
    """At the start of a round while applications write the source: record the values of strays, and have their rows derived
    again. Return False if there are none.

    Args:
        found: mapping → keys of rows that a comparison found different.
    """
    for mapping in project:
        if keys := (found or {}).get(mapping.name):
            connection.execute(
                "insert into tenantry_changed select %s, %s || k, clock_timestamp() from unnest(%s::text[]) k",
                [mapping.target.name, mapping.legacy_prefix, list(keys)],
            )
    if connection.execute(f"select from {JOURNAL}.target_log limit 1").fetchone() is not None:
        take_log(connection, "target_log", "tenantry_changed (table_name, legacy_id, at, stated)", 1_000_000_000)
    _forget_gone_accounts(connection, project)
    if connection.execute("select from tenantry_changed limit 1").fetchone() is None:
        return False
    connection.execute(
        "create temporary table if not exists tenantry_stray (table_name text, legacy_id text, image text) on commit delete rows"
    )
    for name, mappings in project.by_target.items():
        connection.execute(
            f"insert into tenantry_stray select c.table_name, c.legacy_id, {_image(mappings, 't')} from"
            f" (select distinct table_name, legacy_id from tenantry_changed where table_name = {literal(name)}"
            f" and legacy_id is not null) c left join {ident(project.target.schema, name)} t on t.legacy_id = c.legacy_id"
        )
        there = " or ".join(
            f"exists (select from {ident(project.source.schema, mapping.source.name)} s where {_is_source_of(mapping, 'x')})"
            for mapping in mappings
        )
        connection.execute(
            f"insert into {JOURNAL}.kept (table_name, legacy_id, reason) select x.table_name, x.legacy_id, {literal(IN_TARGET)}"
            f" from tenantry_stray x where x.table_name = {literal(name)} and x.image is not null and not ({there})"
            " on conflict do nothing"
        )
        whole = connection.execute(
            f"select from tenantry_changed where table_name = {literal(name)} and legacy_id is null limit 1"
        ).fetchone()
        if whole is not None:
            connection.execute(
                f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
                f" values ('reverse', {literal(name)}, '', '', 'source', '{{\"truncated\": true}}', {literal(IN_TARGET)})"
            )
        for mapping in mappings:
            if whole is not None:
                replayer.mark_all(connection, mapping)
            else:
                marked = connection.execute(
                    f"select distinct {source_key(mapping, 'x')} from tenantry_stray x where x.table_name = {literal(name)}"
                    f"{from_part(mapping, ' and', 'x')}"
                ).fetchall()
                replayer.mark(connection, mapping, [str(row[0]) for row in marked])
    return True


def list_in_target(connection: Connection, project: Project) -> int:
    """At the end of that round: list the stray values of rows that agree with the source again. Return their number."""
    listed = 0
    for name, mappings in project.by_target.items():
        key = "case" + "".join(
            f" when {of_part(each, 'x.legacy_id')} then {source_key(each, 'x')}" for each in mappings
        )
        listed += connection.execute(
            f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
            f" select 'reverse', x.table_name, x.legacy_id, {key} else x.legacy_id end, 'source',"
            f" coalesce(x.image, {_DELETED})::json, {literal(IN_TARGET)}"
            f" from tenantry_stray x left join {ident(project.target.schema, name)} t on t.legacy_id = x.legacy_id"
            f" where x.table_name = {literal(name)} and x.image is distinct from {_image(mappings, 't')}"
        ).rowcount
    return listed


def note_in_source(connection: Connection, project: Project) -> int:
    """In a round while applications write the target: list the values of strays in the source, and have the target's values of
    these rows written back again. A row that exists only in the source stays. Return the number of strays."""
    some = "old_key is not null or new_key is not null"
    if connection.execute(f"select from {JOURNAL}.source_log where {some} limit 1").fetchone() is None:
        return 0
    connection.execute(
        f"with gone as (delete from {JOURNAL}.source_log where {some} returning table_name, old_key, new_key, at)"
        " insert into tenantry_entry (table_name, key, at) select g.table_name, k.key, max(g.at) from gone g"
        " cross join lateral (values (g.old_key), (g.new_key)) k (key) where k.key is not null group by 1, 2"
    )
    listed = 0
    for table in project.source_tables:
        for position, mapping in enumerate(project.of_source(table.name)):
            legacy = legacy_of(mapping, "e.key")
            shown = [column.name for column in table.columns if column.name not in mapping.secrets]
            said = row_text("s", shown, mapping.key[0])
            if position == 0:
                listed += connection.execute(
                    f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
                    f" select 'forward', {literal(mapping.target.name)}, {legacy}, e.key, 'target',"
                    f" coalesce({said}, {_DELETED})::json, {literal(IN_SOURCE)}"
                    f" from tenantry_entry e left join {ident(table.schema, table.name)} s on {same_key(project.source, mapping, 's', 'e.key')}"
                    f" where e.table_name = {literal(table.name)}"
                ).rowcount
            connection.execute(
                f"insert into tenantry_changed (table_name, legacy_id, at) select {literal(mapping.target.name)}, {legacy}, e.at"
                f" from tenantry_entry e where e.table_name = {literal(table.name)} and exists (select from"
                f" {ident(project.target.schema, mapping.target.name)} t where t.legacy_id = {legacy})"
            )
    return listed


def strays_again(project: Project) -> list[str]:
    """Return statements that mark stray rows of the source for derivation when applications write the source again."""
    return [
        f"insert into {JOURNAL}.source_log (table_name, new_key) select distinct {literal(mapping.source.name)}, source_key"
        f" from {JOURNAL}.conflict where direction = 'forward' and table_name = {literal(mapping.target.name)}"
        f" and reason = {literal(IN_SOURCE)}"
        for mapping in project
    ]


def _forget_gone_accounts(connection: Connection, project: Project) -> None:
    """Forget profiles that changed because their account was deleted: that is no stray write."""
    mapping, users = profile_mapping(project), project.manifest.users
    if mapping is None or users is None:
        return
    connection.execute(
        f"delete from tenantry_changed c using {ident(project.target.schema, mapping.target.name)} t, {JOURNAL}.account_link l"
        f" where c.table_name = {literal(mapping.target.name)} and t.legacy_id = c.legacy_id and l.source_key = c.legacy_id"
        f" and t.{ident(users.account)} is null and l.account_id is not null"
        " and not exists (select from auth.users u where u.id = l.account_id)"
    )


def _image(mappings: Sequence[Mapping], alias: str) -> str:
    """Return SQL of a row for the list: without secrets, and without values that Python makes differently each time."""
    left_out = {
        column.name for each in mappings for column in each.columns if each.is_secret(column) or column.kind == "python"
    }
    names = [column.name for column in mappings[0].target.columns if column.name not in left_out]
    return row_text(alias, names, "legacy_id")


def row_text(alias: str, names: Sequence[str], present: str) -> str:
    """Return SQL of a row's columns as JSON text, null without a row: jsonb cannot hold everything that json can.

    Args:
        present: a column that is never null.
    """
    row = f"(select to_json(z.*) from (select {idents(names, prefix=alias)}) z)::text"
    return f"case when {alias}.{ident(present)} is not null then {row} end"


def _is_source_of(mapping: Mapping, alias: str) -> str:
    return f"{mapping_key(mapping)} = {source_key(mapping, alias)}{from_part(mapping, ' and', alias)}"


__all__ = ["IN_SOURCE", "IN_TARGET", "list_in_target", "note_in_source", "note_in_target", "strays_again"]
