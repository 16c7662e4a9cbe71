"""Steps that copy the rows of one mapping, range by range, over several connections in parallel."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from psycopg.types.json import Jsonb

from tenantry.journal.journal import Chunk, Connection
from tenantry.migrate.copy import ranges
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.migrate.run.context import RunContext
from tenantry.migrate.run.executors.base import Task
from tenantry.plan import Step
from tenantry.postgres import ident

Planned = tuple[list[Chunk], int]
"""All key ranges of a mapping, and the number of source rows."""
Tried = tuple[ranges.Copied | None, list[Chunk], float]
"""The result of an attempt: the copied rows or None, the ranges to try instead, and seconds."""


class CopyExecution:
    """Hands out the remaining ranges to workers, and adapts their number to the speed."""

    def __init__(self, context: RunContext, step: Step) -> None:
        self._context, self._step = context, step
        self._mapping = context.project.mapping(step.mapping or "")
        self.rows: int | None = 0
        self._waiting: deque[Chunk] = deque()
        self._running = 0
        self._rate = 0.0
        self._alone: set[int] = set()
        """Positions of ranges that are tried individually, since a row among them was refused."""

    def start(self) -> Iterable[Task[Planned]]:
        yield Task(self._plan, self._planned)

    def _plan(self, connection: Connection) -> Planned:
        journal, name = self._context.journal, self._mapping.name
        found = journal.chunks(connection, name)
        if found:
            return found, self._step.rows
        planned, total = ranges.plan_chunks(
            connection, self._context.project, self._mapping, self._context.options.chunk_rows
        )
        content = [{"position": chunk.position, "low": chunk.low, "high": chunk.high} for chunk in planned]
        journal.say(connection, "add_chunks", mapping=name, chunks=Jsonb(content))
        return planned, total

    def _planned(self, result: Planned) -> Sequence[Task[Tried]]:
        found, total = result
        self._waiting = deque(each for each in found if not each.done)
        self._written(sum(each.target_rows for each in found if each.done))
        self._context.observer.started(
            self._step, rows=total, done_rows=sum(each.source_rows for each in found if each.done)
        )
        return self._next()

    def _next(self) -> Sequence[Task[Tried]]:
        """Return as many tasks as there are free workers; without remaining ranges, mark the step as done."""
        tasks = []
        while self._waiting and self._running < self._context.options.workers:
            taken = self._neighbours()
            self._running += 1
            tasks.append(
                Task[Tried](
                    lambda connection, taken=taken: self._try(connection, taken),  # type: ignore[misc]
                    lambda result, taken=taken: self._tried(result, taken),  # type: ignore[misc]
                )
            )
        if not self._waiting and not self._running:
            self._context.mark_done(self._context.main, self._step, self.rows)
        return tasks

    def _neighbours(self) -> tuple[Chunk, ...]:
        """Take as many neighbouring ranges as fit into the wanted time, estimated from the last ones."""
        first = self._waiting.popleft()
        taken = [first]
        if first.position in self._alone:
            return (first,)
        context = self._context
        wanted = context.options.chunk_seconds or context.throttle.limits().chunk_target
        # Leave some, so that every worker has work.
        most = max(1, min(round(self._rate * wanted), len(self._waiting) // context.options.workers + 1))
        for following in list(islice(self._waiting, most - 1)):
            if following.low != taken[-1].high or following.position in self._alone:
                break
            taken.append(self._waiting.popleft())
        return tuple(taken)

    def _try(self, connection: Connection, chunks: tuple[Chunk, ...]) -> Tried:
        """Copy neighbouring ranges; if the server refuses one of their rows, return the ranges to try instead."""
        context, mapping = self._context, self._mapping
        context.throttle.wait("copy", ident(context.project.source.schema, mapping.source.name))
        started = time.monotonic()
        try:
            copied = context.session.again(
                lambda: ranges.copy_chunks(
                    connection,
                    context.journal,
                    context.project,
                    mapping,
                    self._step.sql[0],
                    chunks,
                    context.watch.check,
                )
            )
        except ROW_ERRORS as error:
            if len(chunks) > 1:
                return None, list(chunks), 0.0
            halves = ranges.split_chunk(connection, context.journal, context.project, mapping, chunks[0])
            if halves:
                return None, halves, 0.0
            refused = ranges.refuse_row(connection, context.journal, context.project, mapping, chunks[0], error)
            return refused, [], 0.0
        return copied, [], time.monotonic() - started

    def _tried(self, result: Tried, chunks: tuple[Chunk, ...]) -> Sequence[Task[Tried]]:
        copied, again, seconds = result
        self._running -= 1
        if copied is not None:
            self._written(copied.target)
            self._rate = len(chunks) / max(seconds, 1e-3)
            self._context.observer.progress(self._step, copied.source)
        for each in reversed(again):
            self._waiting.appendleft(each)
            self._alone.add(each.position)
        return self._next()

    def _written(self, rows: int) -> None:
        self.rows = (self.rows or 0) + rows
        self._context.results.rows += rows
