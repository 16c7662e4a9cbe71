"""SQL about the rows of one mapping, for everything that reads a source."""

from __future__ import annotations

from tenantry.derivation.keys import mapping_key
from tenantry.journal.names import JOURNAL
from tenantry.mapping.project import Mapping, Project, plain_name
from tenantry.postgres import ident, idents, literal


def python_table(mapping: Mapping) -> str:
    """The temporary table into which a worker writes the results of Python for a chunk."""
    return ident("pg_temp", plain_name("py", mapping.name))


def merge_keys(mapping: Mapping, alias: str) -> str:
    """Return the columns by which rows count as duplicates; a row with nulls in all of them duplicates no other."""
    assert mapping.merge is not None
    by = mapping.merge.by
    keys = idents(by, prefix=alias)
    columns = [mapping.target.column(name) for name in by]
    if not all(column is not None and column.nullable for column in columns):
        return keys
    return f"{keys}, case when num_nonnulls({keys}) = 0 then {alias}.legacy_id end"


def qualified_order(mapping: Mapping, alias: str) -> str:
    """Return the order of a merge rule over the derived row; the key breaks ties, so that the order is deterministic."""
    assert mapping.merge is not None
    return f"{mapping.merge.keep}, {alias}.legacy_id"


def effective_source(project: Project, mapping: Mapping, *, entries: str = "q.state = 'readmitted'") -> str:
    """Return the source's rows, with rows that were corrected in the quarantine in their corrected form.

    Args:
        entries: condition that an entry `q` of the quarantine counts as corrected.
    """
    source = ident(project.source.schema, mapping.source.name)
    corrected = f"{JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)} and {entries} and q.patch <> '{{}}'"
    key = mapping_key(mapping, "o")
    return (
        f"(select o.* from {source} o where not exists (select from {corrected} and q.source_key = {key})\n"
        f" union all select r.* from {source} o join {corrected.replace(' where ', f' on q.source_key = {key} and ', 1)}"
        f" cross join lateral jsonb_populate_record(o.*, q.patch) r)"
    )
