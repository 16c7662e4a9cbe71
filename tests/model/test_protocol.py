"""The protocol of live migration holds in every interleaving, and each of its guards is there for a race.

`python -m tests.model.test_protocol [words]` prints the shortest way to each race, or to those of guards with these words;
with `--triples` it takes every three operations through a longer run, in some minutes.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.model.protocol import ALL, BOTH, FORWARD, REVERSE, SOURCE, TARGET, Guard, Model, Scenario
from tests.model.rows import BAD, Key, Op, Row, Transaction, conflict
from tests.model.search import Outcome, search

PAGE = Path(__file__).parents[2] / "docs/explanation/protocol.md"


def insert(key: Key, value: str, under: str) -> Op:
    return Op("insert", key, value, under)


def update(key: Key, value: str | None) -> Op:
    return Op("update", key, value)


def move(key: Key, to: str) -> Op:
    return Op("move", key, None, to)


def rekey(key: Key, to: Key) -> Op:
    return Op("rekey", key, None, to)


def delete(key: Key) -> Op:
    return Op("delete", key)


def truncate(table: str) -> Op:
    return Op("truncate", table)


def does(*ops: Op, side: str = "", lingers: bool = False) -> Transaction:
    return Transaction(ops, side, lingers)


FAMILY: dict[Key, Row] = {"p1": ("a", "t1"), "c1": ("a", "p1")}
TWINS: dict[Key, Row] = FAMILY | {"c2": ("a", "p1")}
PARENTS: dict[Key, Row] = FAMILY | {"p2": ("a", "t2")}
THERE_AND_BACK = (REVERSE, FORWARD)

SCENARIOS = {
    each.name: each
    for each in (
        # Small ones, each about one thing.
        Scenario("updates during the copy", FAMILY, (does(update("c1", "b")),)),
        Scenario("a delete during the copy", FAMILY, (does(delete("c1")),)),
        Scenario("an insert between two ranges", TWINS, (does(insert("c3", "a", "p1")),)),
        Scenario("an undo, and on again", FAMILY, (does(update("c1", "b")),), undo=True),
        Scenario("a late commit", FAMILY, (does(update("p1", "b")), does(update("c1", "b"))), copied=True),
        Scenario("insert and delete", FAMILY, (does(insert("c2", "a", "p1")), does(delete("c2"))), copied=True),
        Scenario(
            "insert, delete, and the parent moves",
            FAMILY,
            (does(insert("c2", "a", "p1")), does(move("p1", "t2")), does(delete("c2"))),
            copied=True,
        ),
        Scenario(
            "a new parent with a child, and a child of before",
            FAMILY,
            (does(update("c1", "b")), does(insert("p2", "a", "t2"), move("c1", "p2"))),
            copied=True,
        ),
        Scenario("a key changes", FAMILY, (does(rekey("c1", "c2")),), copied=True),
        Scenario("the table is truncated", TWINS, (does(truncate("c")),), copied=True),
        Scenario("a value becomes NULL", FAMILY, (does(update("c1", None)),), copied=True),
        Scenario("the parent moves to another tenant", FAMILY, (does(move("p1", "t2")),), copied=True),
        Scenario("a write at the cut-over", FAMILY, (does(update("c1", "b")),), (REVERSE,), copied=True),
        Scenario("a write at the rollback", FAMILY, (does(update("c1", "b")),), THERE_AND_BACK, copied=True),
        Scenario(
            "a client that stays behind", FAMILY, (does(update("c1", "b"), lingers=True),), (REVERSE,), copied=True
        ),
        Scenario(
            "a value that the way over changes",
            FAMILY | {"p1": (" a ", "t1")},
            (does(move("p1", "t2")),),
            THERE_AND_BACK,
            copied=True,
        ),
        Scenario(
            "a row in quarantine, and TRUNCATE in the target",
            TWINS | {"c2": (BAD, "p1")},
            (does(truncate("c"), side=TARGET),),
            THERE_AND_BACK,
            copied=True,
        ),
        Scenario("a row goes into quarantine", FAMILY, (does(update("c1", BAD)),), THERE_AND_BACK, copied=True),
        Scenario(
            "two writes to the target while both sides are served",
            FAMILY,
            (does(update("c1", "b"), side=TARGET), does(update("c1", "c"), side=TARGET)),
            (BOTH,),
            copied=True,
        ),
        Scenario(
            "a parent moves in the source, its child is written in the target",
            FAMILY,
            (does(move("p1", "t2"), side=SOURCE), does(update("c1", "b"), side=TARGET)),
            (BOTH,),
            copied=True,
        ),
        Scenario(
            "a parent moves in the source, its child and another are written in the target",
            PARENTS,
            (does(move("p1", "t2"), side=SOURCE), does(update("c1", "b"), update("p2", "b"), side=TARGET)),
            (BOTH,),
            copied=True,
            limited=True,
        ),
        Scenario(
            "rounds of one entry, a new parent with a child",
            FAMILY,
            (does(insert("p2", "a", "t2"), move("c1", "p2")),),
            THERE_AND_BACK,
            copied=True,
            limited=True,
        ),
        Scenario(
            "rounds of one entry, a parent is deleted in the target",
            FAMILY,
            (does(delete("p1")),),
            THERE_AND_BACK,
            copied=True,
            limited=True,
        ),
        # Whole lives: three operations at any time from the first step to the last.
        Scenario(
            "a whole life with moves and deletes",
            TWINS,
            (does(move("p1", "t2")), does(delete("c1"), insert("c1", "b", "p1")), does(update("c2", None))),
            THERE_AND_BACK,
            copiers=2,
            kills=2,
        ),
        Scenario(
            "a whole life with changed keys",
            PARENTS,
            (does(rekey("p1", "p3")), does(insert("c2", "b", "p1")), does(move("c1", "p2"))),
            THERE_AND_BACK,
        ),
        Scenario(
            "a whole life with TRUNCATE",
            PARENTS,
            (does(truncate("c"), insert("c2", "b", "p2")), does(delete("p1")), does(update("c1", "b"))),
            THERE_AND_BACK,
        ),
        Scenario(
            "a whole life with quarantine",
            FAMILY | {"p1": ("a ", "t1"), "c2": (BAD, "p1")},
            (does(update("p1", BAD)), does(update("p1", "b")), does(update("c2", "b"), lingers=True)),
            (REVERSE, FORWARD, REVERSE),
        ),
        Scenario(
            "a whole life with both sides served",
            PARENTS,
            (
                does(move("p1", "t2"), side=SOURCE),
                does(insert("c2", "b", "p2"), side=SOURCE),
                does(update("c1", "b"), side=TARGET),
            ),
            (BOTH, REVERSE),
            copied=True,
        ),
        Scenario(
            "back from where both sides are served",
            FAMILY,
            (does(move("p1", "t2"), side=SOURCE), does(update("c1", "b"), side=TARGET), does(insert("c2", "b", "p1"))),
            (BOTH, FORWARD),
            copied=True,
        ),
    )
}


class Race(NamedTuple):
    """A guard, the scenario in which its absence is seen, and guards that would hide it."""

    guard: Guard
    scenario: str
    what: str
    hidden_by: frozenset[Guard] = frozenset()

    @property
    def without(self) -> frozenset[Guard]:
        return ALL - {self.guard} - self.hidden_by


G = Guard
RACES = (
    Race(G.CAPTURE_FIRST, "updates during the copy", "a write between snapshot and capture is never carried"),
    Race(
        G.COPY_INSERTS_ONLY,
        "updates during the copy",
        "an old snapshot overwrites what replay has brought",
        frozenset({G.REPLAY_AFTER_COPY}),
    ),
    Race(G.REPLAY_AFTER_COPY, "a delete during the copy", "a deleted row comes back from the copy's snapshot"),
    Race(G.RANGES_STAY, "an insert between two ranges", "a range begins behind rows that no range has read"),
    Race(G.MARK_WITH_WORK, "updates during the copy", "after a kill, rows count as copied that never were"),
    Race(G.UNDO_IN_REVERSE, "an undo, and on again", "ranges count as copied that were not captured meanwhile"),
    Race(G.NO_WATERMARK, "a late commit", "an entry becomes visible below the watermark and is never read"),
    Race(G.DELETE_WHAT_WAS_READ, "a late commit", "an entry is deleted that came after the read"),
    Race(G.ONE_SNAPSHOT_WITH_LOG, "updates during the copy", "the entry is consumed by a value from before it"),
    Race(
        G.ONE_SNAPSHOT_FOR_TABLES,
        "a new parent with a child, and a child of before",
        "a child refers to a parent that is not there yet",
        frozenset({G.UNDER_TARGET_PARENT}),
    ),
    Race(G.ONE_REPLAYER, "insert and delete", "the slower of two brings a deleted row back"),
    Race(
        G.ONE_WRITER_PER_ROW,
        "insert, delete, and the parent moves",
        "a child comes under a tenant that its parent is just leaving",
    ),
    Race(
        G.REPEATABLE_READ,
        "a parent moves in the source, its child is written in the target",
        "a round overwrites what an application wrote after its snapshot",
    ),
    Race(G.LOG_BOTH_KEYS, "a key changes", "the row stays behind under its old key"),
    Race(G.LOG_TRUNCATE, "the table is truncated", "the rows stay"),
    Race(G.CARRY_NULL, "a value becomes NULL", "the old value stays"),
    Race(G.EXPAND_DEPENDENTS, "the parent moves to another tenant", "its children stay behind, without a parent"),
    Race(
        G.UNDER_TARGET_PARENT,
        "rounds of one entry, a new parent with a child",
        "a child comes under a tenant before its parent does",
    ),
    Race(G.DELETE_IN_ANY_TENANT, "the parent moves to another tenant", "the old copy stays with the old tenant"),
    Race(G.SNAPSHOT_AFTER_LOCK, "a write at the cut-over", "a write between snapshot and lock is left behind"),
    Race(G.TURN_WITH_DRAIN, "a write at the cut-over", "a write between drain and turn is left behind"),
    Race(G.TARGET_CAPTURE_FIRST, "a write at the rollback", "a first write to the target is not brought back"),
    Race(G.FENCE, "a client that stays behind", "a write is acknowledged by the side that nobody reads any more"),
    Race(G.KEEP_ORIGINAL, "a value that the way over changes", "an original is replaced by its transform"),
    Race(
        G.KEEP_QUARANTINED,
        "a row in quarantine, and TRUNCATE in the target",
        "an original in quarantine is deleted at the rollback",
    ),
    Race(
        G.WAIT_ON_THE_WAY_BACK,
        "rounds of one entry, a parent is deleted in the target",
        "a delete is given up because of a child whose own delete comes next",
    ),
    Race(
        G.IGNORE_OWN_WRITES,
        "a row goes into quarantine",
        "the tool's own delete in the target comes back and deletes the original",
    ),
    Race(
        G.IGNORE_OWN_WRITES,
        "two writes to the target while both sides are served",
        "a write and its echo change sides for ever",
        frozenset({G.BACK_FIRST}),
    ),
    Race(
        G.BACK_FIRST,
        "a parent moves in the source, its child is written in the target",
        "a dependent row is derived from a value that is no longer the last",
    ),
    Race(
        G.WHOLE_LOG_BACK,
        "a parent moves in the source, its child and another are written in the target",
        "the same, for a row whose entry was left for the next round",
    ),
)


@functools.cache
def found(scenario: str, guards: frozenset[Guard] = ALL) -> Outcome:
    return search(Model(SCENARIOS[scenario], guards))


# What applications do in pairs, with what is there at first.
OPERATIONS = (
    does(update("c1", "b")),
    does(update("c1", None)),
    does(insert("c2", "a", "p1")),
    does(delete("c1"), insert("c1", "c", "p2")),
    does(delete("p1")),
    does(rekey("c1", "c3")),
    does(rekey("p1", "p3")),
    does(move("p1", "t2")),
    does(move("c1", "p2")),
    does(truncate("c")),
    does(truncate("p")),
)
# Nothing here takes away the parent of a row that is in quarantine: that is a conflict for people to settle.
OPERATIONS_WITH_QUARANTINE = (
    does(update("p1", BAD)),
    does(update("p1", "b")),
    does(update("c1", BAD)),
    does(update("c2", "b")),
    does(move("p1", "t2")),
    does(truncate("c")),
)
SPOILT: dict[Key, Row] = {"p1": (" a ", "t1"), "c1": ("a", "p1"), "c2": (BAD, "p1")}
IN_THE_SOURCE = (
    update("p1", "b"),
    update("p1", BAD),
    update("p2", None),
    move("p1", "t2"),
    rekey("p1", "p3"),
    delete("p2"),
    insert("c2", "a", "p1"),
    insert("c2", "a", "p2"),
)
IN_THE_TARGET = (
    update("c1", "b"),
    update("c1", None),
    move("c1", "p2"),
    rekey("c1", "c4"),
    delete("c1"),
    insert("c3", "a", "p1"),
    insert("c3", "a", "p2"),
)


def contradict(one: Op, other: Op) -> bool:
    """Whether both write one row, or one takes the parent away from the other's row: no order of them is the right one."""
    ran, other_ran = one.run(PARENTS), other.run(PARENTS)
    return ran is None or other_ran is None or conflict(ran[0], other_ran[0])


