"""Decides how certain it is that the values of a place refer to rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenantry.catalog import Table
from tenantry.survey.keys import Key, Known, plain_table
from tenantry.survey.model import FoundReference, Place
from tenantry.survey.names import agrees, is_measure, names_a_person, names_ids, names_itself, stem
from tenantry.survey.places import PlaceValues
from tenantry.survey.shapes import is_strong, shape_of

STRONG_SHARE = 0.3
WEAK_SHARE = 0.9
NAMED_SHARE = 0.7
"""Required share of weak values if the names agree well: some referenced rows may have been deleted."""
HALF = 0.5
ROWS_SHARE = 0.8
"""Required share of rows where the names agree well, but many values are gone: people who left wrote few of them each."""
NOTHING = ("0", "-1")
"""Values that mean "no row" in columns that must not be null."""


@dataclass(frozen=True, slots=True)
class KeyEvidence:
    """The keys of all tables, and which of the sampled values each has."""

    keys: Sequence[Key]
    known: Known
    people: Sequence[str]
    prefixes: frozenset[str]

    def agreement(self, column: str, table: str) -> int:
        """How well a column's name matches a table's; see names.agrees()."""
        plain = plain_table(table, self.prefixes)
        mine = stem(column)
        if not mine or not plain or mine[-len(plain) :] != plain:
            return agrees(column, table)
        return 3 if mine == plain else max(2, agrees(column, table))


@dataclass(frozen=True, slots=True)
class Match:
    """A place whose values were looked up in a key."""

    key: Key
    values: int
    found: int
    strong: bool
    tight: bool = False
    """For numbers: they fill the key's range, as a reference's do, and no other table's."""

    @property
    def share(self) -> float:
        return self.found / self.values if self.values else 0.0


def reference_of(table: Table, each: PlaceValues, evidence: KeyEvidence) -> FoundReference | None:
    """The table that a place most likely refers to; None if it is most likely no reference."""
    looked = [value for value in each.values if value not in NOTHING]
    ranked = []
    for key in evidence.keys:
        found = match(each.place, key, looked, evidence)
        if found is not None:
            rank = _rank(table, each, found, evidence)
            if rank != (0,):
                ranked.append((rank, found))
    if not ranked:
        return None
    best = max(ranked, key=lambda pair: pair[0])[1]
    return made(each.place, best, tuple(_reasons(each.place, best, evidence)))


def made(place: Place, best: Match, reasons: tuple[str, ...], when: tuple[str, str] | None = None) -> FoundReference:
    return FoundReference(
        place,
        best.key.table,
        (best.key.column,),
        (place.column,),
        when=when,
        values=best.values,
        found=best.found,
        reasons=reasons,
    )


def match(place: Place, key: Key, values: Sequence[str], evidence: KeyEvidence) -> Match | None:
    """Return a key's matches with some values; None if there are none, or if the key is the place itself."""
    if (key.table, key.column) == (place.table, place.column) and place.form == "value":
        return None
    if place.table == key.table and not key.primary and place.form != "json" and not names_itself(place.column):
        return None
    there = evidence.known[key.name]
    found = [value for value in values if value in there]
    if not found:
        return None
    strong = sum(is_strong(value) for value in found) * 2 > len(found)
    return Match(key, len(values), len(found), strong, _is_tight(key, found, len(values)))


def _is_tight(key: Key, found: Sequence[str], looked: int) -> bool:
    if not key.numeric or len(found) < looked * NAMED_SHARE:
        return False
    if key.rows < 8:
        return len(found) == looked and len(found) >= max(2, 0.8 * key.rows)
    if len(found) < 8:
        return False
    numbers = [int(value) for value in found if value.lstrip("-").isdigit()]
    span = max(key.high - key.low, 1)
    return max(numbers) >= key.low + 0.75 * span and min(numbers) <= key.low + 0.25 * span


def name_of(place: Place) -> str:
    """Return the name that describes a place: the column's, or the last one of the path in a document."""
    if place.form == "json" and place.path:
        last = [part for part in place.path.replace("[*]", "").split(".") if part not in ("", "*")]
        return last[-1] if last else place.column
    return place.column


