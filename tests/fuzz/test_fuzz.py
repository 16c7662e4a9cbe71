"""Random applications go there, back and there again, and an oracle that shares nothing with Tenantry says what must come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.postgres import EmbeddedServer
from tests.conftest import running_server
from tests.fuzz.drive import Drive, Failure, Target, drive
from tests.fuzz.grammar import FEATURES, features_of, make
from tests.fuzz.job import Job, Result
from tests.fuzz.kinds import KINDS
from tests.fuzz.shrink import parts_of, shrink

SEEDS = (53, 1430, 2263, 3454, 1051)
"""Few that have every feature and every kind of column among them: a test below says so."""
REFUSED = 463
"""A small application that is refused: its policies hide rows from the login that migrates."""


@pytest.mark.parametrize("seed", [*SEEDS, REFUSED])
def test_an_application_of_a_seed_goes_there_and_back_as_the_oracle_says(
    servers: dict[int, EmbeddedServer], tmp_path: Path, seed: int
) -> None:
    drive(running_server(servers, 18), make(seed), tmp_path)


def test_the_oracle_notices_a_single_value_that_is_wrong(
    servers: dict[int, EmbeddedServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What finds nothing proves nothing: one character of one row of the target is read wrong."""
    read = Drive.target

    def spoil(self: Drive) -> Target:
        found = read(self)
        members = found[self.case.table(self.case.members).target]
        first = min(members)
        members[first] = {**members[first], "role": f"{members[first]['role']}!"}
        return found

    monkeypatch.setattr(Drive, "target", spoil)
    with pytest.raises(Failure, match=r"1 differences of the target.*role: expected '(member|admin)', found .*!"):
        drive(running_server(servers, 18), make(5), tmp_path)
    assert (tmp_path / "run.sh").exists()


def test_these_seeds_have_every_feature_and_every_kind_of_column() -> None:
    cases = [make(seed) for seed in SEEDS]
    found = {feature for seed in SEEDS for feature in features_of(seed)}
    kinds = {column.kind.name for case in cases for table in case.tables for column in table.columns}
    assert not any(table.forced for case in cases for table in case.tables)
    assert any(table.forced for table in make(REFUSED).tables)
    assert set(FEATURES) - found == {"forced policies"}
    assert {kind.name for kind in KINDS} == kinds


def test_the_same_seed_makes_the_same_application() -> None:
    assert [make(seed).source_sql() for seed in SEEDS] == [make(seed).source_sql() for seed in SEEDS]
    assert len({make(seed).manifest() for seed in SEEDS}) == len(SEEDS)


def test_a_failing_case_is_made_smaller_by_whatever_its_failure_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(job: Job) -> Result:
        needed = {"table 2", "column 2.0"} & set(job.without)
        return Result(job.seed, "" if needed else "TN-000 something")

    monkeypatch.setattr("tests.fuzz.shrink.run", run)
    small, found = shrink(Job(3, home="", version=18, folder="", writes=12))
    assert found.problem
    assert set(parts_of(make(3))) - set(small.without) == {"table 2", "column 2.0"}
    assert small.writes == 0
