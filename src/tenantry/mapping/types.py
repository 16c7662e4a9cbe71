"""Column types according to both catalogs (domains, enums, arrays, ranges), and conversions between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tenantry.catalog import Catalog
from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog.table import TypeKind
from tenantry.mapping import casts
from tenantry.mapping.values.type_names import FLOATS, NUMBERS, base_type, is_text
from tenantry.postgres import ident


def enum_labels(column: CatalogColumn, catalog: Catalog) -> tuple[str, ...] | None:
    """Return the labels of a column's enum; None for other types, and for an enum of another schema."""
    return next((e.labels for e in catalog.enums if (e.schema, e.name) == (column.type_schema, column.type_name)), None)


def plain_column(column: CatalogColumn, catalog: Catalog) -> CatalogColumn:
    """Return the column; if its type is a domain, with the base type instead."""
    domains = _domains(column, catalog)
    return described(column, domains[-1].base, catalog) if domains else column


def into_column(made: str, column: CatalogColumn, catalog: Catalog) -> str:
    """Convert a value of a domain's base type to the column's domain, null if the domain rejects it; other values are
    unchanged."""
    domains = _domains(column, catalog)
    if not domains:
        return made
    return casts.into_domain(made, column.type, [text for domain in domains for text in domain.expressions])


# -- casts -----------------------------------------------------------------------------------------------------------


def carried(raw: str, source: CatalogColumn, known: Catalog, target: CatalogColumn, wanted: Catalog) -> str:
    """Return the value unchanged; null if the target's type cannot hold it. Neither column has a domain.

    Args:
        known, wanted: catalog facts about the source's types, and about the target's.
    """
    if _both_arrays(source, target):
        one, other = element(source, known), element(target, wanted)
        return _array(raw, source, target, _element_cast(one, known, other, wanted), into=other)
    return casts.cast(raw, source, target, enum_labels(target, wanted) or (), wanted.server_version)


def carried_back(value: str, target: CatalogColumn, known: Catalog, source: CatalogColumn, wanted: Catalog) -> str:
    """Invert a cast: return a source value from which the cast makes the target's value again; null if none exists."""
    if _both_arrays(target, source):
        one, other = element(target, known), element(source, wanted)
        plain_one, plain_other = plain_column(one, known), plain_column(other, wanted)
        made = casts.back(
            _base(one, plain_one), plain_one, plain_other, enum_labels(plain_other, wanted) or (), wanted.server_version
        )
        return _array(value, target, source, into_column(made, other, wanted), into=other)
    return casts.back(value, target, source, enum_labels(source, wanted) or (), wanted.server_version)


def apart(source: CatalogColumn, known: Catalog, target: CatalogColumn, wanted: Catalog) -> bool:
    """Whether no cast leads from one type to the other, or none that preserves the meaning."""
    if _both_arrays(source, target):
        one, other = (plain_column(element(source, known), known), plain_column(element(target, wanted), wanted))
        return "array" in (one.type_kind, other.type_kind) or casts.impossible(one, other)
    if source.type_kind == target.type_kind == "composite" and source.type != target.type:
        return _fields(source, known) != _fields(target, wanted)
    return casts.impossible(source, target)


def loses(source: CatalogColumn, known: Catalog, target: CatalogColumn, wanted: Catalog) -> bool:
    """Whether a plain cast drops part of the value."""
    if _both_arrays(source, target):
        source, target = plain_column(element(source, known), known), plain_column(element(target, wanted), wanted)
    return casts.loses(source, target)


def element(column: CatalogColumn, catalog: Catalog) -> CatalogColumn:
    """Return an array's element as a column."""
    return described(column, column.type.removesuffix("[]"), catalog)


