"""Compiles which rows of a source table are examined: the keys of changed target rows, and the rows that belong to them."""

from __future__ import annotations

from tenantry.derivation.keys import key_parts_sql, mapping_key
from tenantry.derivation.reverse.columns import Part
from tenantry.derivation.reverse.comparison import Comparison
from tenantry.derivation.reverse.strangers import of_another_tenant
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import key_of, legacy_of, of_part
from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident, idents, literal

CHANGED = "pg_temp.tenantry_look"
"""(table_name, legacy_id) of the target rows to examine."""


def add_keys(table: Comparison, texts: str) -> str:
    """Add the source keys of a query `(key text)` to the rows to be examined; skip texts that are no key of the table."""
    typed = key_parts_sql(table.project.source, table.first, "c.key")
    return (
        f"insert into {table.keys} (key, {', '.join(table.key_columns)})\n"
        f"select c.key, {idents(table.key, prefix='x')} from (select distinct key from ({texts}) z (key)) c\n"
        f" cross join lateral (select {', '.join(typed)}) x ({idents(table.key)})\n"
        f" where {mapping_key(table.first, 'x')} = c.key\n"
        "on conflict (key) do update set now = true"
    )


def draw_numbers(table: Comparison, part: Part) -> str:
    """Return a statement that gives changed target-native rows a number of the source's own sequence, so that no application draws it
    too. A row keeps its number for as long as it is in the target."""
    values = [f"nextval({literal(part.drawn)})::text" if feed.drawn else f"{feed.value}::text" for feed in part.natural]
    key = values[0] if len(values) == 1 else f"jsonb_build_array({', '.join(values)})::text"
    others = [f"{feed.value} is not null" for feed in part.natural if not feed.drawn]
    joins = "".join(f"\n  {join}" for join in part.joins)
    tenant = "null"
    if part.mapping.scoped:
        column = ident(table.project.manifest.tenant.column)
        tenant = f"t.{column}::text"
        if table.project.constant:
            others.append(f"not {of_another_tenant(table.project, 't')}")
    return (
        f"insert into {JOURNAL}.born_part (mapping, legacy_id, source_key, tenant)\n"
        f"select {literal(part.mapping.name)}, t.legacy_id, {key}, {tenant} from {table.target_sql(part)} t{joins}\n"
        f" where t.legacy_id in (select c.legacy_id from {CHANGED} c where c.table_name = {literal(part.target)})"
        f" and t.legacy_id = t.{ident(ROW_ID)}::text and not {table.source_has(part.mapping, 't.legacy_id')}"
        + "".join(f" and {each}" for each in others)
        + f" and not exists (select from {JOURNAL}.born_part b where b.mapping = {literal(part.mapping.name)}"
        " and b.legacy_id = t.legacy_id)"
    )


def changed_keys(table: Comparison) -> list[str]:
    """Return the queries that find the source keys of changed target rows."""
    texts = []
    for part in table.parts:
        mine = f"from {CHANGED} c where c.table_name = {literal(part.target)}"
        if part.link == "natural":
            # Target-native rows have the key that their columns hold, and no other.
            mine += (
                f" and not exists (select from {ident(table.project.target.schema, part.target)} t where t.legacy_id = c.legacy_id"
                f" and t.legacy_id = t.{ident(ROW_ID)}::text and not {table.source_has(part.mapping, 't.legacy_id')})"
            )
        texts.append(f"select {key_of(part.mapping, 'c.legacy_id')} {mine}")
        q = f"{table.target_sql(part)} q"
        p = f"{table.target_sql(table.parts[0])} p"
        here = f"select {key_of(table.first, 'p.legacy_id')} from {CHANGED} c join {q} on q.legacy_id = c.legacy_id"
        named = f"where c.table_name = {literal(part.target)}"
        if part.link == "names":
            texts.append(
                f"{here} join {p} on {table._joined(table.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')} {named}"
            )
        if part.link in ("names", "natural"):
            texts.append(
                f"select b.source_key from {CHANGED} c join {JOURNAL}.born_part b on b.mapping = {literal(part.mapping.name)}"
                f" and b.legacy_id = c.legacy_id {named}"
            )
        if part.link == "natural":
            texts.append(
                f"select n.key from ({native_rows(table, part, f'select c.legacy_id from {CHANGED} c {named}')}) n"
            )
        elif part.link == "named":
            texts.append(
                f"{here} join {p} on {table._joined(part, 'q', f'p.{ident(part.link_column or ROW_ID)}', table.parts[0], 'p')} {named}"
            )
    return texts


