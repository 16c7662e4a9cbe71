"""Marks dependents of changed rows: if a target row appeared, disappeared, or changed its id or tenant, the rows that reference it
are derived again."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.derivation.keys import (
    comparable,
    equal,
    key_parts_sql,
    mapping_key,
    plain_text,
    references_equal,
    same_key,
)
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Reference
from tenantry.mapping.legacy_ids import from_part, source_key
from tenantry.migrate.replay.batch import Batch
from tenantry.migrate.replay.facts import Child
from tenantry.postgres import ident, literal


def spread(batch: Batch, *, thorough: bool) -> None:
    """Mark the rows that depend on rows whose id, tenant or existence has changed."""
    connection, mapping, position = batch.connection, batch.mapping, batch.position
    if not batch.facts.is_parent(batch.position):
        return
    children = batch.facts.children[batch.position]
    zoned = mapping.is_root and bool(batch.facts.tenant_columns)
    connection.execute(batch.state_sql("all", "after"))
    # In a thorough round each row is marked only once: rows may reference each other in a cycle.
    first = "(v.visits is null or v.visits < 2)"
    moved = "(b.id is distinct from a.id or b.tenant is distinct from a.tenant)"
    if batch.facts.pilot or any(child.lenient for child in children):
        # Rows also appear and disappear through the quarantine, with the rows that depend on them: a row that exists, if only in
        # quarantine, is a parent.
        moved = (
            "(b.id is distinct from a.id or b.tenant is distinct from a.tenant"
            " or (b.id is not null or exists (select from tenantry_known n where n.key = k.key))"
            f" <> (a.id is not null or exists (select from {JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)}"
            " and q.source_key = k.key and q.state = 'open')))"
        )
    elif thorough and batch.project.subset is not None and mapping.merge is not None:
        # After a pilot rows are merged again, so another row may survive the merge.
        mine = f"from {JOURNAL}.merged where mapping = {literal(mapping.name)}"
        moved = f"({moved} or {first} and k.key in (select source_key {mine} union all select into_key {mine}))"
    born = "b.id is null"
    if position in batch.facts.source_decides:
        # The source decides the tenant of a row in quarantine, and others read it: it may have changed, and the row is not new.
        born = "(b.id is null and not exists (select from tenantry_known n where n.key = k.key))"
        moved = f"({moved} or (b.id is null and a.id is null and {first}))"
    if position in batch.facts.naming:
        moved = f"({moved} or {first})"
    named = moved
    if position in batch.facts.documented:
        # Documents may name any row of the source, whether or not it could be migrated.
        source = ident(batch.project.source.schema, mapping.source.name)
        known = "(b.id is not null or exists (select from tenantry_known n where n.key = k.key))"
        there = f"exists (select from {source} s where {same_key(batch.project.source, mapping, 's', 'k.key')})"
        named = f"({moved} or {known} <> {there})"
    connection.execute(
        f"insert into tenantry_moved select k.key, b.id, b.tenant, {born}, "
        f"{moved}, b.extra is distinct from a.extra, {named}\n"
        "  from tenantry_all k left join tenantry_before b on b.key = k.key left join tenantry_after a on a.key = k.key\n"
        f"  left join (select key, count(*) as visits from tenantry_touched where m = {position} group by key) v on v.key = k.key\n"
        f" where {named} or b.extra is distinct from a.extra" + (f" or {first}" if thorough else "")
    )
    if connection.execute("select from tenantry_moved limit 1").fetchone() is None:
        return
    connection.execute("analyze tenantry_moved")
    for child in children:
        for select in _through(batch, child) if child.through else _dependents(batch, child, thorough=thorough):
            connection.execute(f"insert into tenantry_dirty select {child.position}, k from ({select}) z (k)")
    for select in _documents(batch, thorough=thorough):
        connection.execute(select)
    if zoned:
        _by_tenant(batch)


def _through(batch: Batch, child: Child) -> Iterator[str]:
    """Yield SELECTs of the keys of a child's rows that reach rows of tenantry_moved through rows without a tenant. A change of such
    a row in between is a move of its own."""
    project, mapping = batch.project, child.mapping
    schema = project.source.schema
    # From the row that moved down to the child: each names the one before.
    links = [(mapping, child.ref), *child.through]
    steps, alias, above = [], "m0", batch.mapping
    for place, (each, ref) in enumerate(reversed(links), 1):
        same = references_equal(each.source, ref.columns, above.source, ref.by, f"m{place}", alias)
        steps.append(f"join {ident(schema, each.source.name)} m{place} on {same}")
        alias, above = f"m{place}", each
    first = f"{ident(schema, batch.mapping.source.name)} m0"
    found = same_key(project.source, batch.mapping, "m0", "v.key")
    yield (
        f"select {mapping_key(mapping, alias)} from tenantry_moved v join {first} on {found} {' '.join(steps)} where v.moved"
    )
    if child.through[-1][1].backward:
        # What the row named before is not recorded: rows of its tenant that reach nothing any more.
        tenant = batch.facts.tenant(mapping, "t")
        yield (
            f"select {source_key(mapping)} from tenantry_moved v join {batch.table(mapping)} t on {tenant} = v.old_tenant"
            f" join {ident(schema, mapping.source.name)} s on {same_key(project.source, mapping, 's', source_key(mapping))}"
            f" where v.moved and not v.born{from_part(mapping, ' and')} and not exists (select from {first} {' '.join(steps)}"
            f" where {same_key(project.source, mapping, alias, source_key(mapping))})"
        )
        yield (
            f"select q.source_key from {JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)} and q.state = 'open'"
            " and exists (select from tenantry_moved v where v.moved)"
        )


def _dependents(batch: Batch, child: Child, *, thorough: bool) -> Iterator[str]:
    """Yield SELECTs of the keys of a child's rows that reference rows of tenantry_moved."""
    parent, mapping, ref = batch.mapping, child.mapping, child.ref
    own = ref.by == parent.key
    if own:
        yield (
            f"select q.source_key from tenantry_moved v join {JOURNAL}.quarantine q on q.parent_table ="
            f" {literal(parent.source.name)} and q.parent_key = v.key where q.mapping = {literal(mapping.name)}"
            " and q.state = 'open' and v.moved"
        )
    # With a foreign key in the source, a row cannot reference a later one; but a round that did not take all entries may have
    # taken its entry first.
    every = ref.late or not own
    which = "v.moved" if not (thorough and every) else "true"
    if child.enforced and own and not batch.work.loose and not batch.facts.pilot and not (thorough and every):
        which += " and not v.born"
    source = ident(batch.project.source.schema, mapping.source.name)
    if own:
        on = _names(batch, mapping, ref, parent, "v.key")
        yield f"select {mapping_key(mapping)} from tenantry_moved v join {source} s on {on} where {which}"
    else:
        above = ident(batch.project.source.schema, parent.source.name)
        on = references_equal(mapping.source, ref.columns, parent.source, ref.by, "s", "p")
        yield (
            f"select {mapping_key(mapping)} from tenantry_moved v join {above} p on {same_key(batch.project.source, parent, 'p', 'v.key')}"
            f" join {source} s on {on} where {which}"
        )
    target = batch.table(mapping)
    if ref.backward and not own:
        # What a row named before is not recorded: rows of its tenant that nothing names any more, and those without a tenant so far.
        above = ident(batch.project.source.schema, parent.source.name)
        same = references_equal(mapping.source, ref.columns, parent.source, ref.by, "s", "p")
        yield (
            f"select {source_key(mapping)} from tenantry_moved v join {target} t on {batch.facts.tenant(mapping, 't')} = v.old_tenant"
            f" join {source} s on {same_key(batch.project.source, mapping, 's', source_key(mapping))}"
            f" where v.moved and not v.born{from_part(mapping, ' and')} and not exists (select from {above} p where {same})"
        )
        yield (
            f"select q.source_key from {JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)} and q.state = 'open'"
            " and exists (select from tenantry_moved v where v.moved)"
        )
    condition = None
    if child.column is not None:
        condition = f"t.{ident(child.column)} = v.old_id::{parent.id_type}"
        if mapping.scoped and parent.scoped:
            condition += f" and {batch.facts.tenant(mapping, 't')} = v.old_tenant"
    elif parent.is_root and mapping.scoped:
        condition = f"{batch.facts.tenant(mapping, 't')} = v.old_id::uuid"
    if condition is not None:
        yield (
            f"select {source_key(mapping)} from tenantry_moved v join {target} t on {condition}"
            f" where v.moved and not v.born{from_part(mapping, ' and')}"
        )


