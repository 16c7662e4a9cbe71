"""Chooses the rows and columns that synthetic writes change: those where another value does no harm."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.derivation.keys import mapping_key, same_key
from tenantry.journal.journal import Connection
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.project import ROW_ID
from tenantry.mapping.values.type_names import base_type, text_length
from tenantry.postgres import ident, idents, verbatim
from tenantry.rehearse.contexts import ClientContexts
from tenantry.rehearse.write_places import KEY, WritePlace, assignment_of, enter, ready

ROWS = 20
"""Number of written rows per table: half of them with the lowest keys, half with the highest."""


_AUDIT = {"created_at", "updated_at", "created_by", "updated_by"}


def chosen_keys(connection: Connection, project: Project, rows: int = ROWS) -> dict[str, tuple[str, ...]]:
    """Return source table → keys of the rows to write."""
    found: dict[str, tuple[str, ...]] = {}
    for table in project.source_tables:
        mapping = first_mapping(project, table)
        source = ident(project.source.schema, table.name)
        order = idents(mapping.key, prefix="s")
        down = ", ".join(f"s.{ident(name)} desc" for name in mapping.key)
        key = mapping_key(mapping)
        half = max(rows // 2, 1)
        keys = connection.execute(
            f"select k from (select {key} as k from {source} s order by {order} limit {half}) a"
            f" union select k from (select {key} as k from {source} s order by {down} limit {half}) b order by 1"
        )
        found[table.name] = tuple(str(row[0]) for row in keys)
    return found


def source_places(
    writer: Connection, project: Project, keys: dict[str, tuple[str, ...]]
) -> tuple[list[WritePlace], list[str]]:
    """Return the places to write in the source, and the tables that cannot be written, with the reason."""
    places = []
    for table in project.source_tables:
        mapping = first_mapping(project, table)
        candidates = [pair[0] for each in _mappings_of(project, table) for pair in pairs(project, each)]
        same = f"{ident(mapping.key[0])} = {ident(mapping.key[0])}"
        find = same_key(project.source, mapping, "s", KEY)
        sql = ident(project.source.schema, table.name)
        places += [
            WritePlace(
                table.name,
                f"{sql} s",
                (table.schema, table.name),
                table.name,
                find,
                column,
                _other_value(column, "s"),
                same,
                keys[table.name],
            )
            for column in [*candidates, None]
        ]
    return _tried(writer, places)


def target_places(
    writer: Connection, project: Project, keys: dict[str, tuple[str, ...]], contexts: ClientContexts
) -> tuple[list[WritePlace], list[str]]:
    """Return the places to write in the target: rows from the source's chosen ones, each written as a member of its tenant."""
    places = []
    for mapping in project:
        sql = ident(project.target.schema, mapping.target.name)
        legacy = [f"{mapping.legacy_prefix}{key}" for key in keys[mapping.source.name]]
        there = writer.execute(
            f"select legacy_id, {verbatim(_tenant_of(project, mapping.name))}, {verbatim(_account_of(project, mapping.name))}"
            f" from {verbatim(sql)} where legacy_id = any (%s) order by 1",
            [legacy],
        ).fetchall()
        callers = {str(key): contexts.account_for(tenant, account) for key, tenant, account in there}
        candidates = [pair[1] for pair in pairs(project, mapping)]
        find = f"s.legacy_id = {KEY}"
        places += [
            WritePlace(
                mapping.name,
                f"{sql} s",
                (mapping.target.schema, mapping.target.name),
                mapping.source.name,
                find,
                column,
                _other_value(column, "s"),
                "legacy_id = legacy_id",
                tuple(callers),
                callers=callers,
            )
            for column in [*candidates, None]
        ]
    return _tried(writer, places, contexts)


def _tenant_of(project: Project, table: str) -> str:
    """Return SQL of the tenant of a target row."""
    tenant = project.manifest.tenant
    column = tenant.column if project.scoped(table) else ROW_ID if table == tenant.table else None
    return f"{ident(column)}::text" if column is not None else "null"


def _account_of(project: Project, table: str) -> str:
    """Return SQL of the account of the person that a target row describes."""
    users = project.manifest.users
    return f"{ident(users.account)}::text" if users is not None and table == users.profile else "null"


def pairs(project: Project, mapping: Mapping) -> list[tuple[CatalogColumn, CatalogColumn]]:
    """Return source columns that migrate unchanged, in both directions, into a single target column; the best first.

    Keys, references and columns in constraints, merges and conditions are excluded: a write there could have effects.
    """
    found = []
    for column in mapping.columns:
        source, target = mapping.source.column(column.source or ""), mapping.target.column(column.name)
        if column.kind != "value" or column.present is not None or source is None or target is None:
            continue
        plain = _is_plain(column.value, "s", source.name) and _is_plain(column.down or "", "t", target.name)
        if not plain or _serves_else(project, mapping, column, source.name):
            continue
        if any(_bound(table, each) for table, each in ((mapping.source, source), (mapping.target, target))):
            continue
        if _other_value(source, "s") and _other_value(target, "s") and column.name not in _AUDIT:
            found.append((source, target))
    order = ["text", "character varying", "numeric", "bigint", "integer", "smallint", "boolean"]
    return sorted(
        found, key=lambda pair: order.index(kind) if (kind := base_type(pair[0].type)) in order else len(order)
    )


