"""Facts about a project's schemas that several rules use. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.catalog import Catalog, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.derivation.numbers import Place, carried_numbers, columns_of
from tenantry.manifest.model import LinkColumn
from tenantry.mapping import MappedColumn, Mapping, Project

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
