"""Steps of SQL statements in one transaction, on tables that no one else uses yet."""

from __future__ import annotations

from collections.abc import Iterable

from tenantry.journal.journal import Connection
from tenantry.migrate.run.context import RunContext
from tenantry.migrate.run.executors.base import Task
from tenantry.plan import Step


class SqlExecution:
    """Runs the statements and marks the step as done, in one transaction."""

    def __init__(self, context: RunContext, step: Step) -> None:
        self._context, self._step = context, step
        self.rows: int | None = None

    def start(self) -> Iterable[Task[None]]:
        self._context.observer.started(self._step, rows=self._step.rows, done_rows=0)
        yield Task(self._work)

    def _work(self, connection: Connection) -> None:
        def once() -> None:
            with connection.transaction():
                # Only the run uses the target, and a worker may be building a parent's index: wait for the lock.
                connection.execute("set local lock_timeout = 0")
                for statement in self._step.sql:
                    connection.execute(statement)
                self._context.mark_done(connection, self._step)

        self._context.session.again(once)