def _names(batch: Batch, mapping: Mapping, ref: Reference, parent: Mapping, key: str) -> str:
    """Return a condition for rows that reference a parent by the text of its key."""
    mine = [column for name in ref.columns if (column := mapping.source.column(name)) is not None]
    theirs = [column for name in ref.by if (column := parent.source.column(name)) is not None]
    if not all(comparable(here, there) for here, there in zip(mine, theirs, strict=True)):
        return f"{plain_text(mapping.source, 's', ref.columns)} = {key}"
    parts = key_parts_sql(batch.project.source, parent, key)
    return " and ".join(
        equal(there, f"s.{ident(here.name)}", part) for here, there, part in zip(mine, theirs, parts, strict=True)
    )


def _documents(batch: Batch, *, thorough: bool) -> Iterator[str]:
    """Yield SELECTs of rows whose documents contain ids of the moved rows.

    `is true` keeps the planner from turning the look-up into a join that reads all moved rows for each document; so it is hashed once.
    """
    which = "true" if thorough else "v.named"
    parent = batch.mapping
    for position, mapping in enumerate(batch.project.mappings):
        for column in mapping.columns:
            for each in column.ids:
                if parent not in batch.project.by_target[each.parent]:
                    continue
                source = ident(batch.project.source.schema, mapping.source.name)
                yield (
                    f"insert into tenantry_dirty select {position}, {mapping_key(mapping)} from {source} s"
                    f" where exists (select from jsonb_path_query({column.value}, {literal(each.jsonpath)}::jsonpath) x (node)"
                    f" where (x.node #>> '{{}}' in (select v.key from tenantry_moved v where {which})) is true)"
                )


def _by_tenant(batch: Batch) -> None:
    """Mark rows whose derivation reads their tenant's row, e.g. its time zone."""
    connection = batch.connection
    for position, mapping in enumerate(batch.project.mappings):
        if any(column.zoned for column in mapping.columns):
            connection.execute(
                f"insert into tenantry_dirty select {position}, {source_key(mapping)} from tenantry_moved v"
                f" join {batch.table(mapping)} t on {batch.facts.tenant(mapping, 't')} = v.old_id::uuid"
                f" where v.extra and v.old_id is not null{from_part(mapping, ' and')} union all"
                f" select {position}, q.source_key from {JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)}"
                " and q.state = 'open' and exists (select from tenantry_moved v where v.extra)"
            )
