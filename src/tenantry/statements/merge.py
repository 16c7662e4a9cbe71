"""Merging duplicate rows, and undoing it."""

from __future__ import annotations

from tenantry.derivation.derived import Reading
from tenantry.derivation.forward import Deriver
from tenantry.derivation.keys import mapping_key
from tenantry.derivation.rows import merge_keys, qualified_order
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.postgres import ident, idents, literal, short_name
from tenantry.statements.copy import identity_clause


def merge_statements(project: Project, mapping: Mapping) -> tuple[str, ...]:
    """Return statements that keep the first of the rows that are equal in the merge's columns, delete the others and list
    them as merged.

    There are few duplicates. They are found by hash first: by sorting, because the planner expects far fewer groups than
    exist, and in separate statements, because parallel workers help neither a DELETE nor its inputs.
    """
    merge = mapping.merge
    assert merge is not None
    hashes, found = (ident(JOURNAL, short_name(name, mapping.name)) for name in ("same_hashes", "same_rows"))
    target = ident(project.target.schema, mapping.target.name)
    keys = merge_keys(mapping, "t")
    same = f"hash_record_extended(row({keys}), 0)"
    return (
        "set local enable_hashagg = off",
        f"create unlogged table {hashes} as\nselect {same} as h from {target} t group by 1 having count(*) > 1",
        "set local enable_hashagg = on",
        f"create unlogged table {found} as\nselect t.ctid as tid from {target} t where {same} in (select h from {hashes})",
        f"with ranked as (\n  select t.ctid as tid, t.legacy_id, to_json(t.*) as derived,\n"
        "         first_value(t.legacy_id) over w as into_key, row_number() over w as place\n"
        # The manifest's order uses columns without an alias: the statement has no other relation than the target.
        f"    from {target} t where t.ctid in (select f.tid from {found} f)\n"
        f"  window w as (partition by {keys} order by {qualified_order(mapping, 't')})\n),\n"
        f"gone as (\n  delete from {target} t using ranked r where t.ctid = r.tid and r.place > 1\n"
        "  returning r.legacy_id, r.into_key, r.derived\n)\n"
        f"insert into {JOURNAL}.merged (mapping, source_table, source_key, into_key, reason, original, derived)\n"
        f"select {literal(mapping.name)}, {literal(mapping.source.name)}, gone.legacy_id, gone.into_key, {literal(merge.reason)},"
        " to_json(s.*), gone.derived\n"
        f"  from gone join {ident(project.source.schema, mapping.source.name)} s on {mapping_key(mapping)} = gone.legacy_id",
        f"drop table {hashes}, {found}",
    )


def unmerge_statement(project: Project, mapping: Mapping) -> str:
    """Insert the merged rows again, as they were derived."""
    target = ident(project.target.schema, mapping.target.name)
    names = [column.name for column in mapping.columns]
    return (
        f"with back as (delete from {JOURNAL}.merged where mapping = {literal(mapping.name)} returning derived)\n"
        f"insert into {target} ({idents(names)})\n{identity_clause(mapping)}"
        f"select {idents(names, prefix='r')} from back b cross join lateral json_populate_record(null::{target}, b.derived) r"
    )


def same_as_listed(project: Project, mapping: Mapping) -> str:
    """Return the statement that lists the rows which would be merged with a listed one."""
    key, same = mapping.ours("key"), mapping.ours("same")
    return merging(
        project,
        mapping,
        f"insert into {JOURNAL}.inside (mapping, source_key)\n"
        f"select {literal(mapping.name)}, a.{key} from hashed a\n"
        f" where a.{same} in (select b.{same} from hashed b join {JOURNAL}.inside l"
        f" on l.mapping = {literal(mapping.name)} and l.source_key = b.{key})\n"
        "on conflict do nothing",
    )


def merging(project: Project, mapping: Mapping, tail: str, *, rows: str | None = None, few: bool = False) -> str:
    """Return `with … hashed … tail`: the source rows that take part in a merge, with the rule's columns, and `key` and `same`
    as `Mapping.ours` names them. Rows with problems are excluded. A hash collision merely lists one row too many."""
    assert mapping.merge is not None
    by, key = idents(mapping.merge.by, prefix="d"), mapping.ours("key")
    return (
        Deriver(project, Reading.PREVIEW)
        .derive(mapping, rows=rows)
        .statement(
            tail,
            more=[
                (
                    "hashed",
                    f"select d.{key}, hash_record_extended(row({by}), 0) as {mapping.ours('same')}, {by} from derived d"
                    f" where d.{mapping.ours('problems')} is null",
                )
            ],
            few=few,
        )
    )
