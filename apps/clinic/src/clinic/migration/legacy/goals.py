"""Generates goals of clinics and providers, with their defects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice
from random import Random
from typing import Final

from clinic.migration.legacy.defects import Ledger, planned
from clinic.migration.legacy.ids import Cuids, Numbers, canonical_uuid
from clinic.migration.legacy.numbers import number
from clinic.migration.legacy.people import Clinic, Provider
from clinic.migration.legacy.shape import LAST_DAY, Row, some_time, text_of
from clinic.migration.legacy.sources import Metric

_NO_TARGET: Final = ("TBD", "ask Dr.", "", "12..5", "100k?", "n/a")


@dataclass(frozen=True, slots=True)
class _Goal:
    id: str
    period: str
    start: date
    end: date
    target: str
    metric: Metric
    clinic: Clinic | None
    provider: Provider | None
    created: datetime

    def row(self) -> Row:
        created = text_of(self.created)
        return (
            self.id, self.period, f"{self.start} 00:00:00.000", f"{self.end} 00:00:00.000", self.target, self.metric.id,
            self.clinic.id if self.clinic else None, self.provider.id if self.provider else None, created, created,
        )  # fmt: skip


def goal_rows(
    clinics: list[Clinic], providers: list[Provider], metrics: list[Metric], rng: Random, ledger: Ledger
) -> list[Row]:
    """Return the rows of goals: about forty for each clinic, unique by clinic, metric, provider, period and start.

    Only goals of active clinics have defects.
    """
    cuids = Cuids(rng)
    goals = [goal for clinic in clinics for goal in _of_clinic(clinic, providers, metrics, cuids, rng)]
    for goal in goals:
        if goal.clinic and not goal.clinic.active:
            ledger.add("goals.of_inactive_clinic", goal.id)

    places = [place for place, goal in enumerate(goals) if goal.clinic and goal.clinic.active]
    rng.shuffle(places)
    of_provider = iter([place for place in places if goals[place].provider])
    of_clinic = iter([place for place in places if not goals[place].provider])

    def plant(code: str, turns: Iterator[int]) -> Iterator[int]:
        for place in islice(turns, planned(code, len(goals))):
            yield place  # the caller changes the goal, and possibly its id
            ledger.add(code, goals[place].id)

    for place in plant("goals.clinic_from_provider", of_provider):
        goals[place] = replace(goals[place], clinic=None)
    for place in plant("goals.clinic_unknown", of_clinic):
        goals[place] = replace(goals[place], clinic=None)
    for place in plant("goals.ends_before_start", of_clinic):
        goals[place] = replace(goals[place], end=goals[place].start - timedelta(days=rng.randint(1, 40)))
    for place in plant("goals.target_value_invalid", of_clinic):
        goals[place] = replace(goals[place], target=rng.choice(_NO_TARGET))
    for place in plant("goals.id_is_uuid", of_provider):
        goals[place] = replace(goals[place], id=canonical_uuid(rng))
    numbers = Numbers(rng)
    for place in plant("goals.id_is_number", of_provider):
        goals[place] = replace(goals[place], id=numbers.make())
    return [goal.row() for goal in goals]


def _of_clinic(
    clinic: Clinic, providers: list[Provider], metrics: list[Metric], cuids: Cuids, rng: Random
) -> Iterator[_Goal]:
    own = [provider for provider in providers if provider.clinic is clinic]
    wanted = rng.randint(36, 44)
    taken: set[tuple[str, str | None, str, date]] = set()
    while len(taken) < wanted:
        metric = rng.choice([metric for metric in metrics if metric.measure.kept != "never"])
        provider = rng.choice(own) if metric.measure.kept == "provider" and rng.random() < 0.8 else None
        period = rng.choice(("daily", "weekly", "monthly", "monthly", "monthly", "quarterly", "annual"))
        start, end = _span(period, rng)
        key = (metric.id, provider.id if provider else None, period, start)
        if key in taken:
            continue
        taken.add(key)
        created = some_time(rng, datetime.combine(start, datetime.min.time()) - timedelta(days=21), 20)
        target = number(metric.measure, rng).text.strip()
        yield _Goal(cuids.at(created), period, start, end, target, metric, clinic, provider, created)


def _span(period: str, rng: Random) -> tuple[date, date]:
    """Return first and last day of a period that overlaps the last eighteen months of the sample."""
    day = LAST_DAY - timedelta(days=rng.randrange(540))
    if period == "daily":
        return day, day
    if period == "weekly":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=6)
    months = {"monthly": 1, "quarterly": 3, "annual": 12}[period]
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    after = first.month - 1 + months
    return first, date(first.year + after // 12, after % 12 + 1, 1) - timedelta(days=1)
