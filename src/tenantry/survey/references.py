"""Finds references without a foreign key by evidence from the data: another table's key has the values of the column.

If values have the shape of an id (a cuid, a uuid), two tables share them only if one refers to the other, so a few matches
are enough. Numbers and short codes match many tables by chance: their names must agree, and nearly all values must be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tenantry.catalog import Catalog, Table
from tenantry.mapping.values.type_names import INTEGERS, TEXTS
from tenantry.survey.composite import composite_references
from tenantry.survey.evidence import KeyEvidence, reference_of
from tenantry.survey.keys import Key, find_keys, look_up, prefixes_of
from tenantry.survey.kinds import is_framework
from tenantry.survey.model import ExternalIds, FoundReference, IdShape, Place
from tenantry.survey.names import agrees, names_a_person, names_ids
from tenantry.survey.places import PlaceValues, places_of
from tenantry.survey.polymorphic import ContentTypes, conditional, polymorphic
from tenantry.survey.sample import Connection, Sample, base_type
from tenantry.survey.shapes import is_strong, shapes_of


@dataclass(frozen=True, slots=True)
class Discovered:
    """References, ids of other systems, and the shapes of keys."""

    references: tuple[FoundReference, ...]
    external: tuple[ExternalIds, ...]
    ids: tuple[IdShape, ...]


def discover_references(
    connection: Connection, catalog: Catalog, samples: Mapping[str, Sample], people: Sequence[str]
) -> Discovered:
    """Find all references: the declared ones, and those that the data shows.

    Args:
        people: tables of people, most likely first: `author` and `created_by` refer to one of these.
    """
    tables = [table for table in catalog.tables if table.name in samples]
    keys = find_keys(connection, catalog, tables, samples)
    places = {table.name: [] if _no_data(table) else places_of(catalog, table, samples[table.name]) for table in tables}
    single = [key for key in keys if not key.beside]
    values = {value for found in places.values() for each in found for value in each.values}
    evidence = KeyEvidence(
        single, look_up(connection, catalog, single, values), people, prefixes_of([table.name for table in tables])
    )
    types = ContentTypes(samples)
    references: list[FoundReference] = []
    external: list[ExternalIds] = []
    for table in tables:
        declared = list(_declared(catalog, table))
        stated = {column for each in declared for column in each.columns}
        found = _undeclared(table, samples[table.name], places[table.name], stated, evidence, types)
        known = stated | {each.place.column for each in found if each.place.form == "value"}
        found += composite_references(connection, catalog, table, samples[table.name], keys, known, evidence)
        taken = {each.place for each in found}
        known = stated | {each.place.column for each in places[table.name]} | _with_values(samples[table.name])
        references += [*declared, *found, *([] if _no_data(table) else _by_name(catalog, table, single, known, people))]
        external += _external(table, places[table.name], taken, stated)
    ids = tuple(
        IdShape(key.table, key.column, key.kind, {k: v for k, v in key.shapes.items() if v >= 0.005})
        for key in single
        if key.primary
    )
    return Discovered(tuple(_one_way(references)), tuple(external), ids)


def _with_values(sample: Sample) -> set[str]:
    """Return the columns with any value, also with those that cannot be ids, such as a text of several words."""
    return {name for name in sample.columns if any(value not in (None, "") for value in sample.column(name))}


def _no_data(table: Table) -> bool:
    """Return tables of tools, whose rows are not the application's; this includes logs of an administration site."""
    return is_framework(table) and table.name != "django_admin_log"


def _declared(catalog: Catalog, table: Table) -> Iterable[FoundReference]:
    for each in table.foreign_keys:
        if each.ref_schema == catalog.schema and each.ref_table is not None and not each.inherited:
            yield FoundReference(
                Place(table.name, each.columns[0]), each.ref_table, each.ref_columns, each.columns, declared=True,
                reasons=(f"foreign key {each.name}",),
            )  # fmt: skip


