"""Compares once more, and lists target-only rows and refused rows."""

from __future__ import annotations

from tenantry.derivation.reverse.claims import rows_without_place
from tenantry.derivation.reverse.columns import WAITS
from tenantry.derivation.reverse.examined_rows import CHANGED, examined_rows
from tenantry.derivation.reverse.refused import list_refused
from tenantry.derivation.reverse.strangers import (
    without_strangers,
)
from tenantry.derivation.reverse.write import SourceTable
from tenantry.migrate.replay.reverse.compare import examine
from tenantry.migrate.replay.reverse.state import Failure, ReverseRound, UnreadableError
from tenantry.postgres import literal, verbatim


def settle(state: ReverseRound) -> None:
    """Compare once more, and list target-only rows and values."""
    execute = state.connection.execute
    for table in state.made.values():
        execute(f"update {table.keys} set now = true where not now")
        if table.name not in state.whole:
            before = set(state.refused.get(table.name, ()))
            examine(state, table)
            _need_readable(state, table, state.refused[table.name] - before)
            execute(f"delete from {table.gone}")
        counted = execute(
            f"select count(*) filter (where state = 'inserted'), count(*) filter (where state = 'updated') from {table.keys}"
        ).fetchone()
        assert counted is not None
        counts = state.counts[table.name]
        counts.inserted, counts.updated = counted
        for query in examined_rows(table):
            execute(f"insert into tenantry_examined {query}")
        for query in table.placed():
            execute(f"insert into tenantry_placed {query}")
        for statement in table.born_parts():
            execute(statement)
        for query in table.kept():
            execute(f"insert into tenantry_keep select {literal(table.name)}, * from ({query}) z")
    for table in state.made.values():
        for query in table.alone():
            execute(
                f"insert into tenantry_keep select {literal(table.name)}, z.a, z.b, '', z.c from ({query}) z (a, b, c)"
                " where not exists (select from tenantry_placed p where p.table_name = z.a and p.legacy_id = z.b)"
            )
    for name, refused in state.refused.items():
        for part in state.made[name].parts:
            legacies = [f"{part.mapping.legacy_prefix}{key}" for key in refused]
            execute(
                "insert into tenantry_keep select %s, %s, t.legacy_id, '', 'refused: see tenantry.conflict' from"
                f" {verbatim(state.made[name].target_sql(part))} t where t.legacy_id = any (%s)",
                [name, part.target, legacies],
            )
    _list_foreign(state)
    for name, contested in state.strangers.items() if state.both else ():
        for part in state.made[name].parts:
            # The source's changes of these rows are about to be replayed.
            execute(
                "delete from tenantry_keep k using tenantry_entry e where k.table_name = %s and e.table_name = %s"
                " and k.legacy_id = %s || e.key and e.key = any (%s)",
                [part.target, name, part.mapping.legacy_prefix, sorted(contested)],
            )
    state.script("insert into tenantry_examined select table_name, legacy_id from tenantry_look")
    state.script(state.blocks["list_kept"])
    for name, count in execute(
        "select source_table, count(*) from (select distinct source_table, table_name, legacy_id, column_name"
        " from tenantry_keep) z group by 1"
    ).fetchall():
        state.counts[name].kept = count


def _need_readable(state: ReverseRound, table: SourceTable, refused: set[str]) -> None:
    """Check that the written rows can be derived again; otherwise every comparison would fail on them.

    Raises:
        UnreadableError: some rows cannot be derived.
    """
    if not refused:
        return
    written = state.connection.execute(
        f"select key from {verbatim(table.keys)} where key = any (%s) and state is not null", [sorted(refused)]
    ).fetchall()
    if written:
        raise UnreadableError({(table.name, str(key)): state.failures[table.name, str(key)] for (key,) in written})


def _list_foreign(state: ReverseRound) -> None:
    """List target-native rows whose legacy id fits no source table, since its key is numeric or has several columns."""
    for table in state.made.values():
        for part in table.parts:
            if part.natural and (query := rows_without_place(table, part)):
                state.connection.execute(
                    f"insert into tenantry_keep select {literal(table.name)}, {literal(part.target)}, z.legacy_id, '',"
                    f" {literal(WAITS[0])} || z.parent || {literal(WAITS[1])} from ({query}) z where z.parent is not null"
                    " and not exists (select from tenantry_placed p where p.table_name ="
                    f" {literal(part.target)} and p.legacy_id = z.legacy_id)"
                )
    for name, mappings in state.project.by_target.items():
        first = mappings[0].source.name
        if first not in state.made:
            continue
        state.connection.execute(
            f"insert into tenantry_keep select {literal(first)}, c.table_name, c.legacy_id, '', 'its id fits no source table'"
            f" from {CHANGED} c join {without_strangers(state.project, name)} t on t.legacy_id = c.legacy_id"
            f" where c.table_name = {literal(name)}"
            " and not exists (select from tenantry_placed p where p.table_name = c.table_name and p.legacy_id = c.legacy_id)"
            " and not exists (select from tenantry_keep k where k.table_name = c.table_name and k.legacy_id = c.legacy_id"
            " and k.column_name = '')"
        )


def list_conflicts(state: ReverseRound) -> None:
    """List refused rows, each once per reason, with the row's last values."""
    refused: dict[str, list[tuple[str, Failure]]] = {}
    for (name, key), failure in state.failures.items():
        refused.setdefault(name, []).append((key, failure))
    for name, failures in refused.items():
        table = state.made[name]
        state.counts[name].conflicts += len(failures)
        state.connection.execute("delete from tenantry_refused")
        state.connection.execute(
            "insert into tenantry_refused select * from unnest(%s::text[], %s::text[], %s::text[])",
            [
                [key for key, _ in failures],
                [failure.kind for _, failure in failures],
                [failure.reason for _, failure in failures],
            ],
        )
        for position in range(len(table.parts)):
            state.connection.execute(list_refused(table, position))