def failures(scenarios: Iterable[Scenario]) -> list[str]:
    outcomes = [(scenario, search(Model(scenario))) for scenario in scenarios]
    assert len(outcomes) > 20
    return [f"{scenario}: {outcome}" for scenario, outcome in outcomes if outcome.violation]


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_in_any_interleaving(name: str) -> None:
    outcome = found(name)
    assert not outcome.violation, str(outcome)


@pytest.mark.parametrize("limited", [False, True], ids=["any time", "rounds of one entry"])
@pytest.mark.parametrize(
    ("operations", "source"),
    [(OPERATIONS, PARENTS), (OPERATIONS_WITH_QUARANTINE, SPOILT)],
    ids=["plain", "with quarantine"],
)
def test_every_pair_of_operations_is_carried(
    operations: tuple[Transaction, ...], source: dict[Key, Row], limited: bool
) -> None:
    """At any time of a run from its first step to its last; with rounds that may take any single entry, from the copy on."""
    pairs = itertools.combinations_with_replacement(operations, 2)
    kills = 0 if limited else 1
    found_out = failures(
        Scenario(str(pair), source, pair, THERE_AND_BACK, copied=limited, limited=limited, kills=kills)
        for pair in pairs
    )
    assert found_out == []


@pytest.mark.parametrize("end", [REVERSE, FORWARD])
def test_every_pair_of_operations_on_either_side_is_carried_while_both_are_served(end: str) -> None:
    pairs = [
        (does(one, side=SOURCE), does(other, side=TARGET))
        for one, other in itertools.product(IN_THE_SOURCE, IN_THE_TARGET)
        if not contradict(one, other)
    ]
    found_out = failures(
        Scenario(str(pair), PARENTS, pair, (BOTH, end), copied=True, limited=True, kills=0) for pair in pairs
    )
    assert found_out == []