def read_rows(table: Comparison) -> list[str]:
    """Select the source rows of the keys together with their target rows."""
    made = [
        f"insert into {table.rows} select s.* from {table.keys} k join {table.sql} s on {table.same_key('s', 'k')} where k.now"
    ]
    for i, part in enumerate(table.parts):
        legacy = legacy_of(part.mapping, "k.key")
        own = f"{table.target_sql(part)} q on q.legacy_id = {legacy}"
        p = f"{table.target_sql(table.parts[0])} p"
        p_here = f"p.legacy_id = {legacy_of(table.first, 'k.key')}"
        match part.link:
            case "names":
                order = ", ".join(
                    name
                    for name in ("q.created_at" if part.mapping.target.column("created_at") else "", "q.legacy_id")
                    if name
                )
                linked = (
                    f"select distinct on (k.key) k.key, q.legacy_id from {table.keys} k join {p} on {p_here} join {table.target_sql(part)} q"
                    f" on {table._joined(table.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')}"
                    f" where k.now and not {_elsewhere(table, part, 'q.legacy_id')}{_covered(table, part)}"
                    f" order by k.key, {order}"
                )
                made.append(
                    f"insert into {table.link(i)} select k.key, coalesce(q.legacy_id, z.legacy_id, {legacy}) from {table.keys} k\n"
                    f"  left join {own}\n  left join ({linked}) z on z.key = k.key where k.now"
                )
            case "natural":
                # If there are several rows, the one that already has the place keeps it.
                placed = (
                    f"exists (select from {JOURNAL}.born_part b where b.mapping = {literal(part.mapping.name)}"
                    " and b.legacy_id = n.legacy_id and b.source_key = k.key)"
                )
                native = native_rows(table, part, rows_to_examine(table, part))
                linked = (
                    f"select distinct on (k.key) k.key, n.legacy_id from {table.keys} k join ({native}) n"
                    f" on n.key = k.key where k.now{_covered(table, part)} order by k.key, {placed} desc, n.legacy_id"
                )
                made.append(
                    f"insert into {table.link(i)} select k.key, coalesce(q.legacy_id, z.legacy_id, {legacy}) from {table.keys} k\n"
                    f"  left join {own}\n  left join ({linked}) z on z.key = k.key where k.now"
                )
            case "named":
                named = table._joined(part, "n", f"p.{ident(part.link_column or ROW_ID)}", table.parts[0], "p")
                made.append(
                    f"insert into {table.link(i)} select k.key, coalesce(n.legacy_id, {legacy}) from {table.keys} k\n"
                    f"  left join {p} on {p_here}\n  left join {table.target_sql(part)} n on {named} where k.now"
                )
            case _:
                made.append(f"insert into {table.link(i)} select k.key, {legacy} from {table.keys} k where k.now")
    return made


def examined_rows(table: Comparison) -> list[str]:
    """Return queries of (table, legacy id) of all target rows that were examined."""
    made = []
    for i, part in enumerate(table.parts):
        name = literal(part.target)
        made.append(f"select {name}, legacy from {table.link(i)}")
        made.append(f"select {name}, {legacy_of(part.mapping, 'k.key')} from {table.keys} k where k.now")
        if part.link == "names":
            made.append(
                f"select {name}, q.legacy_id from {table.keys} k join {table.target_sql(table.parts[0])} p"
                f" on p.legacy_id = {legacy_of(table.first, 'k.key')} join {table.target_sql(part)} q"
                f" on {table._joined(table.parts[0], 'p', f'q.{ident(part.link_column or ROW_ID)}', part, 'q')} where k.now"
            )
    return made


def rows_to_examine(table: Comparison, part: Part) -> str:
    """Return a query (legacy_id) of the changed rows and of the rows whose values name a place to be examined."""
    return (
        f"select c.legacy_id from {CHANGED} c where c.table_name = {literal(part.target)} union select b.legacy_id"
        f" from {JOURNAL}.born_part b join {table.keys} k on k.key = b.source_key and k.now"
        f" where b.mapping = {literal(part.mapping.name)}"
    )


def native_rows(table: Comparison, part: Part, known: str, whole: str = "", more: str = "") -> str:
    """Return a query (key, legacy_id) of the rows of `known` (legacy_id) that are target-native but have a place in the
    source, given by the target columns that its key is made from."""
    values = [f"{feed.value}::text" for feed in part.natural]
    key = values[0] if len(values) == 1 else f"jsonb_build_array({', '.join(values)})::text"
    joins = "".join(f"\n  {join}" for join in part.joins)
    return (
        f"select {key} as key, t.legacy_id{more} from {whole or table.target_sql(part)} t{joins}\n where t.legacy_id in ({known})"
        f" and t.legacy_id = t.{ident(ROW_ID)}::text and not {table.source_has(part.mapping, 't.legacy_id')}"
        f" and num_nulls({', '.join(values)}) = 0"
    )


def _elsewhere(table: Comparison, part: Part, legacy: str) -> str:
    """Return a condition: a target row has, or had, a source row of its own, and so is not a part of another one."""
    known = [
        of_part(mapping, legacy) if mapping.legacy_prefix else table.source_has(mapping, legacy)
        for mapping in table.project.by_target[part.target]
    ]
    return f"({' or '.join(known)})"


def _covered(table: Comparison, part: Part) -> str:
    """Return a condition: only source rows that pass the mapping's own filter have this part."""
    if not part.mapping.where or any(f"s.{ident(feed.column)}" in part.mapping.where for feed in part.feeds):
        return ""  # or will have it, once the part's values are written
    return (
        f" and not exists (select from {table.rows} s where {table.same_key('s', 'k')}"
        f" and ({part.mapping.where}) is not true)"
    )
