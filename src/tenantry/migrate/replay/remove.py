"""Removes rows from the target; rows that a foreign key would delete or change with them are derived again from the source."""

from __future__ import annotations

from tenantry.derivation.reverse.deleted_ids import record_removed
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.migrate.replay.batch import (
    Batch,
    clear,
)
from tenantry.postgres import ident, literal


def take_out(batch: Batch, keys: str, condition: str = "true", *, legacy: str = "") -> int:
    """Delete rows of the target, and before them the rows that a foreign key would delete or change with them: these are
    derived again from the source instead. Return the number of the mapping's own rows.

    Args:
        keys: a relation `a` with the source keys.
        condition: over the target's row `t`.
        legacy: SQL of the rows' legacy ids over `a`, if it differs from the key's.
    """
    connection, mapping = batch.connection, batch.mapping
    legacy = legacy or legacy_of(mapping, "a.key")
    target = batch.target

    def whose(table: str, alias: str = "t") -> str:
        # Rows of several tenants may have the same legacy id.
        return f"coalesce({alias}.{ident(tenant)}::text, '')" if batch.project.scoped(table) else "''"

    tenant = batch.project.manifest.tenant.column
    name = mapping.target.name
    clear(connection, "gone")
    found = connection.execute(
        f"insert into tenantry_gone select distinct {literal(name)}, t.legacy_id, {whose(name)} from {target} t join {keys} a"
        f" on t.legacy_id = {legacy} where {condition}{batch.visible('t')}"
    ).rowcount
    if not found:
        return 0
    reached, new, others_too = [name], {name}, False
    while new:
        parents, new = new, set()
        for key in batch.facts.acting:
            child, parent = key.child, key.parent
            if parent not in parents:
                continue
            here, there = ident(batch.project.target.schema, child), ident(batch.project.target.schema, parent)
            on = " and ".join(f"t.{ident(a)} = p.{ident(b)}" for a, b in zip(key.columns, key.referenced, strict=True))
            more = connection.execute(
                f"insert into tenantry_gone select {literal(child)}, t.legacy_id, {whose(child)} from tenantry_gone g"
                f" join {there} p on p.legacy_id = g.legacy and {whose(parent, 'p')} = g.tenant join {here} t on {on}"
                f" where g.name = {literal(parent)} on conflict do nothing"
            ).rowcount
            if more:
                others_too = True
                new.add(child)
                reached = [*(each for each in reached if each != child), child]
    for table in reversed(reached):
        here = ident(batch.project.target.schema, table)
        rows = (
            f"tenantry_gone g join {here} t on t.legacy_id = g.legacy and {whose(table)} = g.tenant"
            f" where g.name = {literal(table)}"
        )
        for position, each in enumerate(batch.project.mappings):
            if each.target.name != table or (each is mapping and not others_too):
                continue
            # The requested rows are being derived; all others must be, and their state is recorded.
            others_only = (
                f" and not exists (select from {keys} a where t.legacy_id = {legacy})" if each is mapping else ""
            )
            connection.execute(
                f"insert into tenantry_was select {position}, {source_key(each)}, t.id::text, {batch.facts.tenant(each, 't')}"
                f" from {rows}{from_part(each, ' and')}{others_only}"
            )
            connection.execute(
                f"insert into tenantry_dirty select {position}, {source_key(each)}"
                f" from {rows}{from_part(each, ' and')}{others_only}"
            )
        for statement in record_removed(batch.project, table, rows):
            connection.execute(statement)
        batch.work.target_only.put_by(connection, table, rows)
        connection.execute(
            f"delete from {here} t using tenantry_gone g where g.name = {literal(table)} and t.legacy_id = g.legacy"
            f" and {whose(table)} = g.tenant"
        )
    return found
