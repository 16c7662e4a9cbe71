"""Bounds of the probes, without a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tenantry.analyze.probes.evidence import _total
from tests.fixtures import project


def test_a_huge_table_is_not_counted() -> None:
    made = project("clinic")
    mapping = made.mapping("metric_values")
    huge = replace(mapping, source=replace(mapping.source, row_estimate=1_000_000_000))
    no_connection: Any = None
    assert _total(no_connection, made, huge, 1_000_000) == 1_000_000_000
