"""Steps that alter a table in use: each attempt releases waiting applications after less than a second."""

from __future__ import annotations

from collections.abc import Iterable

from tenantry.journal.journal import Connection
from tenantry.migrate.run.context import RunContext
from tenantry.migrate.run.executors.base import Task
from tenantry.migrate.session.locks import LockedTables, capture_tables
from tenantry.plan import Step


class CaptureExecution:
    """Runs the statements in one transaction, retried with a short lock_timeout."""

    def __init__(self, context: RunContext, step: Step) -> None:
        self._context, self._step = context, step
        self.rows: int | None = None

    def start(self) -> Iterable[Task[None]]:
        self._context.observer.started(self._step, rows=self._step.rows, done_rows=0)
        yield Task(self._work)

    def _work(self, connection: Connection) -> None:
        context, step = self._context, self._step
        assert step.locks is not None
        schema, table = step.locks
        capture_tables(
            connection,
            LockedTables(schema, [table]),
            step.sql,
            lambda: context.mark_done(connection, step),
            patience=context.options.lock_patience,
            notice=context.observer.notice,
            stopped=context.session.stop.is_set,
        )