def described(column: CatalogColumn, written: str, catalog: Catalog) -> CatalogColumn:
    """Return a column with another type, given as text: a domain's base type, or an array's element type."""
    kinds: dict[TypeKind, tuple[tuple[str, str], ...]] = {
        "enum": tuple((each.schema, each.name) for each in catalog.enums),
        "domain": tuple((each.schema, each.name) for each in catalog.domains),
        "composite": tuple((each.schema, each.name) for each in catalog.composites),
    }
    kind: TypeKind = "base"
    schema, name = "pg_catalog", base_type(written)
    if written.endswith("[]"):
        kind = "array"
    elif name in _RANGES or written in _own_ranges(catalog):
        kind = "range"
    for each, types in kinds.items():
        for found in types:
            if written == ident(*found):
                kind, (schema, name) = each, found
    return replace(column, type=written, type_kind=kind, type_schema=schema, type_name=name, element_type=None)


def _own_ranges(catalog: Catalog) -> set[str]:
    return {ident(each.schema, name) for each in catalog.ranges for name in (each.name, each.multirange)}


_RANGES = {
    f"{subtype}{kind}" for subtype in ("int4", "int8", "num", "date", "ts", "tstz") for kind in ("range", "multirange")
}
_NONE = Catalog("pg_catalog")
_VALUE = "e.v"
"""Return an element of an array."""


def _both_arrays(one: CatalogColumn, other: CatalogColumn) -> bool:
    return one.type_kind == other.type_kind == "array" and one.type != other.type


def _base(column: CatalogColumn, plain: CatalogColumn) -> str:
    return _VALUE if column is plain else f"{_VALUE}::{plain.type}"


def _element_cast(one: CatalogColumn, known: Catalog, other: CatalogColumn, wanted: Catalog) -> str:
    plain_one, plain_other = plain_column(one, known), plain_column(other, wanted)
    labels = enum_labels(plain_other, wanted) or ()
    made = casts.cast(_base(one, plain_one), plain_one, plain_other, labels, wanted.server_version)
    return into_column(made, other, wanted)


def _array(raw: str, source: CatalogColumn, target: CatalogColumn, made: str, *, into: CatalogColumn) -> str:
    """Cast an array as a whole, which keeps its dimensions and nulls; null if an element cannot be converted.

    Args:
        made: the cast of an element.
        into: the element after the cast.
    """
    before = base_type(source.type).removesuffix("[]")
    after = base_type(into.type)
    way = raw
    if is_text(into):
        pass
    elif into.type_kind != "base" or after == "boolean":
        way = f"{raw}::text[]"
    elif after in NUMBERS and before == "boolean":
        way = f"{raw}::integer[]"
    elif after in NUMBERS and is_text(described(source, before, _NONE)):
        way = f"{raw}::numeric[]"
    elif after not in FLOATS and before in FLOATS:
        # The shortest exact digits, as for a single value.
        way = f"{raw}::text[]::numeric[]"
    value = f"{way}::{target.type}"
    if "case " not in made:
        return value
    return f"case when not exists (select from unnest({raw}) e (v) where e.v is not null and ({made}) is null) then {value} end"


def _fields(column: CatalogColumn, catalog: Catalog) -> tuple[str, ...] | None:
    """Return the names of a composite type's fields."""
    return next(
        (
            tuple(field.name for field in each.columns)
            for each in catalog.composites
            if (each.schema, each.name) == (column.type_schema, column.type_name)
        ),
        None,
    )


# -- domains ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Domain:
    base: str
    expressions: tuple[str, ...]


def _domains(column: CatalogColumn, catalog: Catalog) -> list[_Domain]:
    """Return the domain of a column and the domains it is based on, outermost first; empty for other types and other
    schemas."""
    if column.type_kind != "domain":
        return []
    known = {ident(domain.schema, domain.name): domain for domain in catalog.domains}
    found: list[_Domain] = []
    name = ident(column.type_schema, column.type_name)
    while name in known:
        domain = known.pop(name)
        found.append(_Domain(domain.base, tuple(check.expression for check in domain.checks if check.expression)))
        name = domain.base
    return found
