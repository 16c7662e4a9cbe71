"""Gives a valid metric value one defect, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from clinic.migration.legacy.ids import Cuids, Numbers, canonical_uuid, spelled_otherwise
from clinic.migration.legacy.numbers import EMPTY, INVALID, NOT_AVAILABLE, Number
from clinic.migration.legacy.people import Provider
from clinic.migration.legacy.shape import COLUMNS, Row, text_of


@dataclass(frozen=True, slots=True)
class Slot:
    """What all rows of one metric, for one provider or a whole clinic, have in common."""

    kind: int
    metric_id: str
    clinic_id: str
    provider_id: str | None
    source_id: str | None
    sheet: str | None  # None in sheets means: a tab for each month
    external: str | None
    pool: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What all rows of one clinic and day have in common."""

    day: date
    plain: str
    local: str
    tab: str
    created: datetime
    created_text: str
    stamp: str


Changes = dict[str, str | None]
"""Cells of metric_values by column name."""

_PLACE: Final = {name: place for place, name in enumerate(COLUMNS["metric_values"])}


class Spoiler:
    """Makes the changes, and remembers keys that must not be used twice."""

    def __init__(self, providers: list[Provider], rng: Random) -> None:
        self.cuids = Cuids(rng)
        self._providers, self._rng, self._numbers = providers, rng, Numbers(rng)
        self._canonical: list[str] = []
        self._taken: set[tuple[str, str | None, date]] = set()
        ways: dict[str, Callable[[Slot, Batch], Changes | None]] = {
            "clinic_from_provider": lambda _slot, _batch: {"clinic_id": None},
            "clinic_from_data_source": lambda slot, _batch: {"clinic_id": None} if slot.source_id else None,
            "clinic_unknown": self._unknown,
            "clinic_provider_conflict": self._conflict,
            "value_not_available": lambda _slot, _batch: {"value": NOT_AVAILABLE},
            "value_empty": lambda _slot, _batch: {"value": rng.choice(EMPTY)},
            "value_invalid": lambda _slot, _batch: {"value": rng.choice(INVALID)},
            "same_day_twice": lambda _slot, _batch: {},
            "id_is_uuid": self._uuid,
            "id_is_number": lambda _slot, _batch: {"id": self._numbers.make()},
            "id_uuid_not_canonical": self._odd_uuid,
        }
        self._ways = {f"metric_values.{name}": way for name, way in ways.items()}

    def spoil(self, code: str, row: Row, figure: Number, slot: Slot, batch: Batch) -> list[tuple[Row, Number]] | None:
        """Return the row with the defect (and the second row of a day after it), or None if this row does not suit."""
        changes = self._ways[code](slot, batch)
        if changes is None:
            return None
        rows = [(_with(row, changes), figure)]
        if code == "metric_values.same_day_twice":
            rows.append(self._again(row, figure, slot, batch))
        return rows

    def _unknown(self, slot: Slot, batch: Batch) -> Changes | None:
        if not self._take(slot.metric_id, None, batch.day):
            return None
        # Without a clinic it would be unknown in which zone a local day began.
        return {"clinic_id": None, "date": batch.plain}

    def _conflict(self, slot: Slot, batch: Batch) -> Changes | None:
        other = self._rng.choice(self._providers)
        if other.clinic.id == slot.clinic_id or not self._take(slot.metric_id, other.id, batch.day):
            return None
        return {"provider_id": other.id, "date": batch.plain}

    def _uuid(self, _slot: Slot, _batch: Batch) -> Changes:
        self._canonical.append(canonical_uuid(self._rng))
        return {"id": self._canonical[-1]}

    def _odd_uuid(self, _slot: Slot, _batch: Batch) -> Changes:
        known = self._canonical.pop() if self._canonical and self._rng.random() < 0.5 else None
        return {"id": spelled_otherwise(known or canonical_uuid(self._rng), braced=self._rng.random() < 0.5)}

    def _again(self, row: Row, figure: Number, slot: Slot, batch: Batch) -> tuple[Row, Number]:
        """Return the same day again, some hours later, with another number."""
        other = self._rng.choice([other for other in slot.pool if other.amount != figure.amount])
        later = batch.created + timedelta(minutes=self._rng.randint(200, 1200))
        at, day = text_of(later), batch.local if self._rng.random() < 0.5 else batch.plain
        changes: Changes = {"id": self.cuids.at(later), "date": day, "value": other.text}
        return _with(row, {**changes, "created_at": at, "updated_at": at}), other

    def _take(self, metric_id: str, provider_id: str | None, day: date) -> bool:
        """Whether this key is unused; marks it as used."""
        key = (metric_id, provider_id, day)
        if key in self._taken:
            return False
        self._taken.add(key)
        return True


def _with(row: Row, changes: Changes) -> Row:
    cells = list(row)
    for name, cell in changes.items():
        cells[_PLACE[name]] = cell
    return tuple(cells)
