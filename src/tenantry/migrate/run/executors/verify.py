"""Steps that compare every row of one mapping: find its key ranges, compute their expected checksums, then read the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenantry.journal.journal import Chunk, Connection
from tenantry.migrate.run.context import RunContext
from tenantry.migrate.run.executors.base import Task
from tenantry.migrate.verify import compare
from tenantry.migrate.verify.sums import Sum, expected_sum, key_ranges
from tenantry.plan import Step

Looked = tuple[int, list[str]]
"""Number of compared rows, and keys of the rows that differ."""


class VerifyExecution:
    """Collects the checksums of ranges as they arrive."""

    def __init__(self, context: RunContext, step: Step) -> None:
        self._context, self._step = context, step
        self._mapping = context.project.mapping(step.mapping or "")
        self.rows: int | None = None
        self._ranges: list[Chunk] = []
        self._expected: dict[int, Sum] = {}

    def start(self) -> Iterable[Task[list[Chunk]]]:
        self._context.observer.started(self._step, rows=self._step.rows, done_rows=0)
        yield Task(lambda connection: key_ranges(connection, self._context.journal, self._mapping), self._divided)

    def _divided(self, ranges: list[Chunk]) -> Sequence[Task[Sum]] | Sequence[Task[Looked]]:
        self._ranges = ranges
        if not ranges:
            return self._look()
        return [
            Task(
                lambda connection, each=each: expected_sum(  # type: ignore[misc]
                    connection, self._context.project, self._mapping, each
                ),
                lambda result, each=each: self._summed(result, each),  # type: ignore[misc]
            )
            for each in ranges
        ]

    def _summed(self, result: Sum, chunk: Chunk) -> Sequence[Task[Looked]]:
        self._expected[chunk.position] = result
        self._context.observer.progress(self._step, result[0])
        return self._look() if len(self._expected) == len(self._ranges) else ()

    def _look(self) -> Sequence[Task[Looked]]:
        sums = [self._expected[each.position] for each in self._ranges]
        return [Task(lambda connection: self._candidates(connection, sums), self._looked)]

    def _candidates(self, connection: Connection, sums: list[Sum]) -> Looked:
        return compare.candidates(connection, self._context.project, self._mapping, self._ranges, sums)

    def _looked(self, result: Looked) -> Sequence[Task[object]]:
        self.rows, candidates = result
        results, name = self._context.results, self._mapping.name
        results.candidates[name] = candidates
        results.ranges[name] = len(self._ranges)
        self._context.mark_done(self._context.main, self._step, self.rows)
        return ()
