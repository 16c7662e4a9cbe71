"""Merging: of duplicate rows one survives in the target, and the others are listed."""

from __future__ import annotations

from tenantry.derivation.keys import (
    same_key,
)
from tenantry.derivation.rows import merge_keys, qualified_order
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import legacy_of, source_key
from tenantry.migrate.replay.batch import (
    Batch,
    clear,
    same_values,
)
from tenantry.postgres import ident, literal


def with_group(batch: Batch) -> None:
    """Add the rows that were merged with a row of the batch."""
    connection, mapping = batch.connection, batch.mapping
    name = literal(mapping.name)
    connection.execute(
        "with touched as (select m.into_key from tenantry_batch b"
        f" join {JOURNAL}.merged m on m.mapping = {name} and m.source_key = b.key\n"
        f" union select b.key from tenantry_batch b join {JOURNAL}.merged m on m.mapping = {name} and m.into_key = b.key)\n"
        "insert into tenantry_batch select into_key from touched union"
        f" select m.source_key from touched t join {JOURNAL}.merged m on m.mapping = {name}"
        " and m.into_key = t.into_key on conflict do nothing"
    )


def equals(batch: Batch) -> bool:
    """Make a batch of the target's rows that duplicate a derived row; return False if there are none."""
    connection, mapping = batch.connection, batch.mapping
    assert mapping.merge is not None
    ways = same_values(mapping, mapping.merge.by, "t", "n", nulls=True)
    clear(connection, "batch")
    connection.execute(f"analyze {batch.new}")
    equal = " union ".join(
        f"select t.legacy_id, {source_key(mapping)} as key from {batch.new} n join {batch.seen} t on {same}"
        for same in ways
    )
    found = connection.execute(
        f"insert into tenantry_batch select distinct e.key from ({equal}) e"
        f" where not exists (select from tenantry_all a where e.legacy_id = {legacy_of(mapping, 'a.key')})"
    )
    return found.rowcount > 0


def merge(batch: Batch) -> None:
    connection, mapping = batch.connection, batch.mapping
    merge, new = mapping.merge, batch.new
    assert merge is not None
    connection.execute(
        f"with ranked as (select t.ctid as tid, first_value(t.legacy_id) over w as"
        f" into_key, row_number() over w as place from {new} t window w as"
        f" (partition by {merge_keys(mapping, 't')} order by {qualified_order(mapping, 't')})),\n"
        f"gone as (delete from {new} t using ranked r where t.ctid = r.tid and r.place > 1"
        " returning t.legacy_id, r.into_key, to_json(t.*) as derived)\n"
        f"insert into {JOURNAL}.merged (mapping, source_table, source_key, into_key, reason, original, derived)\n"
        f"select {literal(mapping.name)}, {literal(mapping.source.name)}, g.legacy_id, g.into_key, {literal(merge.reason)},"
        " to_json(s.*), g.derived\n"
        f"  from gone g join {ident(batch.project.source.schema, mapping.source.name)} s"
        f" on {same_key(batch.project.source, mapping, 's', 'g.legacy_id')}"
    )
