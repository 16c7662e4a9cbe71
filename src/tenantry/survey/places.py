"""Places that may hold ids: columns, elements of arrays, paths in JSON documents, parts of texts; with the values found
there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tenantry.catalog import Catalog, Table
from tenantry.mapping.values.type_names import INTEGERS, TEXTS
from tenantry.survey.model import Place
from tenantry.survey.names import words
from tenantry.survey.sample import DOCUMENTS, MOST_VALUES, Sample, base_type, parsed
from tenantry.survey.shapes import EMAIL, INSIDE, is_strong, shape_of


class Add(Protocol):
    """Record a value of a place."""

    def __call__(self, place: Place, row: int, value: str) -> None: ...


@dataclass(slots=True)
class PlaceValues:
    """The distinct values of one place, up to a limit.

    Attributes:
        by_row: row → its values, for pairs with another column of the same row.
    """

    place: Place
    values: dict[str, None] = field(default_factory=dict)
    by_row: dict[int, list[str]] = field(default_factory=dict)

    def add(self, row: int, value: str) -> None:
        self.by_row.setdefault(row, []).append(value)
        if len(self.values) < MOST_VALUES:
            self.values.setdefault(value)


def places_of(catalog: Catalog, table: Table, sample: Sample) -> list[PlaceValues]:
    """Return the places of a table that may hold ids, with the sample's values."""
    found: dict[Place, PlaceValues] = {}

    def add(place: Place, row: int, value: str) -> None:
        each = found.setdefault(place, PlaceValues(place))
        each.add(row, value)

    for column in table.columns:
        kind = base_type(catalog, column)
        if column.type_kind == "enum" or column.name not in sample.columns:
            continue
        rows = [
            *enumerate(sample.column(column.name)),
            *((-1 - at, v) for at, v in enumerate(sample.more.get(column.name, ()))),
        ]
        for row, value in rows:
            if value is None or value == "":
                continue
            if kind.endswith("[]"):
                for element in _leaves(parsed(value)):
                    place = Place(table.name, column.name, "element")
                    add(place, row, element)
                    for pattern, token in embedded(element):
                        add(replace(place, pattern=pattern), row, token)
            elif kind in DOCUMENTS:
                _document(add, table.name, column.name, row, parsed(value), text=False)
            elif kind in INTEGERS or kind in ("uuid", "numeric"):
                add(Place(table.name, column.name), row, value)
            elif kind in TEXTS:
                _text(add, table.name, column.name, row, value)
    return [each for each in found.values() if each.values]


def _text(add: Add, table: str, column: str, row: int, value: str) -> None:
    document = parsed(value)
    if document is not None:
        _document(add, table, column, row, document, text=True)
        return
    if len(value) <= 64 and " " not in value and "/" not in value:
        if not EMAIL.fullmatch(value):
            add(Place(table, column), row, value)
        if is_strong(value) and shape_of(value) != "prefixed":
            return
    for pattern, token in embedded(value):
        add(Place(table, column, "embedded", pattern=pattern), row, token)


def _document(add: Add, table: str, column: str, row: int, document: object, *, text: bool) -> None:
    for path, leaf, is_key in walk(document):
        place = Place(table, column, "json key" if is_key else "json", path, json_text=text)
        add(place, row, leaf)
        for pattern, token in embedded(leaf):
            add(replace(place, pattern=pattern), row, token)


def embedded(value: str) -> Iterator[tuple[str, str]]:
    """Return parts of a text that may be ids, with the text before them: `/orders/42` is (`/orders/{}`, 42)."""
    if EMAIL.fullmatch(value):
        return
    for match in INSIDE.finditer(value[:4000]):
        token = match.group()
        if token == value:
            continue
        if not (is_strong(token) or any(each.isdigit() for each in token)):
            continue
        before = value[: match.start()]
        yield f"{_context(before)}{{}}", token


def _context(before: str) -> str:
    """Return the word before an id, with its separators: the part of `https://x/orders/` that describes the id."""
    end = len(before)
    while end and not before[end - 1].isalnum():
        end -= 1
    begin = end
    while begin and (before[begin - 1].isalpha() or before[begin - 1] in "_-"):
        begin -= 1
    if begin and before[begin - 1] in "/?&#:":
        begin -= 1
    return before[begin:]


def walk(document: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, str, bool]]:
    """Yield the leaves of a document as (path, text, whether it is a key). Keys that look like ids become `*` in the path."""
    if depth > 12:
        return
    if isinstance(document, Mapping):
        for key, value in document.items():
            name = str(key)
            if is_strong(name) or shape_of(name) in ("integer", "code"):
                inner = f"{path}.*" if path else "*"
                yield inner, name, True
            else:
                inner = f"{path}.{name}" if path else name
            yield from walk(value, inner, depth + 1)
    elif isinstance(document, list):
        for value in document[:100]:
            yield from walk(value, f"{path}[*]", depth + 1)
    elif isinstance(document, str):
        if document and len(document) <= 200 and " " not in document and not EMAIL.fullmatch(document):
            yield path, document, False
    elif isinstance(document, int) and not isinstance(document, bool):
        yield path, str(document), False


def _leaves(document: object) -> Iterator[str]:
    if isinstance(document, list):
        for each in document:
            yield from _leaves(each)
    elif isinstance(document, str | int) and not isinstance(document, bool) and str(document):
        yield str(document)


_POINTERS = frozenset(
    ("entity", "target", "object", "subject", "record", "item", "resource", "content", "owner", "row", "ref", "source")
)
_TYPES = frozenset(("type", "class", "kind", "model", "table", "entity", "module", "name", "source", "resource"))


def pairs_of(table: Table, places: Sequence[PlaceValues]) -> Iterator[tuple[str, PlaceValues]]:
    """Find pairs of a column that names a table and a column that holds its ids: (subject_type, subject_id),
    (content_type_id, object_id), (table_name, row_id), (module, object)."""
    scalars = {each.place.column: each for each in places if each.place.form == "value"}
    for column in table.columns:
        found = words(column.name)
        django = found[-3:] == ("content", "type", "id")
        if not django and (not found or found[-1] not in _TYPES):
            continue
        of = found[:-3] if django else found[:-1]
        for name, each in scalars.items():
            mine = words(name)
            if name == column.name or not mine:
                continue
            stemmed = mine[:-1] if mine[-1] in ("id", "key", "pk", "no") else mine if mine[-1] in _POINTERS else ()
            if django:
                fits = stemmed == (*of, "object")
            elif found[-2:] == ("table", "name") or (found[-1] != "name" and not of):
                fits = len(stemmed) == 1 and (stemmed[0] in _POINTERS or stemmed == found)
            else:
                fits = bool(of) and (stemmed == of or (of in (("entity",), ("content",)) and stemmed == ("object",)))
            if fits and stemmed:
                yield column.name, each
