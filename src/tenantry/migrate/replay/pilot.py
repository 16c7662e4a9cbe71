"""Pilot runs: rows without a tenant that rows of the chosen tenants reference are brought along."""

from __future__ import annotations

from tenantry.derivation.keys import (
    mapping_key,
)
from tenantry.derivation.pilot import Inside
from tenantry.derivation.rows import effective_source
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping
from tenantry.migrate.replay.batch import (
    Batch,
    same_values,
)
from tenantry.postgres import ident, literal
from tenantry.statements.merge import merging


def pilot_of(batch: Batch) -> Inside:
    return Inside(
        batch.project,
        lambda each: (
            effective_source(batch.project, each)
            if each.name in batch.work.corrected
            else ident(batch.project.source.schema, each.source.name)
        ),
    )


def bring_along(batch: Batch) -> bool:
    """List and mark the rows without a tenant that the batch brings along; return True if there are any."""
    mapping = batch.mapping
    inside = pilot_of(batch)
    found = 0
    if mapping.merge is not None and inside.kinds[mapping.name] in ("people", "hanging"):
        found += _same_come_along(batch)
    for draw in batch.facts.draws[batch.position]:
        found += _list(batch, draw.parent, inside.draw(draw, batch.rows))
    return found > 0


def _same_come_along(batch: Batch) -> int:
    """Bring along rows together with their duplicates, into which they would be merged."""
    connection, mapping = batch.connection, batch.mapping
    name, key = literal(mapping.name), mapping.ours("key")
    assert mapping.merge is not None
    there = " or ".join(
        f"exists (select from {batch.target} t where {same})"
        for same in same_values(mapping, mapping.merge.by, "t", "h", nulls=True)
    )
    listed = f"exists (select from {JOURNAL}.inside l where l.mapping = {name} and l.source_key = h.{key})"
    insert = f"insert into {JOURNAL}.inside (mapping, source_key)"
    few = batch.rows
    connection.execute("analyze tenantry_batch")
    one = f"{insert} select {name}, h.{key} from hashed h where not {listed} and ({there}) on conflict do nothing"
    found = _list(batch, mapping, merging(batch.project, mapping, one, rows=few, few=True))
    # A row with new values: compare it with all rows.
    connection.execute("delete from tenantry_known")
    new = f"insert into tenantry_known select h.{key} from hashed h where {listed} and not ({there})"
    if connection.execute(merging(batch.project, mapping, new, rows=few, few=True)).rowcount:
        same = (
            f"{insert} select {name}, a.{key} from hashed a where a.{mapping.ours('same')} in"
            f" (select b.{mapping.ours('same')} from hashed b join tenantry_known k on k.key = b.{key}) on conflict do nothing"
        )
        found += _list(batch, mapping, merging(batch.project, mapping, same))
        connection.execute("delete from tenantry_known")
    return found


def _list(batch: Batch, parent: Mapping, statement: str) -> int:
    """Run a statement that lists rows of a mapping, and mark the listed rows."""
    connection = batch.connection
    return connection.execute(
        f"with listed as ({statement} returning source_key)"
        f" insert into tenantry_dirty select {batch.facts.positions[parent.name]}, source_key from listed"
    ).rowcount


def decided_on(batch: Batch) -> str:
    """Return a SELECT of the keys of the batch's people whose account is decided."""
    mapping = batch.mapping
    condition = pilot_of(batch).condition(mapping) if batch.facts.pilot else None
    if condition is None:
        return "select key from tenantry_batch"
    return f"select {mapping_key(mapping)} from {batch.rows} s where {condition}"
