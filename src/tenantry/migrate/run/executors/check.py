"""Steps that check the target as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tenantry.journal.journal import Connection
from tenantry.mapping import Project
from tenantry.migrate.run.context import RunContext
from tenantry.migrate.run.executors.base import Task
from tenantry.migrate.verify.results import Verification
from tenantry.migrate.verify.whole_target import verify_catalog, verify_ids, verify_references, verify_rules
from tenantry.plan import Step
from tenantry.plan.model import Check

CHECKS: Mapping[Check, Callable[[Connection, Project], Verification]] = {
    "catalog": verify_catalog,
    "ids": verify_ids,
    "references": verify_references,
    "rules": verify_rules,
}


class CheckExecution:
    """Runs one check; its findings are judged at the end of the phase."""

    def __init__(self, context: RunContext, step: Step) -> None:
        self._context, self._step = context, step
        self.rows: int | None = None

    def start(self) -> Iterable[Task[Verification]]:
        self._context.observer.started(self._step, rows=self._step.rows, done_rows=0)
        yield Task(self._work, self._found)

    def _work(self, connection: Connection) -> Verification:
        assert self._step.check is not None
        return CHECKS[self._step.check](connection, self._context.project)

    def _found(self, result: Verification) -> Sequence[Task[object]]:
        self._context.results.verifications.append(result)
        self.rows = result.compared
        self._context.mark_done(self._context.main, self._step, self.rows)
        return ()
