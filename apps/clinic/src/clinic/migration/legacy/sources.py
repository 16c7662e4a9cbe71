"""Generates metric definitions, data sources and column mappings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random
from typing import Final, Literal

from clinic.migration.legacy.ids import Cuids
from clinic.migration.legacy.people import Clinic
from clinic.migration.legacy.shape import LAST_DAY, OPENED, Row, some_time, text_of

Kept = Literal["provider", "clinic", "form", "never"]
"""How values of a metric are entered: a sheet row for each provider, a sheet row for the clinic, a form, or not at all."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric's type, and the range of its values (currency in cents, percent in tenths)."""

    name: str
    data_type: str
    category: str
    kept: Kept
    low: int
    high: int
    formula: str | None = None


MEASURES: Final = (
    Measure("Verified Production", "currency", "provider", "provider", -50_000, 620_000),
    Measure("Estimated Production", "currency", "provider", "provider", 20_000, 600_000),
    Measure("Adjustments", "currency", "financial", "provider", -90_000, 4_000),
    Measure("Hours Worked", "integer", "provider", "provider", 3, 10),
    Measure("Patients Seen", "integer", "patient", "provider", 2, 24),
    Measure("Completed Visits", "integer", "appointment", "provider", 2, 22),
    Measure("Cancellations", "integer", "appointment", "provider", 0, 5),
    Measure("No-Shows", "integer", "appointment", "provider", 0, 4),
    Measure("Treatment Acceptance", "percentage", "treatment", "provider", 200, 1_000),
    Measure("Production Variance", "percentage", "provider", "provider", -800, 600, "(verified - goal) / goal"),
    Measure("Gross Production", "currency", "financial", "clinic", 180_000, 2_800_000),
    Measure(
        "Net Production", "currency", "financial", "clinic", -60_000, 2_500_000, "gross + adjustments + write_offs"
    ),
    Measure("Scheduled Production", "currency", "financial", "clinic", 0, 2_400_000),
    Measure("Write-offs", "currency", "financial", "clinic", -300_000, 0),
    Measure("Patient Income", "currency", "financial", "clinic", -20_000, 900_000),
    Measure("Insurance Income", "currency", "financial", "clinic", 0, 1_500_000),
    Measure("Unearned Income", "currency", "financial", "clinic", -40_000, 200_000),
    Measure("Total Collections", "currency", "financial", "clinic", 0, 2_300_000, "patient + unearned + insurance"),
    Measure("Collection Rate", "percentage", "financial", "clinic", 600, 1_300, "collections / net_production"),
    Measure("New Patients", "integer", "patient", "form", 0, 9),
    Measure("Calls Answered", "integer", "appointment", "form", 4, 70),
    Measure("Call Conversion", "percentage", "appointment", "form", 50, 900, "scheduled / calls"),
    Measure("Reviews Received", "integer", "patient", "form", 0, 6),
    Measure("Last Sterilisation Audit", "date", "treatment", "never", 0, 0),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric definition, shared by all clinics."""

    id: str
    measure: Measure
    created: datetime

    def row(self) -> Row:
        """The row of metric_definitions."""
        measure, created = self.measure, text_of(self.created)
        description = f"{measure.name} of a day, as {measure.data_type}."
        composite = measure.formula is not None
        return (
            self.id,
            measure.name,
            description,
            measure.data_type,
            measure.formula,
            measure.category,
            composite,
            created,
            created,
        )


@dataclass(frozen=True, slots=True)
class Source:
    """One spreadsheet of a clinic, with the metrics that are read from it."""

    id: str
    sheet: str
    clinic: Clinic
    metrics: tuple[Metric, ...]
    created: datetime


def make_metrics(rng: Random) -> list[Metric]:
    """The metric definitions, in the order of MEASURES."""
    cuids = Cuids(rng)
    metrics = []
    for number, measure in enumerate(MEASURES):
        created = OPENED + timedelta(seconds=number)
        metrics.append(Metric(cuids.at(created), measure, created))
    return metrics


def make_sources(clinics: list[Clinic], metrics: list[Metric], rng: Random) -> list[Source]:
    """Return one to three spreadsheets for each clinic; the metrics that are kept in sheets are divided among them.

    About one metric in twelve is no longer mapped by any sheet of a clinic: its rows only know their sheet's name.
    """
    cuids = Cuids(rng)
    in_sheets = [metric for metric in metrics if metric.measure.kept in ("provider", "clinic")]
    sources = []
    for clinic in clinics:
        count = rng.randint(1, 3)
        mapped = [metric for metric in in_sheets if rng.random() < 0.92]
        for number in range(count):
            created = some_time(rng, clinic.created, 25)
            sheet = ("Daily KPI", "Location P&I", "Hygiene")[number]
            sources.append(Source(cuids.at(created), sheet, clinic, tuple(mapped[number::count]), created))
    return sources


def source_rows(sources: list[Source], rng: Random) -> list[Row]:
    """Return the rows of data_sources. Tokens are random and marked as fake."""
    rows: list[Row] = []
    last_sync = datetime.combine(LAST_DAY, time(11)) + timedelta(days=1)
    for source in sources:
        status = rng.choice(("connected", "connected", "connected", "error", "disconnected"))
        synced = last_sync - timedelta(seconds=rng.randrange(86_400)) if status != "disconnected" else None
        script = f"AKfake{rng.getrandbits(96):024x}" if rng.random() < 0.4 else None
        refresh = f"1//fake-{rng.getrandbits(160):040x}" if rng.random() < 0.9 else None
        expiry = synced + timedelta(hours=1) if synced else None
        created = text_of(source.created)
        rows.append((
            source.id, f"{source.clinic.name}: {source.sheet}", f"1fake{rng.getrandbits(156):039x}", source.sheet,
            text_of(synced) if synced else None, rng.choice(("hourly", "daily", "daily", "weekly", "manual")), status,
            script, f"ya29.fake-{rng.getrandbits(192):048x}", refresh, text_of(expiry) if expiry else None,
            source.clinic.id, created, text_of(synced) if synced else created,
        ))  # fmt: skip
    return rows


def mapping_rows(sources: list[Source], rng: Random) -> list[Row]:
    """Return the rows of column_mappings: one for each metric that a spreadsheet provides."""
    cuids = Cuids(rng)
    rules = {"currency": "strip_currency", "percentage": "strip_percent"}
    rows: list[Row] = []
    for source in sources:
        created = source.created + timedelta(minutes=5)
        for metric in source.metrics:
            column = metric.measure.name if rng.random() < 0.8 else f" {metric.measure.name} "
            at = text_of(created)
            rows.append((cuids.at(created), column, rules.get(metric.measure.data_type), source.id, metric.id, at, at))
    return rows
