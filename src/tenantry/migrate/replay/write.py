"""Derives one batch of one mapping from the source, writes it into the target, and marks dependents."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.accounts.decide import link_statement
from tenantry.accounts.make import account_keys, account_statements
from tenantry.derivation.reverse import moved
from tenantry.derivation.reverse.columns import FEWER_DIGITS, SAME_ROW
from tenantry.derivation.reverse.write import as_shown
from tenantry.derivation.tenant_values import make_tenants, value_columns, values_in
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.project import ROW_ID
from tenantry.migrate.copy.ranges import run_python
from tenantry.migrate.replay.batch import (
    STATES,
    Batch,
    clear,
    fed_columns,
    forget,
    restore_corrections,
    same_values,
)
from tenantry.migrate.replay.dependents import spread
from tenantry.migrate.replay.merge import equals, merge, with_group
from tenantry.migrate.replay.pilot import decided_on
from tenantry.migrate.replay.remove import take_out
from tenantry.postgres import ident, idents, literal, literals


def derive(batch: Batch, *, thorough: bool, evict: bool = False) -> int:
    """Derive the batch's rows from the source into the target, and mark dependents. Return the number of written rows.

    Args:
        evict: rows that hold a place that the batch needs are derived with it, and removed first if they give
            their place up.
    """
    connection, mapping, position = batch.connection, batch.mapping, batch.position
    new = batch.new
    clear(connection, *STATES, new.removeprefix("tenantry_"))
    seen = batch.facts.is_parent(batch.position)
    if mapping is batch.facts.profiles:
        connection.execute(link_statement(batch.project, only=decided_on(batch)))
    while True:
        if mapping.merge is not None:
            with_group(batch)
        connection.execute("analyze tenantry_batch")
        connection.execute("insert into tenantry_all select key from tenantry_batch on conflict do nothing")
        if seen:
            connection.execute(batch.state_sql("batch", "before"))
            connection.execute(
                f"with was as (delete from tenantry_was w using tenantry_batch b where w.m = {position}"
                " and w.key = b.key returning w.key, w.id, w.tenant)"
                " insert into tenantry_before select w.key, w.id, w.tenant, null from was w"
                " where not exists (select from tenantry_before x where x.key = w.key)"
            )
        forget(batch)
        if value_columns(batch.project, mapping):
            for statement in make_tenants(batch.project, values_in(batch.project, [(mapping, batch.rows)])):
                connection.execute(statement)
        if mapping.python_columns:
            run_python(connection, batch.project, mapping, "true", relation=batch.rows)
        connection.execute(batch.work.copy_statement(batch))
        restore_corrections(batch)
        if mapping.merge is not None and equals(batch):
            continue
        if not evict or not _holders(batch):
            break
    if mapping.merge is not None:
        merge(batch)
    connection.execute("analyze tenantry_all")
    connection.execute(f"analyze {new}")
    for statement in moved.forget(batch.project, mapping, "tenantry_all"):
        connection.execute(statement)
    _let_go(batch)
    written = take_out(
        batch,
        "tenantry_all",
        f"not exists (select from {new} n where n.legacy_id = t.legacy_id)"
        # A row without a source form is kept, and so has no source row.
        f" and not exists (select from {JOURNAL}.kept k where k.table_name = {literal(mapping.target.name)}"
        " and k.legacy_id = t.legacy_id and k.column_name = '')",
    )
    # The source's row replaces the target-native row that represented it.
    written += take_out(
        batch,
        f"(select b.source_key as key, b.legacy_id from {JOURNAL}.born_part b join tenantry_all k on k.key = b.source_key"
        f" where b.mapping = {literal(mapping.name)}"
        f" and exists (select from {new} n where n.legacy_id = {legacy_of(mapping, 'k.key')}))",
        legacy="a.legacy_id",
    )
    if evict:
        for condition in _passed_on(batch):
            take_out(batch, "tenantry_all", condition)
    if always := [column.name for column in mapping.columns if _is_given_once(mapping, column.name)]:
        # GENERATED ALWAYS: the server never updates such a number, but accepts one in a new row.
        written += take_out(
            batch,
            "tenantry_all",
            f"exists (select from {new} n where n.legacy_id = t.legacy_id and ({idents(always, prefix='n')})"
            f" is distinct from ({idents(always, prefix='t')}))",
        )
    batch.work.target_only.note_changes(connection, mapping, new)
    for statement in _write(batch):
        written += max(0, connection.execute(statement).rowcount)
    connection.execute(f"insert into tenantry_touched select {position}, key from tenantry_all")
    _forget_kept(batch)
    if mapping is batch.facts.profiles:
        make_accounts(batch, "tenantry_all")
    if seen:
        spread(batch, thorough=thorough)
    return written


def _forget_kept(batch: Batch) -> None:
    """Delete journal entries about rows that are no longer target-only, or no longer survivors of a merge."""
    connection, mapping = batch.connection, batch.mapping
    # Derived rows equal the source: only their columns without a source column are target-only.
    connection.execute(
        f"delete from {JOURNAL}.kept k using {batch.new} n where k.table_name = {literal(mapping.target.name)}"
        f" and k.legacy_id = n.legacy_id and k.column_name = any (array[{literals(['', *fed_columns(mapping)])}])"
    )
    connection.execute(
        f"delete from {JOURNAL}.kept k using tenantry_all a where k.table_name = {literal(mapping.target.name)}"
        f" and k.legacy_id = {legacy_of(mapping, 'a.key')} and k.column_name <> ''"
        f" and not exists (select from {batch.seen} t where t.legacy_id = k.legacy_id)"
    )
    connection.execute(
        f"delete from {JOURNAL}.kept k using tenantry_all a join {JOURNAL}.born_part b on a.key in (b.legacy_id, b.source_key)"
        f" where b.mapping = {literal(mapping.name)} and k.table_name = {literal(mapping.target.name)}"
        " and k.legacy_id = b.legacy_id and k.column_name <> ''"
        f" and not exists (select from {batch.seen} t where t.legacy_id = k.legacy_id)"
    )
    connection.execute(
        f"delete from {JOURNAL}.born_part b using tenantry_all a where b.mapping = {literal(mapping.name)}"
        f" and (b.legacy_id = {legacy_of(mapping, 'a.key')} or b.source_key = a.key and not exists"
        f" (select from {batch.seen} t where t.legacy_id = b.legacy_id))"
    )


def make_accounts(batch: Batch, keys: str) -> None:
    """Make the accounts of these people, and of the people who hold an address that one of them needs."""
    connection = batch.connection
    clear(connection, "account")
    connection.execute(f"insert into tenantry_account select key from {keys} on conflict do nothing")
    while connection.execute(account_keys(batch.project, "tenantry_account")).rowcount:
        pass
    for statement in account_statements(batch.project, only="select key from tenantry_account"):
        connection.execute(statement)


def _let_go(batch: Batch) -> None:
    """List the rows that lose target-only values, since the source's row is replayed again or deleted. It is no loss if a
    target-native row gets the source's id, or if digits of a second vanish that the source cannot hold."""
    connection, mapping = batch.connection, batch.mapping
    name = literal(mapping.target.name)
    told = (
        f"column_name not in ('', {literal(ROW_ID)}) and reason <> {literal(SAME_ROW)}"
        f" and right(reason, {len(FEWER_DIGITS)}) <> {literal(FEWER_DIGITS)}"
    )
    connection.execute(
        f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
        f" select 'forward', {name}, t.legacy_id, a.key, 'source', {as_shown(mapping)},"
        " 'the source row was replayed again; only the target held ' || lost.names"
        f" from (select distinct legacy_id from {JOURNAL}.kept where table_name = {name} and {told}) h"
        f" join {batch.work.target_only.as_it_was(mapping.target.name)} t on t.legacy_id = h.legacy_id"
        f" join tenantry_all a on t.legacy_id = {legacy_of(mapping, 'a.key')} left join {batch.new} n on n.legacy_id = t.legacy_id"
        f" cross join lateral (select string_agg(quote_ident(k.column_name), ', ' order by k.column_name) as names"
        f" from (select * from {JOURNAL}.kept where table_name = {name} and {told}) k where k.legacy_id = h.legacy_id"
        f" and (n.legacy_id is null or k.column_name = any (array[{literals(fed_columns(mapping))}]::text[])"
        " and to_json(t.*) ->> k.column_name is distinct from to_json(n.*) ->> k.column_name)) lost"
        " where lost.names is not null"
    )