def _undeclared(
    table: Table,
    sample: Sample,
    places: Sequence[PlaceValues],
    stated: set[str],
    evidence: KeyEvidence,
    types: ContentTypes,
) -> list[FoundReference]:
    found: list[FoundReference] = []
    open_ = [each for each in places if each.place.form != "value" or each.place.column not in stated]
    done: set[Place] = set()
    for place, pair in polymorphic(table, sample, open_, evidence, types):
        if place not in done:
            found += pair
            done.add(place)
    for each in open_:
        if each.place in done:
            continue
        best = reference_of(table, each, evidence)
        if best is None or best.share < 0.9:
            split = conditional(sample, each, evidence)
            if split:
                found += split
                continue
        if best is not None:
            found.append(best)
    return _without_repeats(found)


def _by_name(
    catalog: Catalog, table: Table, keys: Sequence[Key], stated: set[str], people: Sequence[str]
) -> Iterable[FoundReference]:
    """Find references of columns without values, by the name alone; they are unproven."""
    for column in table.columns:
        kind = base_type(catalog, column)
        if column.name in stated or not names_ids(column.name) or column.name in (table.row_key or ()):
            continue
        near = [
            (
                agrees(column.name, key.table) + (2 if names_a_person(column.name) and key.table in people[:1] else 0),
                key,
            )
            for key in keys
            if key.primary and (key.kind == kind or {key.kind, kind} <= set(TEXTS) or {key.kind, kind} <= set(INTEGERS))
        ]
        best = max(near, key=lambda pair: pair[0], default=None)
        if best is not None and best[0] >= 2:
            yield FoundReference(
                Place(table.name, column.name), best[1].table, (best[1].column,), (column.name,),
                reasons=("the names agree; no value could confirm it",),
            )  # fmt: skip


def _one_way(references: Sequence[FoundReference]) -> Iterable[FoundReference]:
    """Choose the child of two tables that share their ids: the one whose key says so, or has a foreign key."""
    sure = {(each.parent, each.parent_columns, each.place.table, each.columns) for each in references if each.declared}
    weak = [
        (each.place.table, each.columns, each.parent, each.parent_columns) for each in references if not each.declared
    ]
    for each in references:
        mine = (each.place.table, each.columns, each.parent, each.parent_columns)
        back = (each.parent, each.parent_columns, each.place.table, each.columns)
        if not each.declared and each.place.form == "value":
            if mine in sure:
                continue
            if back in weak and agrees(each.parent_columns[0], each.place.table) > agrees(each.columns[0], each.parent):
                continue
        yield each


def _without_repeats(found: Sequence[FoundReference]) -> list[FoundReference]:
    """Keep one reference of a place to a table; in a text, neighbouring patterns often repeat it."""
    kept: dict[tuple[object, ...], FoundReference] = {}
    for each in found:
        place = each.place
        kept.setdefault(
            (place.table, place.column, place.form, place.path, each.parent, each.when, place.pattern), each
        )
    whole = {
        (each.place.table, each.place.column, each.place.form, each.place.path)
        for each in kept.values()
        if not each.place.pattern
    }
    return [
        each for each in kept.values()
        if not each.place.pattern or (each.place.table, each.place.column, each.place.form, each.place.path) not in whole
    ]  # fmt: skip


def _external(
    table: Table, places: Sequence[PlaceValues], taken: set[Place], stated: set[str]
) -> Iterable[ExternalIds]:
    key = set(table.row_key or ())
    for each in places:
        place = each.place
        own = place.form == "value" and place.column in key
        if place in taken or place.column in stated or place.pattern or place.form != "value" or own:
            continue
        values = list(each.values)
        strong = sum(is_strong(value) for value in values)
        if strong * 2 > len(values) and len(values) >= 2 and names_ids(place.column):
            shape = next(iter(shapes_of(values)))
            prefix = values[0].partition("_")[0] + "_" if shape == "prefixed" else ""
            yield ExternalIds(place, shape, prefix)