def _rank(table: Table, each: PlaceValues, found: Match, evidence: KeyEvidence) -> tuple[float, ...]:
    """Return (0,) if it is no reference; otherwise the greater the more likely."""
    place, key = each.place, found.key
    name = name_of(place)
    agreement = evidence.agreement(name, key.table)
    if place.form != "value":
        agreement = max(agreement, evidence.agreement(place.column, key.table))
    if place.pattern:
        agreement = max(agreement, evidence.agreement(place.pattern.replace("{}", "").strip("/:#=-_. "), key.table))
    person = names_a_person(name) and key.table in evidence.people
    own_key = place.form == "value" and (table.row_key or ()) == (place.column,)
    if own_key and not (found.strong and found.share >= WEAK_SHARE and key.primary):
        return (0,)
    if found.strong:
        if not key.primary and not agreement and found.share < WEAK_SHARE:
            return (0,)
        if found.share < STRONG_SHARE and found.found < 3:
            return (0,)
        return (1, found.share, key.primary, agreement, person)
    itself = names_itself(name) and key.table == place.table
    if not _weak_holds(each, found, name, agreement, person=person, itself=itself, evidence=evidence):
        return (0,)
    near = max(agreement, 2.5 if person else 0, 2.4 if itself else 0)
    return (1, near, found.share >= WEAK_SHARE, found.tight, key.primary, found.share, -key.high)


def _weak_holds(
    each: PlaceValues, found: Match, name: str, agreement: int, *, person: bool, itself: bool, evidence: KeyEvidence
) -> bool:
    """Whether values that could match by chance count as a reference."""
    place, key = each.place, found.key
    named = agreement >= 2 or person or itself
    if found.share < (NAMED_SHARE if named and found.values >= 8 else WEAK_SHARE):
        often = (
            named and found.values >= 8 and found.share >= HALF and _share_of_rows(each, key, evidence) >= ROWS_SHARE
        )
        if not often:
            return False
    if all(shape_of(value) == "integer" for value in list(each.values)[:20]):
        if not key.primary or (is_measure(name) and agreement < 3):
            return False
        if place.pattern:
            return agreement >= 1
        says = names_ids(name) or place.form in ("element", "json key")
        if agreement >= 1 and (says or found.tight):
            return True
        return named or (says and found.tight and _is_only(found, each, evidence))
    if not key.primary:
        # A natural key: country_code refers to countries.code, product_slug to products.slug.
        same = (
            name == key.column or stem(name)[-1:] == stem(key.column)[-1:] or name.lower().endswith(key.column.lower())
        )
        return (
            found.values >= 2 and (agreement >= 2 or same) and (agreement >= 1 or same) and found.share >= NAMED_SHARE
        )
    if named or agreement:
        return True
    same = name == key.column or name.lower().endswith(f"_{key.column.lower()}")
    return found.values >= 2 and (same or (names_ids(name) and _is_only(found, each, evidence)))


def _share_of_rows(each: PlaceValues, key: Key, evidence: KeyEvidence) -> float:
    """Return the share of the sampled rows whose value a key has."""
    there = evidence.known[key.name]
    looked = [value for row in each.by_row.values() for value in row if value in each.values and value not in NOTHING]
    return sum(value in there for value in looked) / max(1, len(looked))


def _is_only(found: Match, each: PlaceValues, evidence: KeyEvidence) -> bool:
    """Whether no other table matches as many values within as narrow a range."""
    values = [value for value in each.values if value not in NOTHING]
    others = [
        match(each.place, key, values, evidence)
        for key in evidence.keys
        if key.primary and key.table != found.key.table
    ]
    if found.key.numeric:
        return not any(other is not None and other.tight and other.share >= NAMED_SHARE for other in others)
    return not any(other is not None and other.share >= WEAK_SHARE for other in others)


def _reasons(place: Place, found: Match, evidence: KeyEvidence) -> Iterable[str]:
    key = found.key
    yield f"{found.found} of {found.values} sampled values are in {key.table}.{key.column}"
    if found.strong:
        yield "they have the shape of ids, which two tables do not share by chance"
    if evidence.agreement(name_of(place), key.table):
        yield "the names agree"
    elif names_a_person(name_of(place)) and key.table in evidence.people:
        yield "the name suggests a person"
    elif names_itself(name_of(place)) and key.table == place.table:
        yield "the name suggests another row of the same table"
    elif found.tight:
        yield "they fill the range of this key, and of no other"
    if not key.primary:
        yield f"{key.column} is unique, but not the primary key"
