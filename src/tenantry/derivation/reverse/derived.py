"""Compiles the derivation of the source rows that were read."""

from __future__ import annotations

from tenantry.derivation.few import derive_few
from tenantry.derivation.keys import mapping_key
from tenantry.derivation.reverse.comparison import Comparison
from tenantry.journal.names import JOURNAL
from tenantry.postgres import idents, literal


def derive_rows(table: Comparison, position: int, corrected: frozenset[str]) -> str:
    """Return up(source row) for the rows that were read."""
    mapping = table.parts[position].mapping
    names = idents([*(column.name for column in mapping.columns), mapping.ours("key")])
    derivation = derive_few(table.project, mapping, corrected_rows(table, position, corrected), table.rows, corrected)
    return f"insert into {table.up(position)} ({names})\n" + derivation.statement(f"select {names} from derived d")


def corrected_rows(table: Comparison, position: int, corrected: frozenset[str]) -> str:
    """Return the rows that were read, those that were corrected in the quarantine in corrected form."""
    mapping = table.parts[position].mapping
    rows = table.rows
    if mapping.name in corrected:
        patched = (
            f"{JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)} and q.state = 'readmitted' and q.patch <> '{{}}'"
            f" and q.source_key = {mapping_key(mapping, 'o')}"
        )
        rows = (
            f"(select o.* from {table.rows} o where not exists (select from {patched})\n union all select r.* from {table.rows} o"
            f" cross join lateral (select q.patch from {patched}) q"
            f" cross join lateral jsonb_populate_record(o.*, q.patch) r)"
        )
    return rows
