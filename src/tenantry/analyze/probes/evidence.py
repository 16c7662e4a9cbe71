"""Gathers evidence: bounded, read-only probes of the source, before the target exists.

A probe derives the rows like the copy, and counts which would be quarantined, merged or changed. It creates the target's
types in a transaction that is rolled back, and locks tables for reading only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import errors as pg

from tenantry.analyze.finding import Evidence, Tally
from tenantry.analyze.schemas import MOST_KEY_BYTES, new_keys, target_columns
from tenantry.catalog.build import type_statements
from tenantry.derivation.derived import Reading
from tenantry.derivation.documents import may_name, names_key, tenant_of
from tenantry.derivation.forward import Deriver
from tenantry.derivation.keys import mapping_key
from tenantry.derivation.rows import merge_keys, qualified_order
from tenantry.derivation.tenant_values import value_columns, value_key
from tenantry.mapping import DocumentIds, Mapping, Project
from tenantry.mapping.reasons import read
from tenantry.postgres import about, ident, literal

Connection = psycopg.Connection[tuple[Any, ...]]

MOST_ROWS = 5_000_000
"""Tables with more rows are sampled by pages, and the findings mention it."""
TIMEOUT = "10min"
SAMPLE_ROWS, PROBE_TIMEOUT = 500_000, "20s"
"""The same for `tenantry analyze`, which a person waits for, and which may run beside the application."""
_FEWER = 10
"""After a probe that took too long: the share of its rows that is read instead."""
_COUNTED = 20
"""Tables with more rows than this many samples are not counted: PostgreSQL's own estimate stands for their number."""
SAMPLES = 5


def gather(
    connection: Connection,
    project: Project,
    *,
    most_rows: int = MOST_ROWS,
    timeout: str = TIMEOUT,
    progress: Callable[[str, int], None] = lambda _name, _rows: None,
) -> tuple[Evidence, ...]:
    """Gather evidence for every mapping; calls `progress` with each mapping's name and estimated rows when it starts.

    Args:
        most_rows: tables with more rows are sampled.
        timeout: of each probe, as PostgreSQL's statement_timeout.
    """
    found = []
    with connection.transaction(force_rollback=True):
        connection.execute("set local work_mem = '128MB'")
        if (
            connection.execute("select from pg_namespace where nspname = %s", [project.target.schema]).fetchone()
            is None
        ):
            for statement in type_statements(project.target):
                connection.execute(statement)
        connection.execute("select set_config('statement_timeout', %s, true)", [timeout])
        for mapping in project:
            total = max(0, mapping.source.row_estimate)
            progress(mapping.name, total)
            try:
                with about(str(mapping)), connection.transaction():
                    total = _total(connection, project, mapping, most_rows)
                found.append(_probed(connection, project, mapping, total, most_rows))
            except (pg.DataError, pg.QueryCanceled, pg.IntegrityError) as error:
                said = "(withheld: the table holds secrets)" if mapping.secrets else str(error.diag.message_primary)
                found.append(Evidence(mapping.name, 0, total, failed=said))
    return tuple(found)


def _probed(connection: Connection, project: Project, mapping: Mapping, total: int, most_rows: int) -> Evidence:
    """Probe a mapping; if that takes too long, once more with a tenth of the rows: a small sample says more than none."""
    try:
        with about(str(mapping)), connection.transaction():
            return _probe(connection, project, mapping, total, most_rows)
    except pg.QueryCanceled:
        fewer = min(total, most_rows) // _FEWER
        if fewer < _FEWER:
            raise
        with about(str(mapping)), connection.transaction():
            return _probe(connection, project, mapping, total, fewer)


def _total(connection: Connection, project: Project, mapping: Mapping, most_rows: int) -> int:
    """Count the rows of the source table, unless that would take much longer than to read the sample."""
    if mapping.source.row_estimate > _COUNTED * most_rows:
        return mapping.source.row_estimate
    row = connection.execute(f"select count(*) from {ident(project.source.schema, mapping.source.name)}").fetchone()
    assert row is not None
    return int(str(row[0]))


