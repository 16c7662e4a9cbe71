"""Facts about a project's schemas that several rules use. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tenantry.catalog import Catalog, Index, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.derivation.numbers import Place, carried_numbers, columns_of
from tenantry.manifest.model import LinkColumn
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.values.type_names import base_type, text_length

NumbersOfBothSides = tuple[Mapping, MappedColumn, tuple[tuple[str, int], ...]]
"""A column of numbers and, by table.column of each side that fills it from a sequence, how many numbers are left."""


# -- columns ---------------------------------------------------------------------------------------------------------


def carried_pairs(project: Project) -> Iterator[tuple[Mapping, MappedColumn, CatalogColumn, CatalogColumn]]:
    """Return columns that are made from one source column, with both columns; not ids and references."""
    for mapping in project:
        for column in mapping.columns:
            if column.source is not None and column.kind not in ("reference", "id"):
                source, target = mapping.source.column(column.source), mapping.target.column(column.name)
                if source is not None and target is not None:
                    yield mapping, column, source, target


def target_columns(project: Project, mapping: Mapping, source: str) -> set[str]:
    """Return the target columns that a source column fills with one value for each of its values."""
    found = {each.name for each in mapping.columns if each.source == source}
    found |= {
        each.name for each in mapping.columns if each.reference is not None and each.reference.columns == (source,)
    }
    if mapping.scoped and any(path.columns == (source,) for path in mapping.tenant_paths):
        found.add(project.manifest.tenant.column)
    if mapping.key == (source,):
        found |= {each.name for each in mapping.columns if each.kind in ("id", "legacy")}
    return found


def is_zoned(source: CatalogColumn, target: CatalogColumn) -> bool:
    """Whether times become instants."""
    return source.type.startswith("timestamp") and "with time zone" in target.type


def columns_used(project: Project, table: Table) -> set[str]:
    """Return the columns of a source table that are used for target columns."""
    used = set(table.row_key or ())
    for mapping in project.of_source(table.name):
        used.update(column.source for column in mapping.columns if column.source is not None)
        for ref in (*mapping.references, *mapping.tenant_paths):
            used.update(ref.columns)
        for column in mapping.columns:
            used |= _named(column.value)
        used |= _named(mapping.where or "")
    for mapping in project:
        for hop in (hop for path in mapping.tenant_paths for hop in path.hops()):
            if hop.source == table.name:
                used.update(hop.by if hop.backward else ())
                used.update(hop.onward.columns if hop.onward is not None else ())
    return used | _used_for_accounts(project, table)


def _used_for_accounts(project: Project, table: Table) -> set[str]:
    """Return the columns of the users table that [users] reads."""
    users = project.manifest.users
    if users is None or users.source != table.name:
        return set()
    used = {users.email, *([users.password] if users.password else [])}
    used |= {way.column for way in users.link if isinstance(way, LinkColumn)}
    for sql in (users.super, users.verified, users.deleted, users.system, users.metadata):
        used |= _named(sql or "")
    return used


def _named(sql: str) -> set[str]:
    """Return the columns of `s` that an expression uses; unquoted names are folded as the server does."""
    return {
        quoted.replace('""', '"') or plain.lower()
        for quoted, plain in re.findall(r'\bs\.(?:"((?:[^"]|"")+)"|([A-Za-z_][\w$]*))', sql)
    }


def zone_columns(project: Project) -> dict[str, set[str]]:
    """By column of the tenant's row that holds a time zone: the columns whose times are read in it, as table.column."""
    found: dict[str, set[str]] = {}
    for table, rule in project.manifest.tables.items():
        for part in rule.parts().values():
            for name, column in part.columns.items():
                if column.zone is not None and column.zone.startswith("tenant."):
                    found.setdefault(column.zone.removeprefix("tenant."), set()).add(f"{table}.{name}")
    return found


# -- tables ----------------------------------------------------------------------------------------------------------


def shown_by(project: Project) -> dict[str, str]:
    """Return the tables of the source's schema whose rows a query of a source table includes, with that table."""
    return {
        each.name: table.name
        for table in project.source_tables
        for each in table.below
        if each.schema == project.source.schema
    }


MOST_KEY_BYTES = 2704
"""The longest entry of a B-tree on pages of 8 kB, as PostgreSQL compresses it."""

_BYTES = {
    "boolean": 1, "smallint": 2, "integer": 4, "real": 4, "date": 4, "oid": 4, "bigint": 8, "double precision": 8, "money": 8,
    "timestamp": 8, "time": 8, "timestamp without time zone": 8, "timestamp with time zone": 8, "time without time zone": 8,
    "time with time zone": 12, "uuid": 16, "interval": 16, "point": 16, "box": 32, "circle": 24, "line": 24, "lseg": 32,
}  # fmt: skip
"""Sizes of types that cannot be moved out of the row."""
_MOVED = 18
"""What remains in the row of a long value that was moved out of it."""


def least_row_bytes(table: Table) -> int:
    """Return the bytes of a row on its page in which each column has a value, long ones being moved out as far as possible."""
    header = 24 + (len(table.columns) + 7) // 8
    return header + sum(
        _BYTES.get(base_type(each.type), 4 if each.type_kind == "enum" else _MOVED) for each in table.columns
    )


def new_keys(mapping: Mapping, columns: Callable[[str], set[str]]) -> Iterator[tuple[Index, tuple[str, ...]]]:
    """Return the B-trees of the target with values of any length that no B-tree of the source holds, and their columns that the mapping
    fills.

    Args:
        columns: gives the target columns that a source column fills.
    """
    held = {
        name
        for index in mapping.source.indexes
        for each in index.columns
        if index.method == "btree" and each is not None and index.predicate is None
        for name in columns(each)
    }
    fed = {each.name for each in mapping.columns}
    types = {each.name: each for each in mapping.target.columns if each.name in fed}
    for index in mapping.target.indexes:
        names = tuple(name for name in index.columns if name is not None and name in types and _is_long(types[name]))
        if index.method == "btree" and names and not {*names} <= held:
            yield index, names


def _is_long(column: CatalogColumn) -> bool:
    """Whether a value can be too long for an index, by its type alone."""
    limit = text_length(column.type)
    return base_type(column.type) in ("text", "character varying", "bytea", "citext", "jsonb") and (
        limit is None or limit > MOST_KEY_BYTES // 4
    )


# -- numbers ---------------------------------------------------------------------------------------------------------


def numbers_of_both_sides(project: Project) -> Iterator[NumbersOfBothSides]:
    """Return the migrated columns whose numbers must be unique."""
    there, here = _drawn(project.source), _drawn(project.target)
    for mapping, column in carried_numbers(project):
        places = (
            (f"{mapping.source.name}.{column.source}", there.get((mapping.source.name, str(column.source)))),
            (f"{mapping.target.name}.{column.name}", here.get((mapping.target.name, column.name))),
        )
        yield mapping, column, tuple((name, room) for name, room in places if room is not None)


def _drawn(catalog: Catalog) -> dict[Place, int]:
    """Return, by column, how many numbers its sequence has left."""
    found: dict[Place, int] = {}
    for sequence, places in columns_of(catalog):
        at = sequence.start if sequence.last_value is None else sequence.last_value
        room = ((sequence.max if sequence.increment > 0 else sequence.min) - at) // sequence.increment
        for place in places:
            found[place] = min(room, found.get(place, room))
    return found
