"""The statement that copies a range of rows, and quarantines rows with problems."""

from __future__ import annotations

from tenantry.derivation.derived import Reading
from tenantry.derivation.forward import Deriver
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.mapping.reasons import first_problem
from tenantry.postgres import ident, idents, literal

RUN = "(select max(id) from tenantry.run)"


def copy_statement(
    project: Project,
    mapping: Mapping,
    *,
    rows: str | None = None,
    into: str | None = None,
    few: bool = False,
    corrected: frozenset[str] = frozenset(),
    strangers: frozenset[str] = frozenset(),
) -> str:
    """Return a statement that copies a range of rows; it yields (source rows, target rows, quarantined rows, changed cells).

    Args:
        rows: a relation that replaces the source table.
        into: a table that replaces the target; it has the columns of the mapping.
        few: the statement copies only a few rows, so parents are looked up one by one.
        corrected: mappings with rows that were corrected in the quarantine.
        strangers: target tables with rows that must not be parents, because another tenant's row has their old id.
    """
    derivation = Deriver(project, Reading.COPY, corrected=corrected, strangers=strangers).derive(mapping, rows=rows)
    names = [column.name for column in mapping.columns]
    target = ident(project.target.schema, mapping.target.name)
    named = literal(mapping.name)
    source = literal(mapping.source.name)
    key, problems, parent, original, changes = (
        f"d.{mapping.ours(name)}" for name in ("key", "problems", "parent", "original", "changes")
    )
    carried = (
        f"insert into {into or target} ({idents(names)})\n{'' if into else identity_clause(mapping)}"
        f"select {idents(names, prefix='d')} from derived d where {problems} is null"
    )
    refused = (
        f"insert into {JOURNAL}.quarantine (run_id, mapping, source_table, source_key, original, problems, reason, column_name,"
        " parent_mapping, parent_table, parent_key)\n"
        f"select {RUN}, {named}, {source}, {key}, {original}, {problems},\n"
        "       case when f.reason = 'reference_missing' and q.found then 'parent_quarantined' else f.reason end, f.name,\n"
        f"       {parent} ->> 'mapping', {parent} ->> 'table', {parent} ->> 'key'\n"
        "  from derived d\n"
        f" cross join lateral {first_problem(problems)} f\n"
        f"  left join lateral (select true as found from {JOURNAL}.quarantine q where q.state = 'open'"
        f" and q.source_table = {parent} ->> 'table' and q.source_key = {parent} ->> 'key' limit 1) q on true\n"
        f" where {problems} is not null"
    )
    noted = (
        f"insert into {JOURNAL}.change (mapping, source_table, source_key, column_name, original, carried, rule)\n"
        f"select {named}, {source}, {key}, c.cell::json ->> 'column', c.cell::json -> 'from', c.cell::json -> 'to',"
        f" c.cell::json ->> 'rule'\n"
        f"  from derived d cross join lateral unnest({changes}) c (cell)\n"
        f" where {changes} is not null and {problems} is null"
    )
    return derivation.statement(
        f"select count(*), count(*) filter (where {problems} is null), count(*) filter (where {problems} is not null),\n"
        f"       coalesce(sum(cardinality({changes})) filter (where {problems} is null), 0)\n  from derived d",
        more=[("carried", carried), ("refused", refused), ("noted", noted)],
        few=few,
    )


def identity_clause(mapping: Mapping) -> str:
    """Allow explicit values for identity columns."""
    return "overriding system value\n" if any(column.identity for column in mapping.target.columns) else ""