def _holders(batch: Batch) -> bool:
    """Make a batch of the target's rows that hold a unique value which a derived row needs; return False if there are
    none. They may have given it up already: their entries wait in the queue, or belong to another round."""
    connection, mapping = batch.connection, batch.mapping
    clear(connection, "batch")
    ways = [
        same for columns, nulls in _unique(mapping) for same in same_values(mapping, columns, "t", "n", nulls=nulls)
    ]
    if not ways:
        return False
    connection.execute(f"analyze {batch.new}")
    found = " union ".join(
        f"select {source_key(mapping)} as key from {batch.new} n join {batch.seen} t on {same}"
        f" where t.legacy_id <> n.legacy_id{from_part(mapping, ' and')}"
        for same in ways
    )
    return (
        connection.execute(
            f"insert into tenantry_batch select h.key from ({found}) h"
            " where not exists (select from tenantry_all a where a.key = h.key)"
        ).rowcount
        > 0
    )


def _unique(mapping: Mapping) -> list[tuple[tuple[str, ...], bool]]:
    """Return the columns of the target's unique indexes, and whether nulls count as equal; without indexes on expressions."""
    known = {column.name for column in mapping.columns}
    return list(
        dict.fromkeys(
            (tuple(name for name in index.columns if name is not None), index.nulls_not_distinct)
            for index in mapping.target.indexes
            if index.unique and set(index.columns) <= known
        )
    )


