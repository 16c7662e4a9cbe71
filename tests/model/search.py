"""A search through everything that a model can do, breadth first."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tests.model.protocol import Model, State


@dataclass(frozen=True)
class Outcome:
    """What a search found, and the shortest way to what must not be."""

    states: int
    steps: frozenset[str]
    violation: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        steps = [f"{number:>3}. {step}" for number, step in enumerate(self.trace, start=1)]
        return "\n".join([*steps, self.violation or "no violation", f"({self.states} states)"])


def search(model: Model) -> Outcome:
    """Reach every state; stop at the first that violates something: being the first, it has the shortest trace.

    A state from which no end can be reached any more (all wait for each other, or replay goes round for ever) is a
    violation as well.
    """
    start = model.start()
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    earlier: dict[State, list[State]] = {start: []}
    labels: set[str] = set()
    ends = []
    queue = deque([start])

    def outcome(violation: str | None, state: State | None) -> Outcome:
        trace = []
        step = came_from[state] if state else None
        while step:
            trace.append(step[1])
            step = came_from[step[0]]
        return Outcome(len(came_from), frozenset(labels), violation, tuple(reversed(trace)))

    while queue:
        state = queue.popleft()
        wrong = model.violation(state)
        if wrong:
            return outcome(wrong, state)
        if model.ended(state):
            ends.append(state)
        for label, following in model.moves(state):
            labels.add(label)
            if following not in came_from:
                came_from[following] = (state, label)
                earlier[following] = []
                queue.append(following)
            earlier[following].append(state)

    alive = set(ends)
    while ends:
        for state in earlier[ends.pop()]:
            if state not in alive:
                alive.add(state)
                ends.append(state)
    lost = next((state for state in came_from if state not in alive), None)
    return outcome("the run can no longer come to an end" if lost else None, lost)
