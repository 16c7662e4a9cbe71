"""Ties the values of a function's body to each other: arguments, variables, and rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tenantry.prove.lint.routine_reading import CALLER, Ask, Body, Known, Pick, RoutineReading


@dataclass(slots=True)
class QueryRow:
    """One relation of one query."""

    node: str
    relation: int | None
    columns: Mapping[str, tuple[int, str]]
    asked: set[int] = field(default_factory=set)
    loose: set[int] = field(default_factory=set)
    written: bool = False


class RoutineTies:
    """The values of one body, and which of them are tied to each other."""

    def __init__(self, body: Body, known: Known) -> None:
        self.body, self.known = body, known
        self.above: dict[str, str] = {}
        self.variables = {name.lower() for name in body.arguments if name}
        self.rows: list[QueryRow] = []
        self.picked: list[tuple[frozenset[str], int, int, bool]] = []
        self.settings: set[str] = set()
        self.procedural = False
        self.open = False
        """Whether a gate for operators guards the whole body."""

    # -- ties ----------------------------------------------------------------------------------------------------------

    def top(self, node: str) -> str:
        while node in self.above:
            node = self.above[node]
        return node

    def tie(self, nodes: Collection[str]) -> None:
        tops = sorted({self.top(node) for node in nodes})
        for other in tops[1:]:
            self.above[other] = tops[0]

    def found(self) -> RoutineReading:
        caller = self.top(CALLER)
        arguments = {f"${n}": name or f"${n}" for n, name in enumerate(self.body.arguments, start=1)}
        tops = {arguments[node]: self.top(self.argument(node)) for node in arguments}
        picks = {
            Pick(name, relation, column, written)
            for nodes, relation, column, written in self.picked
            for name, top in tops.items()
            if not self.open and top != caller and top in {self.top(node) for node in nodes}
        }
        asks = tuple(
            Ask(
                row.relation,
                tuple(sorted(row.asked)),
                tuple(sorted(row.loose)),
                tied=self.top(row.node) in tops.values(),
                written=row.written,
                caller=self.top(row.node) == caller,
            )
            for row in self.rows
            if row.relation is not None and self.top(row.node) in {caller, *tops.values()}
        )
        ordered = sorted(picks, key=lambda pick: (pick.argument, pick.relation, pick.column, pick.written))
        return RoutineReading(tuple(ordered), asks, tuple(sorted(self.settings)))

    def argument(self, node: str) -> str:
        """Return an argument's number; bodies refer to it by number or name."""
        name = self.body.arguments[int(node[1:]) - 1].lower()
        return f"v:{name}" if name else node