def _passed_on(batch: Batch) -> Iterator[str]:
    """Yield conditions over target rows `t`: the row gives up a unique value that another row of the batch needs. An update
    of both would collide with the old value, since unique indexes are checked row by row."""
    mapping = batch.mapping
    new = batch.new
    for columns, nulls in _unique(mapping):
        own = " and ".join(f"t.{ident(name)} is not distinct from m.{ident(name)}" for name in columns)
        for same in same_values(mapping, columns, "t", "o", nulls=nulls):
            yield (
                f"exists (select from {new} o where o.legacy_id <> t.legacy_id and {same}) and exists"
                f" (select from {new} m where m.legacy_id = t.legacy_id and not ({own}))"
            )


def _is_given_once(mapping: Mapping, name: str) -> bool:
    column = mapping.target.column(name)
    return column is not None and column.identity == "always"


def _write(batch: Batch) -> Iterator[str]:
    mapping = batch.mapping
    target, new = batch.target, batch.new
    settable = [
        column.name
        for column in mapping.columns
        if column.name != "legacy_id" and not _is_given_once(mapping, column.name)
    ]
    compared = idents(settable, prefix="t"), idents(settable, prefix="n")
    pairs = ", ".join(f"{ident(name)} = n.{ident(name)}" for name in settable)
    # Compare texts, not values: 'a' and 'A' may be equal in a column, and some types have no comparison.
    yield (
        f"update {target} t set {pairs} from {new} n where t.legacy_id = n.legacy_id"
        f" and row({compared[0]})::record *<> row({compared[1]})::record{batch.visible('t')}"
    )
    names = [column.name for column in mapping.columns]
    system = " overriding system value" if any(column.identity for column in mapping.target.columns) else ""
    yield (
        f"insert into {target} ({idents(names)}){system} select {idents(names, prefix='n')} from {new} n"
        f" where not exists (select from {batch.seen} t where t.legacy_id = n.legacy_id)"
    )