def _probe(connection: Connection, project: Project, mapping: Mapping, total: int, most_rows: int) -> Evidence:
    relation = None
    sampled = total > most_rows
    table = ident(project.source.schema, mapping.source.name)
    if sampled:
        relation = f"(select * from {table} tablesample system ({100 * most_rows / total}) repeatable (1))"
    derivation = Deriver(project, Reading.PREVIEW).derive(mapping, rows=relation)
    key, problem, cells = (f"d.{mapping.ours(name)}" for name in ("key", "problems", "changes"))
    counted = _tally(key)
    parts = [
        "select 'rows', '', '', count(*), null::text[] from derived",
        f"select 'refused', split_part({problem}, ';', 1), '', {counted} from derived d where {problem} is not null group by 2",
        f"select 'problems', p.problem, '', {counted} from derived d"
        f" cross join lateral regexp_split_to_table({problem}, ';') p (problem) group by 2",
        f"select 'changes', c.cell::json ->> 'column', c.cell::json ->> 'rule', {counted} from derived d"
        f" cross join lateral unnest({cells}) c (cell) where {problem} is null group by 2, 3",
    ]
    more: list[tuple[str, str]] = []
    if mapping.merge is not None:
        keys = merge_keys(mapping, "d")
        same = f"hash_record_extended(row({keys}), 0)"
        more = [
            ("twice", f"select {same} as h from derived d where {problem} is null group by 1 having count(*) > 1"),
            (
                "ranked",
                f"select {key} as key, row_number() over (partition by {keys} order by {qualified_order(mapping, 'd')}) as place"
                f" from derived d where {problem} is null and {same} in (select w.h from twice w)",
            ),
        ]
        parts.append(f"select 'merged', '', '', {_tally('r.key')} from ranked r where r.place > 1")
    parts.extend(
        f"select 'stale', {literal(column.name)}, '', {_tally('j.k')} from"
        f" (select {mapping_key(mapping)} as k from {relation or table} s where {_stale(project, column.ids, column.value)}) j"
        for column in mapping.columns
        if column.kind == "json_ids"
    )
    parts.extend(
        f"select 'foreign', {literal(column.name)}, '', {_tally('j.k')} from"
        f" (select {mapping_key(mapping)} as k from {relation or table} s where {named}) j"
        for column in mapping.columns
        if column.kind == "json_ids" and (named := _foreign(project, mapping, column.ids, column.value))
    )
    parts.extend(
        f"select 'values', {literal(column)}, {literal(kind)}, {_tally('z.value')} from ({query}) z"
        for column in value_columns(project, mapping)
        for kind, query in _values(project, mapping, column, relation or table)
    )
    parts.extend(
        f"select 'wide', {literal(index.name)}, '', {_tally(key)} from derived d where {problem} is null"
        f" and {' + '.join(f'coalesce(octet_length(d.{ident(name)}::text), 0)' for name in names)} > {MOST_KEY_BYTES} having count(*) > 0"
        for index, names in new_keys(mapping, lambda name: target_columns(project, mapping, name))
    )
    rows = connection.execute(derivation.statement("\nunion all\n".join(parts), more=more)).fetchall()
    looked_at = 0
    refused: dict[str, Tally] = {}
    problems: dict[str, Tally] = {}
    changes: dict[tuple[str, str], Tally] = {}
    stale: dict[str, Tally] = {}
    foreign: dict[str, Tally] = {}
    values: dict[tuple[str, str], Tally] = {}
    wide: dict[str, Tally] = {}
    merged = Tally(0)
    for kind, first, second, count, keys in rows:
        tally = Tally(int(str(count)), tuple(keys or ()))
        match kind:
            case "rows":
                looked_at = tally.count
            case "refused":
                refused[read(str(first))] = tally
            case "problems":
                problems[read(str(first))] = tally
            case "changes":
                changes[str(first), str(second)] = tally
            case "merged":
                merged = tally
            case "stale" if tally.count:
                stale[str(first)] = tally
            case "foreign" if tally.count:
                foreign[str(first)] = tally
            case "values":
                values[str(first), str(second)] = tally
            case "wide":
                wide[str(first)] = tally
    return Evidence(
        mapping.name,
        looked_at,
        total,
        sampled,
        refused,
        problems,
        merged,
        changes,
        stale,
        foreign=foreign,
        values=values,
        wide=wide,
    )


def _values(project: Project, mapping: Mapping, column: str, relation: str) -> Iterator[tuple[str, str]]:
    """Yield queries of the key of one row for each value of a column that is a tenant, and for each of those that case, blanks
    and punctuation alone tell from another one."""
    key = value_key(project, f"s.{ident(column)}")
    where = f" where {mapping.where}" if mapping.where else ""
    keys = (
        f"(select k.key, min(k.row) as row from (select {key} as key, {mapping_key(mapping)} as row from {relation} s{where}) k"
        " where k.key is not null group by k.key)"
    )
    yield "tenants", f"select k.row as value from {keys} k"
    plain = "regexp_replace(lower(k.key), '[^[:alnum:]]+', '', 'g')"
    yield (
        "alike",
        f"select k.row as value from (select k.row, count(*) over (partition by {plain}) as alike from {keys} k) k"
        " where k.alike > 1",
    )


def _tally(key: str) -> str:
    return f"count(*), (array_agg({key} order by {key}))[1:{SAMPLES}]"


def _stale(project: Project, ids: Sequence[DocumentIds], document: str) -> str:
    conditions = []
    for each in ids:
        keys = " union all ".join(
            f"select {mapping_key(parent)} from {ident(project.source.schema, parent.source.name)} s"
            + (f" where {parent.where}" if parent.where else "")
            for parent in project.by_target[each.parent]
        )
        conditions.append(
            f"exists (select from jsonb_path_query({document}, {literal(each.jsonpath)}::jsonpath) v (node)"
            f" where jsonb_typeof(v.node) <> 'null' and v.node #>> '{{}}' not in ({keys}))"
        )
    return " or ".join(conditions)


def _foreign(project: Project, mapping: Mapping, ids: Sequence[DocumentIds], document: str) -> str:
    """Return a condition: a document refers to a row of another tenant; empty if none can."""
    if not mapping.scoped and not mapping.is_root:
        return ""
    own = tenant_of(project, mapping, "s", merged=False)
    node = "v.node #>> '{}'"
    conditions = []
    for each in ids:
        for parent in project.by_target[each.parent]:
            may = may_name(project, parent, "k", own, merged=False)
            if may:
                conditions.append(
                    f"exists (select from jsonb_path_query({document}, {literal(each.jsonpath)}::jsonpath) v (node)"
                    f" join {ident(project.source.schema, parent.source.name)} k"
                    f" on {names_key(project, parent, 'k', node)} where not ({may}))"
                )
    return " or ".join(conditions)
