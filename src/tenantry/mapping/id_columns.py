"""Compiles columns whose values hold ids of other rows: arrays with `ref`, and the transforms of documents, pairs and texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tenantry.catalog import Column as CatalogColumn
from tenantry.manifest.model import ColumnRule, Stale
from tenantry.manifest.positions import Key
from tenantry.mapping.id_transform import IdTransform
from tenantry.mapping.project import DocumentIds, MappedColumn
from tenantry.mapping.shapes import IdList
from tenantry.mapping.transform import Between

if TYPE_CHECKING:
    from tenantry.mapping.columns import ColumnCompiler


def ids_inside(
    compiler: ColumnCompiler,
    transform: IdTransform,
    raw: str,
    target: CatalogColumn,
    between: Between,
    rule: ColumnRule,
    key: Key,
) -> MappedColumn | None:
    """Describe a column in which the derivation replaces ids, in both directions; None if a problem was reported."""
    source = between.source
    if rule.type is not None and compiler.source.column(rule.type) is None:
        compiler.no_column(rule.type, (*key, "type"))
        return None
    document = f"({transform.up(raw, between)})"
    stale = rule.stale or transform.stale
    if stale not in transform.stales:
        compiler.say((*key, "stale"), f"stale of {transform.name!r} is one of {', '.join(transform.stales)}")
    shape = transform.shape(raw, source, target, between)
    if stale == "drop" and shape.only_new_ids and not target.nullable:
        compiler.say(
            (*key, "stale"),
            f"{compiler.target.name}.{target.name} is NOT NULL, and cannot lose its id; take stale out, or let the column be null",
        )
    invalid = rule.invalid or "quarantine"
    if invalid == "carry" and not target.nullable:
        compiler.not_null(target, "invalid", key)
    zoned = compiler.checked(rule.invalid, target, (*key, "invalid"))
    present = transform.present(raw, between)
    # A value that lost its id is null, too.
    if present is not None and shape.only_new_ids:
        present = f"{present} and {document} is null"
    return MappedColumn(
        target.name, target.type, target.nullable, "json_ids", source.name, document,
        present=present, missing=None if target.nullable else transform.missing(raw, between),
        fallback=None if present is None or invalid == "quarantine" else compiler.put(invalid, target), zoned=zoned,
        ids=tuple(_places(compiler, transform, rule, key)), stale=stale, shape=shape,
    )  # fmt: skip


def id_array(
    compiler: ColumnCompiler, raw: str, source: CatalogColumn, target: CatalogColumn, rule: ColumnRule, key: Key
) -> MappedColumn | None:
    """Describe an array of old ids, which the derivation treats as a list. Elements that name no row are dropped: they have no
    uuid."""
    assert isinstance(rule.ref, str)
    if target.type != "uuid[]" or source.element_type is None:
        compiler.say(
            (*key, "ref"),
            f"{compiler.target.name}.{target.name} is {target.type} and {compiler.source.name}.{source.name} is {source.type};"
            " references in an array need an array of old ids, and uuid[] in the target",
        )
        return None
    if not compiler.has_source(rule.ref, (*key, "ref")):
        return None
    if rule.orphan is not None:
        compiler.say(
            (*key, "orphan"), "an element that names no row is dropped from the array, and noted; take orphan out"
        )
    stale: Stale = "drop"
    return MappedColumn(
        target.name, target.type, target.nullable, "json_ids", source.name,
        # An array of several dimensions is not a list of ids: such a value is invalid.
        f"(case when coalesce(array_ndims({raw}), 1) = 1 then to_jsonb({raw}) end)",
        present=f"{raw} is not null", missing=None if target.nullable else f"{raw} is null",
        ids=(DocumentIds("[*]", rule.ref),), stale=stale, shape=IdList(target.name, target.type, source.element_type),
    )  # fmt: skip


def _places(compiler: ColumnCompiler, transform: IdTransform, rule: ColumnRule, key: Key) -> Iterator[DocumentIds]:
    for place, path, parent in transform.places(rule.ids or {}):
        if compiler.has_source(parent, (*key, "ids", place)):
            yield DocumentIds(path, parent)


__all__ = ["id_array", "ids_inside"]
