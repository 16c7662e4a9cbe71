"""Checks the transforms that a manifest names, and that their options belong to them. Needs no catalog. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tenantry.errors import nearest
from tenantry.manifest.model import ColumnRule, Manifest, listed
from tenantry.manifest.positions import Key
from tenantry.mapping.id_transform import IdTransform
from tenantry.mapping.transform import Transform
from tenantry.mapping.transforms import transforms

_TREATMENTS = ("missing", "null", "empty")


def check_transforms(manifest: Manifest) -> Iterator[tuple[Key, str]]:
    """Return the problems with the `as` of columns and the options of transforms, each with its position."""
    for table, rule in manifest.tables.items():
        for label, part in rule.parts().items():
            place: Key = ("tables", table, "sources", label) if label else ("tables", table)
            for column, given in part.columns.items():
                yield from _check(given, (*place, "columns", column))


def _check(rule: ColumnRule, key: Key) -> Iterator[tuple[Key, str]]:
    known = transforms()
    transform = known.get(rule.transform or "")
    if rule.transform is not None and transform is None:
        near = nearest(rule.transform, list(known))
        choice = ", ".join(known)
        yield (*key, "as"), f"{rule.transform!r} is not one of {choice}" + (f"; did you mean {near!r}?" if near else "")
        return
    for option, owners in _owners(known).items():
        if option in rule.model_fields_set and rule.transform not in owners:
            yield key, f"{option} belongs to {listed([_written(name) for name in owners])}"
    for needed in transform.options if transform is not None else ():
        if needed.needed and not getattr(rule, needed.name):
            yield key, f"{_written(rule.transform)} needs {needed.needed}"
    for place, tables in (rule.ids or {}).items():
        if isinstance(transform, IdTransform) and (wrong := transform.wrong_place(place, tables)):
            yield key, f"ids: {wrong}"
    if isinstance(transform, IdTransform):
        unread = [name for name in _TREATMENTS if name in rule.model_fields_set]
        if unread:
            verb = "has" if len(unread) == 1 else "have"
            yield key, f"{listed(unread)} {verb} no effect together with {_written(rule.transform)}; take it out"


def _owners(known: Mapping[str, Transform]) -> dict[str, list[str]]:
    """Return the transforms that read each option."""
    found: dict[str, list[str]] = {}
    for name, transform in known.items():
        for option in transform.options:
            found.setdefault(option.name, []).append(name)
    return found


def _written(name: str | None) -> str:
    return f'as = "{name}"'
