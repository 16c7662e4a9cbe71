"""Steps that replay the changes made meanwhile, round by round."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tenantry.journal.journal import Connection
from tenantry.migrate.replay.queue import pending
from tenantry.migrate.run.context import RunContext
from tenantry.migrate.run.executors.base import Task
from tenantry.plan import Step

_NEARLY_EMPTY = 2_000
"""A round with at most this many entries means that replay has caught up."""


class ReplayExecution:
    """Replays rounds until one takes all visible entries (to catch up with the copy), or hardly any entry is left."""

    def __init__(self, context: RunContext, step: Step) -> None:
        self._context, self._step = context, step
        self.rows: int | None = None

    def start(self) -> Iterable[Task[None]]:
        self._context.observer.started(self._step, rows=self._step.rows, done_rows=0)
        yield Task(self._work)

    def _work(self, connection: Connection) -> None:
        context, step = self._context, self._step
        pace = context.rounds.pace
        while not context.session.stop.is_set():
            context.throttle.wait("replay")
            limit, begun = pace.limit, time.monotonic()
            last = context.session.again(lambda limit=limit: context.rounds.once(limit=limit, thorough=step.thorough))  # type: ignore[misc]
            pace.tell(last.entries, time.monotonic() - begun)
            context.observer.progress(step, last.entries)
            if last.entries < limit and (step.thorough or pending(connection)[0] < _NEARLY_EMPTY):
                break
        context.mark_done(connection, step)
