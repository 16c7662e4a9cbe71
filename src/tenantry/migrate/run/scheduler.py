"""Runs the steps of a phase in parallel: each as soon as its predecessors are done, on the given number of workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from tenantry.errors import RunInterrupted
from tenantry.migrate.run.context import RunContext
from tenantry.migrate.run.executors import EXECUTORS, Execution, Task
from tenantry.plan import Step

Explain = Callable[[Step, Exception], Exception]


@dataclass
class _Running:
    """A running step."""

    step: Step
    execution: Execution
    begun: float = field(default_factory=time.monotonic)
    tasks: int = 0


class Scheduler:
    """Steps, tasks and workers of one run.

    Attributes:
        done: ids of completed steps, including those of earlier runs.
    """

    def __init__(self, context: RunContext, done: set[str], explain: Explain) -> None:
        """
        Args:
            explain: returns a step's error with an explanation, and records it in the journal.
        """
        self.done = done
        self._context, self._explain = context, explain
        self._futures: dict[Future[object], tuple[_Running, Task[Any]]] = {}

    def run(self, steps: Sequence[Step]) -> None:
        """Run the steps; after the first failure, let running tasks end, then raise it.

        Raises:
            RunInterrupted: Ctrl-C; the journal has the completed steps.
        """
        context = self._context
        waiting = {step.id: step for step in steps}
        failure: Exception | None = None
        pool = ThreadPoolExecutor(context.options.workers, thread_name_prefix="tenantry")
        try:
            while waiting or self._futures:
                if failure is None:
                    for step in self._ready(waiting):
                        self._start(pool, step)
                if not self._futures:
                    if failure is not None:
                        break
                    raise AssertionError(f"steps wait for each other: {sorted(waiting)}")
                # A short wait, so that Ctrl-C is seen.
                finished, _ = wait(self._futures, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in finished:
                    running, task = self._futures.pop(future)
                    running.tasks -= 1
                    try:
                        self._submit(pool, running, task.then(future.result()))
                    except Exception as error:  # noqa: BLE001 - kept, and raised when the running tasks have ended
                        failure = failure or self._explain(running.step, error)
                        waiting.clear()
                        continue
                    if not running.tasks:
                        self._finish(running)
        except KeyboardInterrupt:
            context.session.cancel()
            raise RunInterrupted(
                "Interrupted. No step is half done, and changes of the source are still recorded.",
                hint="Run `tenantry migrate` again to resume. `tenantry status` shows the progress.",
            ) from None
        finally:
            if failure is not None:
                context.session.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._futures.clear()
        if failure is not None:
            raise failure

    def _ready(self, waiting: dict[str, Step]) -> list[Step]:
        ready = [step for step in waiting.values() if set(step.after) <= self.done]
        for step in ready:
            del waiting[step.id]
        # The longest first, so that it does not run alone at the end.
        return sorted(ready, key=lambda step: -step.seconds)

    def _start(self, pool: ThreadPoolExecutor, step: Step) -> None:
        context = self._context
        context.journal.say(context.main, "step_started", step=step.id)
        running = _Running(step, EXECUTORS[step.kind](context, step))
        self._submit(pool, running, running.execution.start())

    def _submit(self, pool: ThreadPoolExecutor, running: _Running, tasks: Iterable[Task[Any]]) -> None:
        for task in tasks:
            running.tasks += 1
            self._futures[pool.submit(self._work, task)] = (running, task)

    def _work(self, task: Task[Any]) -> object:
        with self._context.session.worker() as connection:
            found: object = task.work(connection)
            return found

    def _finish(self, running: _Running) -> None:
        self.done.add(running.step.id)
        self._context.observer.finished(
            running.step, seconds=time.monotonic() - running.begun, rows=running.execution.rows
        )
