"""Generates the stream of metric values: the rows, their times, and the defects of some of them.

A row belongs to a *slot* of its clinic (a metric, for a provider or for the whole clinic). A slot has at most one row
a day, so that (clinic, metric, provider, local day, source type) is unique; `same_day_twice` adds the only exceptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from clinic.migration.legacy.defects import Ledger, planned
from clinic.migration.legacy.ids import stamp
from clinic.migration.legacy.numbers import number
from clinic.migration.legacy.people import Clinic, Provider
from clinic.migration.legacy.shape import HISTORY_IMPORTED, LAST_DAY, LAUNCHED, Row, text_of
from clinic.migration.legacy.sources import Metric, Source
from clinic.migration.legacy.spoil import Batch, Slot, Spoiler

_PROVIDER, _CLINIC, _FORM = range(3)
_KIND: Final = {"provider": _PROVIDER, "clinic": _CLINIC, "form": _FORM}
_OF_ONE_KIND: Final = {
    "metric_values.clinic_from_provider": _PROVIDER,
    "metric_values.clinic_from_data_source": _CLINIC,
    "metric_values.clinic_unknown": _FORM,
    # The metric of a whole clinic, but with a provider: no other row has this key, in either clinic.
    "metric_values.clinic_provider_conflict": _CLINIC,
}
_OF_ANY_KIND: Final = (
    "metric_values.value_not_available",
    "metric_values.value_empty",
    "metric_values.value_invalid",
    "metric_values.same_day_twice",
    "metric_values.id_is_uuid",
    "metric_values.id_is_number",
    "metric_values.id_uuid_not_canonical",
)
_POOL: Final = 2048
_FEWEST_DAYS: Final = 60
_FULLEST: Final = 0.9
"""Maximum share of all slots that have a row: even a busy office leaves cells empty."""


@dataclass(frozen=True, slots=True)
class _Office:
    zone: str
    slots: tuple[Slot, ...]


def value_rows(
    clinics: list[Clinic],
    providers: list[Provider],
    metrics: list[Metric],
    sources: list[Source],
    *,
    count: int,
    rng: Random,
    ledger: Ledger,
) -> Iterator[Row]:
    """Yield exactly `count` rows of metric_values, day by day, in constant memory; record planted rows in the ledger.

    The last day is LAST_DAY; more rows begin earlier. ValueError if they would begin before 1970.
    """
    offices = _offices(clinics, providers, metrics, sources, rng)
    single = count - planned("metric_values.same_day_twice", count)
    a_day = [sum(slot.kind == kind for office in offices for slot in office.slots) for kind in range(3)]
    days = _days(max(_FEWEST_DAYS, ceil(single / (_FULLEST * sum(a_day)))))
    draw = _Draw([slots * len(days) for slots in a_day], single, rng)
    agenda = _Agenda(draw.wanted, count, rng)
    spoiler = Spoiler(providers, rng)

    make, bits_of = spoiler.cuids.make, rng.getrandbits
    local_day, formatted, percent = (
        ledger.tally(f"metric_values.{name}") for name in ("local_day", "value_formatted", "value_percent")
    )
    for place, batches in enumerate(_batches(days, offices)):
        for office, batch in zip(offices, batches, strict=True):
            for turn, slot in enumerate(office.slots):
                kind = slot.kind
                if not draw.takes(kind):
                    continue
                bits = bits_of(15)
                figure = slot.pool[bits & 2047]
                in_sheet = kind != _FORM
                row: Row = (
                    make(batch.stamp),
                    batch.local if bits >> 11 < 6 else batch.plain,
                    figure.text,
                    "spreadsheet" if in_sheet else "form",
                    slot.sheet or batch.tab if in_sheet else None,
                    f"{slot.external}-{place}-{turn}" if slot.external else None,
                    slot.metric_id,
                    slot.clinic_id,
                    slot.provider_id,
                    slot.source_id,
                    batch.created_text,
                    batch.created_text,
                )
                rows = [(row, figure)]
                code = agenda.due(kind)
                if code is not None:
                    spoilt = spoiler.spoil(code, row, figure, slot, batch)
                    if spoilt is not None:
                        rows = spoilt
                        agenda.done(kind)
                        ledger.add(code, str(rows[0][0][0]))
                for row, figure in rows:
                    key = str(row[0])
                    if row[1] == batch.local:
                        local_day.add(key)
                    if row[2] == figure.text:
                        if figure.formatted:
                            formatted.add(key)
                        elif figure.percent:
                            percent.add(key)
                    yield row


def _offices(
    clinics: list[Clinic], providers: list[Provider], metrics: list[Metric], sources: list[Source], rng: Random
) -> list[_Office]:
    pools = {metric.id: tuple(number(metric.measure, rng) for _ in range(_POOL)) for metric in metrics}
    staff: dict[str, list[Provider]] = {clinic.id: [] for clinic in clinics}
    for provider in providers:
        staff[provider.clinic.id].append(provider)
    mapped = {(source.clinic.id, metric.id): source for source in sources for metric in source.metrics}
    offices = []
    for place, clinic in enumerate(clinics):
        slots = []
        for metric in metrics:
            kept = metric.measure.kept
            if kept == "never":
                continue
            source = mapped.get((clinic.id, metric.id)) if kept != "form" else None
            sheet = (source.sheet if source else "Daily KPI") if kept == "clinic" else None
            external = f"row-{place + 1}" if kept == "provider" and place % 3 == 0 else None
            holders: list[Provider | None] = [*staff[clinic.id]] if kept == "provider" else [None]
            slots += [
                Slot(
                    kind=_KIND[kept],
                    metric_id=metric.id,
                    clinic_id=clinic.id,
                    provider_id=holder.id if holder else None,
                    source_id=source.id if source else None,
                    sheet=sheet,
                    external=external,
                    pool=pools[metric.id],
                )
                for holder in holders
            ]
        offices.append(_Office(clinic.zone, tuple(slots)))
    return offices


def _days(count: int) -> list[date]:
    """Return the last so many days other than Sundays, the earliest first."""
    days: list[date] = []
    day = LAST_DAY
    while len(days) < count:
        if day.year < 1970:
            raise ValueError("so many values for so few clinics would reach back beyond 1970: ask for more clinics")
        if day.weekday() != 6:
            days.append(day)
        day -= timedelta(days=1)
    return days[::-1]


def _batches(days: list[date], offices: list[_Office]) -> Iterator[list[Batch]]:
    """Yield the batches of all offices for each day. Early values were imported at once, later ones a day after."""
    zones = {office.zone: ZoneInfo(office.zone) for office in offices}
    for place, day in enumerate(days):
        begins = {name: text_of(_begin(day, zone)) for name, zone in zones.items()}
        plain, tab = f"{day} 00:00:00.000", f"{_MONTHS[day.month - 1]}-{day.year % 100:02d}"
        if day < LAUNCHED:
            stored, spread = HISTORY_IMPORTED + timedelta(minutes=place), 60_000
        else:
            stored, spread = datetime.combine(day + timedelta(days=1), time(6)), 36_000_000
        batches = []
        for turn, office in enumerate(offices):
            created = stored + timedelta(milliseconds=turn * spread // len(offices))
            batches.append(Batch(day, plain, begins[office.zone], tab, created, text_of(created), stamp(created)))
        yield batches


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _begin(day: date, zone: ZoneInfo) -> datetime:
    """Return the UTC instant, without zone, at which a day begins in a zone."""
    return datetime.combine(day, time(), zone).astimezone(UTC).replace(tzinfo=None)


class _Draw:
    """Draws exactly the requested number of slots of each kind, each slot with equal probability, in one pass."""

    def __init__(self, available: list[int], wanted: int, rng: Random) -> None:
        total = sum(available)
        self.wanted = [wanted * slots // total for slots in available]
        self.wanted[_PROVIDER] += wanted - sum(self.wanted)
        self._left, self._missing, self._random = available, list(self.wanted), rng.random

    def takes(self, kind: int) -> bool:
        """Whether the next slot of this kind has a row."""
        left = self._left[kind]
        self._left[kind] = left - 1
        if self._random() * left < self._missing[kind]:
            self._missing[kind] -= 1
            return True
        return False


class _Agenda:
    """Assigns defects to rows: one defect per row, spread evenly over the rows of its kind."""

    def __init__(self, rows: list[int], count: int, rng: Random) -> None:
        codes: list[list[str]] = [[], [], []]
        for code, kind in _OF_ONE_KIND.items():
            codes[kind] += [code] * planned(code, count)
        for code in _OF_ANY_KIND:
            for kind in rng.choices(range(3), rows, k=planned(code, count)):
                codes[kind].append(code)
        self._next: list[Iterator[tuple[int, str]]] = []
        for kind in range(3):
            rng.shuffle(codes[kind])
            # The last rows stay free: a defect that does not suit its row waits for a later one.
            places = sorted(rng.sample(range(rows[kind] * 19 // 20), len(codes[kind])))
            self._next.append(iter(list(zip(places, codes[kind], strict=True))))
        self._due = [next(turns, None) for turns in self._next]
        self._seen = [-1, -1, -1]

    def due(self, kind: int) -> str | None:
        """Return the defect for the next row, if the row can have it; called once per row."""
        self._seen[kind] += 1
        due = self._due[kind]
        return due[1] if due is not None and self._seen[kind] >= due[0] else None

    def done(self, kind: int) -> None:
        """Record that the pending defect was planted."""
        self._due[kind] = next(self._next[kind], None)