def test_the_scenarios_reach_whatever_can_happen() -> None:
    """A search that never comes to a kill, a refusal or a failed round would say little."""
    steps = {step for name in SCENARIOS for step in found(name).steps}
    for part in (
        "the tool is killed",
        "is refused by the source",
        "is refused by the target",
        "in the target is refused",
        "replay fails: a row was changed",
        "replay fails: a foreign key",
        "cut-over gives up",
        "undo: capture is off",
        "rollback commits",
    ):
        assert any(part in step for step in steps), part


@pytest.mark.parametrize("race", RACES, ids=lambda race: f"{race.guard.name}: {race.scenario}")
def test_a_missing_guard_is_found_out(race: Race) -> None:
    assert not found(race.scenario).violation, "with all guards the scenario holds"
    assert not found(race.scenario, ALL - race.hidden_by).violation, "and it is not another guard that is missed"
    outcome = found(race.scenario, race.without)
    assert outcome.violation, str(outcome)
    assert outcome.trace


def test_a_run_that_can_no_longer_end_is_found_out() -> None:
    """A parent is deleted in the target, and the source has a child of it that never came over: to be recorded, not waited for."""
    outcome = search(Model(Scenario("waiting", SPOILT, (does(delete("p1"), side=TARGET),), (REVERSE,), copied=True)))
    assert outcome.violation == "the run can no longer come to an end"


