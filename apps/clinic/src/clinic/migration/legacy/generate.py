"""The sample as a pure function of (clinics, values, seed): no clock, no database, the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from clinic.migration.legacy.boards import board_rows
from clinic.migration.legacy.defects import Ledger, Planted
from clinic.migration.legacy.goals import goal_rows
from clinic.migration.legacy.people import make_clinics, make_providers, make_users
from clinic.migration.legacy.shape import COLUMNS, Row
from clinic.migration.legacy.sources import make_metrics, make_sources, mapping_rows, source_rows
from clinic.migration.legacy.values import value_rows

FEWEST_CLINICS = 2
FEWEST_VALUES = 500


class UnfinishedError(Exception):
    """The planted defects were requested before the last metric value was generated."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows of one sample: nine small tables, and metric values as a stream that can be read once."""

    tables: Mapping[str, list[Row]]
    metric_values: Iterator[Row]
    totals: Mapping[str, int]
    ledger: Ledger

    def rows(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """Every table with its rows, parents before children."""
        for table in COLUMNS:
            yield table, self.metric_values if table == "metric_values" else iter(self.tables[table])

    def planted(self) -> Planted:
        """Return what was planted, once the stream of metric values has ended; UnfinishedError before."""
        if next(self.metric_values, None) is not None:
            raise UnfinishedError("read all metric values first: defects are counted while the rows are made")
        return Planted(rows=dict(self.totals), defects=self.ledger.defects())


def generate(*, clinics: int = 12, values: int = 200_000, seed: int = 7) -> Sample:
    """Generate the sample for so many clinics and metric values.

    ValueError below FEWEST_CLINICS or FEWEST_VALUES (some defects would have no place), or if the values would begin before
    1970.
    """
    if clinics < FEWEST_CLINICS or values < FEWEST_VALUES:
        raise ValueError(
            f"expected at least {FEWEST_CLINICS} clinics and {FEWEST_VALUES} values, got {clinics} and {values}"
        )

    def rng(part: str) -> Random:
        # A stream for each part: the number of values does not affect the people.
        return Random(f"{seed}/{part}")

    ledger = Ledger()
    all_clinics = make_clinics(clinics, rng("clinics"), ledger)
    providers = make_providers(all_clinics, rng("providers"), ledger)
    users = make_users(all_clinics, rng("users"), ledger)
    metrics = make_metrics(rng("metrics"))
    sources = make_sources(all_clinics, metrics, rng("sources"))
    dashboards, widgets = board_rows(users, providers, metrics, rng("boards"), ledger)
    tables: dict[str, list[Row]] = {
        "clinics": [clinic.row() for clinic in all_clinics],
        "users": [user.row() for user in users],
        "providers": [provider.row() for provider in providers],
        "metric_definitions": [metric.row() for metric in metrics],
        "data_sources": source_rows(sources, rng("data_sources")),
        "column_mappings": mapping_rows(sources, rng("column_mappings")),
        "goals": goal_rows(all_clinics, providers, metrics, rng("goals"), ledger),
        "dashboards": dashboards,
        "widgets": widgets,
    }
    totals = {table: values if table == "metric_values" else len(tables[table]) for table in COLUMNS}
    stream = value_rows(all_clinics, providers, metrics, sources, count=values, rng=rng("values"), ledger=ledger)
    return Sample(tables, stream, totals, ledger)
