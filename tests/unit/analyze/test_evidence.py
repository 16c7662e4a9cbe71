"""Bounds of the probes, without a server."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from psycopg import errors

from tenantry.analyze import Evidence
from tenantry.analyze.probes import evidence
from tenantry.analyze.probes.evidence import _probed, _total
from tenantry.analyze.schemas import new_keys, target_columns
from tests.fixtures import project


def test_a_huge_table_is_not_counted() -> None:
    made = project("clinic")
    mapping = made.mapping("metric_values")
    huge = replace(mapping, source=replace(mapping.source, row_estimate=1_000_000_000))
    no_connection: Any = None
    assert _total(no_connection, made, huge, 1_000_000) == 1_000_000_000


class _NoDatabase:
    """A connection that has savepoints only."""

    def transaction(self) -> nullcontext[None]:
        return nullcontext()


def test_a_probe_that_takes_too_long_is_tried_with_a_tenth_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = project("clinic")
    asked: list[int] = []

    def probe(_connection: Any, _project: Any, _mapping: Any, total: int, most_rows: int) -> Evidence:
        asked.append(most_rows)
        if most_rows > 1_000:
            raise errors.QueryCanceled
        return Evidence("metric_values", most_rows, total, sampled=True)

    monkeypatch.setattr(evidence, "_probe", probe)
    connection: Any = _NoDatabase()
    assert _probed(connection, made, made.mapping("metric_values"), 9_000, 10_000).rows == 900
    assert asked == [10_000, 900]
    with pytest.raises(errors.QueryCanceled):
        _probed(connection, made, made.mapping("metric_values"), 10**6, 10**5)
    # What is small already is not tried again.
    asked.clear()
    with pytest.raises(errors.QueryCanceled):
        monkeypatch.setattr(evidence, "_probe", lambda *_: (_ for _ in ()).throw(errors.QueryCanceled()))
        _probed(connection, made, made.mapping("metric_values"), 50, 10_000)


def test_only_columns_that_rows_are_derived_for_are_measured_for_an_index() -> None:
    """Clinic's clinics have a unique code that no source column fills."""
    made = project("clinic")
    mapping = made.mapping("clinics")
    assert any("clinic_code" in index.columns for index in mapping.target.indexes)
    measured = {
        name for _, names in new_keys(mapping, lambda name: target_columns(made, mapping, name)) for name in names
    }
    assert measured <= {column.name for column in mapping.columns}
