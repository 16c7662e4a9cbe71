"""Findings of other linters stand unless an exception with a reason covers them, and no exception outlives what it was for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.linters.findings import Finding, load_exceptions, standing, unused

FILE = Path(__file__).parents[1] / "linters" / "exceptions.toml"
OPEN = Finding("pgrls", "SEC038", "clinic.goals.select_viewer", "error", "leaks every row")
EXCEPTED = Finding("pgrls", "SEC038", "clinic.goals.service_all", "error", "leaks every row")


def test_findings_without_an_exception_remain() -> None:
    exceptions = load_exceptions(FILE)
    assert standing([OPEN, EXCEPTED], exceptions) == [OPEN]
    other_tool = Finding("squawk", "SEC038", "clinic.goals.service_all", "error", "")
    other_rule = Finding("pgrls", "SEC001", "clinic.goals.service_all", "error", "")
    assert standing([other_tool, other_rule], exceptions) == [other_tool, other_rule]


def test_an_exception_without_findings_is_named() -> None:
    exceptions = load_exceptions(FILE)
    left = unused([EXCEPTED], exceptions)
    assert "pgrls: SEC008 on clinic.*.service_all" in left
    assert "pgrls: SEC038 on clinic.*.service_all" not in left
    assert len(left) == sum(len(each.rules) for each in exceptions) - 1


@pytest.mark.parametrize("reason", ['reason = " "', ""])
def test_an_exception_has_a_reason(reason: str, tmp_path: Path) -> None:
    path = tmp_path / "exceptions.toml"
    path.write_text(f'[[allow]]\ntool = "pgrls"\nrules = ["SEC001"]\nplace = "*"\n{reason}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="exception 1 must have tool, rules, place and reason"):
        load_exceptions(path)
