"""The part of the campaign that is short enough for every test run: there and back again under load, with some 25 kills.

`make chaos` runs the whole of it: every boundary of the journal, every fault, crashes of the server. Boundaries at which test_kill kills
a run as well are left to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tenantry.postgres import EmbeddedServer
from tests.chaos.applications import DEPOT
from tests.chaos.campaign import Bench, Kill, Scenario, bench_on, run_scenario
from tests.conftest import running_server

PAUSE = 0.1
"""Seconds that a connection of the application rests after a transaction: a third of the load of `make chaos`."""


@pytest.fixture(scope="module")
def depot_bench(servers: dict[int, EmbeddedServer]) -> Iterator[Bench]:
    with bench_on({18: running_server(servers, 18)}, application=DEPOT, pause=PAUSE) as made:
        yield made


@pytest.fixture(scope="module")
def bench(servers: dict[int, EmbeddedServer]) -> Iterator[Bench]:
    with bench_on({18: running_server(servers, 18)}, pause=PAUSE) as made:
        yield made


def at(*events: str) -> tuple[Kill, ...]:
    return tuple({"event": event} for event in events)


def message(*numbers: int) -> tuple[Kill, ...]:
    """Every second one when it has been sent, before the answer is read."""
    return tuple({"trip": number, "sent": bool(i % 2)} for i, number in enumerate(numbers))


SCENARIOS = [
    Scenario(
        1, "boundaries", 101, workers=1,
        migrate=at(
            "phase capture", "finished capture.table:users", "progress copy.rows:metric_values 2", "finished copy.catch_up",
            "finished replay.drain", "phase secure",
        ),
        cut_over=message(60, 400), follow=({"after": 0.3},), roll_back=message(80, 700), forward=message(300),
    ),
    # Taken back before the cut-over and begun again; the way back is killed at the same messages then and behind the cut-over.
    Scenario(
        2, "messages, and taken back", 102, back_first=True,
        migrate=message(30, 600, 900), cut_over=message(150), follow=message(200), roll_back=message(60, 300),
        forward=message(90),
    ),
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.kind)
def test_nothing_is_lost_wherever_the_tool_dies(bench: Bench, scenario: Scenario) -> None:
    result = run_scenario(bench, scenario)
    assert result.violations == [], "\n".join(result.violations)
    wanted = sum(len(kills) for kills in (scenario.migrate, scenario.cut_over, scenario.follow, scenario.forward))
    # Some come to nothing: the run was done before it came to the place.
    assert result.kills >= wanted * 0.6
    assert result.turns == 3


def test_nothing_is_lost_in_tables_of_other_kinds_and_while_both_sides_are_written(depot_bench: Bench) -> None:
    scenario = Scenario(
        4, "dual-write window", 104, migrate=message(300, 700), window=({"after": 0.3}, {"after": 0.6}, *message(90)),
        cut_over=message(60), roll_back=message(120), forward=message(80),
    )  # fmt: skip
    result = run_scenario(depot_bench, scenario)
    assert result.violations == [], "\n".join(result.violations)
    assert result.kills >= 5
    assert result.turns == 4