def _mappings_of(project: Project, table: Table) -> list[Mapping]:
    return sorted(project.of_source(table.name), key=lambda mapping: mapping.namespace != table.name)


def first_mapping(project: Project, table: Table) -> Mapping:
    return _mappings_of(project, table)[0]


def _is_plain(expression: str, alias: str, column: str) -> bool:
    """Whether an expression is the column itself, or a cast of it."""
    text = expression.strip()
    while True:
        shorter = re.sub(r"::[a-z ]+(\(\d+(,\d+)?\))?$", "", text)
        if shorter.startswith("(") and shorter.endswith(")") and shorter.count("(") == 1:
            shorter = shorter[1:-1]
        if shorter == text:
            return text == f"{alias}.{ident(column)}"
        text = shorter


def _serves_else(project: Project, mapping: Mapping, column: MappedColumn, name: str) -> bool:
    """Whether anything else is derived from a source column, or depends on it."""
    said = [mapping.source.name]
    for each in project.of_source(mapping.source.name):
        if name in each.secrets:
            return True
        for other in each.columns:
            if other is not column:
                said += [other.value, other.present or "", other.missing or ""]
        said += [each.where or "", each.merge.keep if each.merge is not None else ""]
        if each.merge is not None and column.name in each.merge.by:
            return True
        if any(name in ref.columns for ref in (*each.references, *each.tenant_paths)):
            return True
    for ref in (ref for each in project for ref in (*each.references, *each.tenant_paths)):
        if any(name in hop.by for hop in ref.hops()):
            return True
        if any(name in hop.onward.columns for hop in ref.hops() if hop.onward and hop.source == mapping.source.name):
            return True
    word = re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")
    return any(word.search(text) for text in said[1:])


def _bound(table: Table, column: CatalogColumn) -> bool:
    """Whether a key, a reference, a check or an expression of the table uses a column, or the server fills it."""
    if column.generated is not None or column.identity is not None or column.type_kind != "base":
        return True
    if any(column.name in constraint.columns for constraint in table.constraints):
        return True
    if any(index.unique and (column.name in index.columns or None in index.columns) for index in table.indexes):
        return True
    texts = [table.partition_key or "", *(each.generated or "" for each in table.columns)]
    return any(re.search(rf"(?<![\w$]){re.escape(column.name)}(?![\w$])", text) for text in texts)


def _other_value(column: CatalogColumn | None, alias: str) -> str:
    """Return SQL of the other value of a column; empty if its type has none that surely fits."""
    if column is None:
        return ""
    value = f"{alias}.{ident(column.name)}"
    match base_type(column.type):
        case "text" | "character varying":
            length = text_length(column.type)
            room = f"left(coalesce({value}, ''), {length - 1})" if length is not None else f"coalesce({value}, '')"
            return f"{room} || '~'"
        case "numeric" | "bigint" | "integer" | "smallint":
            # Towards zero, so that it fits the type's limits.
            return f"case when {value} >= 1 then {value} - 1 else coalesce({value}, 0) + 1 end"
        case "boolean":
            return f"not coalesce({value}, false)"
        case "timestamp with time zone" | "timestamp without time zone":
            return f"coalesce({value}, timestamp '2000-01-01') + interval '1 second'"
        case "date":
            return f"coalesce({value}, date '2000-01-01') + 1"
    return ""


def _tried(
    writer: Connection, candidates: Sequence[WritePlace], contexts: ClientContexts | None = None
) -> tuple[list[WritePlace], list[str]]:
    """Return the first place of each table where a write succeeds; all trials are rolled back."""
    places: dict[str, WritePlace] = {}
    reasons: dict[str, str] = {}
    for place in candidates:
        if place.table in places or not place.keys:
            continue
        try:
            with writer.transaction(force_rollback=True):
                key = {"key": place.keys[0]}
                enter(writer, place, place.keys[0], contexts)
                before = writer.execute(
                    ready(f"select to_json(s.*) from {place.sql} where {place.find}"), key
                ).fetchone()
                after = writer.execute(
                    ready(f"update {place.sql} set {assignment_of(place)} where {place.find} returning to_json(s.*)"),
                    key,
                ).fetchone()
        except psycopg.Error as error:
            reasons.setdefault(place.table, error.diag.message_primary or type(error).__name__)
            continue
        if before is None or after is None:
            reasons.setdefault(place.table, "its rows cannot be seen")
            continue
        changed = {name for name, value in after[0].items() if value != before[0].get(name)}
        if place.column is not None and place.column.name not in changed:
            continue
        place.also = frozenset(changed - {place.column.name if place.column is not None else ""})
        places[place.table] = place
        if place.column is not None:
            found = writer.execute(
                ready(
                    f"select k.key, (select s.{ident(place.column.name)}::text from {place.sql}"
                    f" where {place.find.replace(KEY, 'k.key')}) from unnest(/* keys */::text[]) k (key)"
                ).replace(b"/* keys */", b"%(keys)s"),
                {"keys": list(place.keys)},
            )
            place.before = {str(key): value for key, value in found}
    left = [f"{table}: {reason}" for table, reason in reasons.items() if table not in places]
    return list(places.values()), left