def test_every_guard_has_its_race() -> None:
    assert {race.guard for race in RACES} == set(Guard)


def test_the_page_lists_the_guards_and_the_races_found() -> None:
    rows = [f"| {race.guard.value} | {race.what} | {len(found(race.scenario, race.without).trace)} |" for race in RACES]
    page = PAGE.read_text(encoding="utf-8").splitlines()
    start = page.index("| Guard | The race without it | Steps |") + 2
    written = list(itertools.takewhile(lambda line: line.startswith("|"), page[start:]))
    assert written == rows, "stale; the table should be\n" + "\n".join(rows)


def triples() -> None:
    states = 0
    for operations, source in ((OPERATIONS, PARENTS), (OPERATIONS_WITH_QUARANTINE, SPOILT)):
        for triple in itertools.combinations_with_replacement(operations, 3):
            scenario = Scenario(str(triple), source, triple, (REVERSE, FORWARD, REVERSE), copiers=2)
            outcome = search(Model(scenario))
            assert not outcome.violation, f"{scenario}: {outcome}"
            states += outcome.states
    sys.stdout.write(f"{states} states, no violation\n")


def main(words: list[str]) -> None:
    if words == ["--triples"]:
        triples()
        return
    for race in RACES:
        if all(word.lower() in f"{race.guard.name} {race.guard.value}".lower() for word in words):
            outcome = found(race.scenario, race.without)
            sys.stdout.write(f"{race.guard.value}\n  without it, {race.what}: {race.scenario}\n{outcome}\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
