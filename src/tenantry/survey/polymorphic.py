"""Columns that refer to rows of one of several tables, depending on another column of the row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tenantry.catalog import Table
from tenantry.survey.evidence import NOTHING, STRONG_SHARE, WEAK_SHARE, KeyEvidence, Match, made, match
from tenantry.survey.keys import plain_table
from tenantry.survey.model import FoundReference, Place
from tenantry.survey.names import agrees, stem
from tenantry.survey.places import PlaceValues, pairs_of
from tenantry.survey.sample import Sample
from tenantry.survey.shapes import is_strong, shape_of

_PAIR_SHARE = 0.6


class ContentTypes:
    """Read Django's table of models: the number of a model means `app_label_model`."""

    def __init__(self, samples: Mapping[str, Sample]) -> None:
        self._tables: dict[str, str] = {}
        sample = samples.get("django_content_type")
        if sample is not None and {"id", "app_label", "model"} <= set(sample.columns):
            rows = zip(sample.column("id"), sample.column("app_label"), sample.column("model"), strict=True)
            self._tables = {str(number): f"{label}_{model}" for number, label, model in rows}

    def named(self, column: str, kind: str) -> str:
        """Translate a value of a type column: the table's name for a content type, otherwise the value itself."""
        return self._tables.get(kind, kind) if "content_type" in column.lower() else kind


def polymorphic(
    table: Table, sample: Sample, places: Sequence[PlaceValues], evidence: KeyEvidence, types: ContentTypes
) -> Iterator[tuple[Place, list[FoundReference]]]:
    """Find places with their references by the value of the column that names the table: first pairs recognized by their
    names, then pairs recognized by values alone."""
    few = {*_few(sample), *(column for column in sample.columns if len(set(filter(None, sample.column(column)))) == 1)}
    named = [pair for pair in pairs_of(table, places) if pair[0] in few or "content_type" in pair[0].lower()]
    for type_, each in named:
        found = _by_type(type_, each, sample, evidence, types, named=True)
        if found:
            yield each.place, found
    for each in places:
        if each.place.pattern or sum(is_strong(value) for value in each.values) * 2 <= len(each.values):
            continue
        for type_ in _few(sample):
            if type_ == each.place.column:
                continue
            found = _by_type(type_, each, sample, evidence, types, named=False)
            if len({one.parent for one in found}) >= 2:
                yield each.place, found
                break


def conditional(sample: Sample, each: PlaceValues, evidence: KeyEvidence) -> list[FoundReference]:
    """Find a place that refers to rows only if another column has certain values, such as an account's id for one
    provider."""
    if each.place.pattern or each.place.form != "value":
        return []
    for type_ in _few(sample):
        if type_ == each.place.column:
            continue
        groups = _groups(type_, each, sample)
        if len(groups) < 2:
            continue
        found, empty = [], 0
        for kind, values in groups.items():
            matches = [
                m
                for key in evidence.keys
                if key.primary and (m := match(each.place, key, values, evidence)) is not None
            ]
            best = max((m for m in matches if m.strong), key=lambda m: m.share, default=None)
            if best is not None and best.share >= WEAK_SHARE:
                found.append((kind, best))
            elif best is None or best.share <= 0.05:
                empty += 1
        if found and empty and len(found) + empty == len(groups):
            pair = [made(each.place, best, (_said(type_, kind, best),), (type_, kind)) for kind, best in found]
            return _with_unknown(pair, groups)
    return []


def _few(sample: Sample) -> list[str]:
    """Return columns with few values, which are words."""
    found = []
    for column in sample.columns:
        values = set(filter(None, sample.column(column)))
        if 2 <= len(values) <= 20 and all(shape_of(value) in ("word", "code") for value in values):
            found.append(column)
    return found


def _groups(type_: str, each: PlaceValues, sample: Sample) -> dict[str, list[str]]:
    types = sample.column(type_)
    groups: dict[str, dict[str, None]] = defaultdict(dict)
    for row, values in each.by_row.items():
        kind = types[row] if 0 <= row < len(types) else None
        if kind:
            groups[kind].update(
                dict.fromkeys(value for value in values if value in each.values and value not in NOTHING)
            )
    return {kind: list(values) for kind, values in sorted(groups.items()) if values}


def _by_type(
    type_: str, each: PlaceValues, sample: Sample, evidence: KeyEvidence, types: ContentTypes, *, named: bool
) -> list[FoundReference]:
    groups = _groups(type_, each, sample)
    found: list[FoundReference] = []
    for kind, values in groups.items():
        says = types.named(type_, kind)
        best = _of_type(says, each, values, evidence, named=named)
        if best is not None:
            found.append(made(each.place, best, (_said(type_, kind, best),), (type_, kind)))
    found = _with_unknown(found, groups)
    if named:
        return found
    # For pairs without telling names: each value of the type leads to one table, and there are several.
    parents = {one.parent for one in found}
    return found if len(found) >= len(groups) * 0.6 and len(parents) == len(found) else []


def _with_unknown(found: Sequence[FoundReference], types: Iterable[str]) -> list[FoundReference]:
    """Note at each reference the types of its pair that have none."""
    known = {each.when[1] for each in found if each.when is not None}
    unknown = tuple(kind for kind in types if kind not in known)
    return [replace(each, unknown=unknown) for each in found]


def _of_type(
    says: str, each: PlaceValues, values: Sequence[str], evidence: KeyEvidence, *, named: bool
) -> Match | None:
    matches = [
        m for key in evidence.keys if key.primary and (m := match(each.place, key, values, evidence)) is not None
    ]
    strong = [m for m in matches if m.strong and (m.share >= STRONG_SHARE or m.found >= 3)]
    if strong:
        return max(strong, key=lambda m: (m.share, _type_names(says, m.key.table, evidence)))
    near = [m for m in matches if named and m.share >= _PAIR_SHARE and _type_names(says, m.key.table, evidence)]
    return max(near, key=lambda m: (_type_names(says, m.key.table, evidence), m.share), default=None)


def _type_names(kind: str, table: str, evidence: KeyEvidence) -> int:
    """How well the value of a type column names a table: `App\\Models\\BlogPost`, `blog.post`, `post` and `SO`
    (sales_order)."""
    if kind == table:
        return 5
    plain = kind.replace("::", "\\").replace(".", "\\").replace(":", "\\")
    last = plain.rpartition("\\")[2]
    found = 4 if stem(plain.replace("\\", "_")) == stem(table) else 0
    if stem(last) in (stem(table), plain_table(table, evidence.prefixes)):
        found = max(found, 3)
    initials = "".join(word[0] for word in stem(table))
    if len(initials) > 1 and last.lower() == initials:
        found = max(found, 2)
    return max(found, 1 if agrees(last, table) >= 2 else 0)


def _said(type_: str, kind: str, best: Match) -> str:
    return f"where {type_} is {kind!r}, {best.found} of {best.values} sampled values are in {best.key.table}.{best.key.column}"
