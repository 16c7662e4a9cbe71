"""What lint and proof found, fault by fault; and a baseline, after which only what is new fails."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tenantry.errors import SettingsError
from tenantry.prove.baseline import load_baseline, of_result, save_baseline
from tenantry.prove.faults import faults
from tenantry.prove.formats import Result, SarifRule
from tenantry.report.terminal.faults import show_faults

LONG = "a detail that is much longer than the terminal is wide " * 4
RESULTS = [
    Result("slow", "lint", "app.a", "failed", "slow", "warning"),
    *(Result("views", "lint", f"app.view_{number}", "failed", LONG) for number in range(3)),
    Result("rls", "lint", 'app."two\nlines"', "failed", "is\x1b[31m open"),
    Result("authenticated: select other tenant", "matrix", "app.notes", "failed", "expected refuse, got allow"),
    Result("views", "lint", "", "passed"),
]


def test_faults_are_grouped_with_their_places_worst_first() -> None:
    found = faults(RESULTS, [SarifRule("views", "Views obey", fix="Mend them")])
    assert [(each.name, each.level, len(each.places)) for each in found] == [
        ("app.notes", "error", 1),
        ("views", "error", 3),
        ("rls", "error", 1),
        ("slow", "warning", 1),
    ]
    assert found[1].wanted == "Views obey"
    # What a name holds does not break the line, nor reach the terminal.
    assert str(found[2].places[0]) == 'app."two\\nlines": is\\x1b[31m open'


def test_nothing_leaves_its_column() -> None:
    file = io.StringIO()
    show_faults(Console(file=file, width=60, force_terminal=False), faults(RESULTS))
    lines = file.getvalue().splitlines()
    assert next(line for line in lines if line).startswith("Start here: app.notes, 1 place")
    assert all(len(line) <= 60 for line in lines)
    begun = lines.index(next(line for line in lines if "view_0" in line))
    # Three places with one detail: said once, and each line of it stands below the first.
    assert lines[begun].startswith("    - ")
    assert lines[begun + 1].startswith("      ")
    assert file.getvalue().count("a detail that is") == 4


def test_a_baseline_holds_what_failed_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    assert save_baseline(RESULTS, file) == 6
    known = load_baseline(file)
    assert {of_result(each) for each in RESULTS if each.outcome == "failed"} == known
    # What the server says of a cell may differ from run to run.
    assert of_result(Result(RESULTS[5].name, "matrix", "app.notes", "failed", "expected refuse, got error")) in known
    assert of_result(Result("views", "lint", "app.view_9", "failed", LONG)) not in known


@pytest.mark.parametrize("text", ["", "[]", '{"accepted": 1}', '{"accepted": [1]}'])
def test_an_invalid_baseline_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="baseline"):
        load_baseline(file)
    with pytest.raises(SettingsError, match="There is no baseline"):
        load_baseline(tmp_path / "none.json")
