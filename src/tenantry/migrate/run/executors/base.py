"""The protocol of executors: an executor returns the tasks of one step, and each task returns follow-up tasks for its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tenantry.journal.journal import Connection
from tenantry.migrate.run.context import RunContext
from tenantry.plan import Step

T = TypeVar("T")


def nothing_more(_result: object) -> Sequence[Task[Any]]:
    """Return no follow-up: the task was the last of its step, or the others are running."""
    return ()


@dataclass(frozen=True)
class Task(Generic[T]):
    """A piece of work for one worker.

    Attributes:
        work: called with the worker's connection, in the worker's thread.
        then: called with the result, in the engine's thread; the tasks that it returns are started.
    """

    work: Callable[[Connection], T]
    then: Callable[[T], Iterable[Task[Any]]] = nothing_more


class Execution(Protocol):
    """One running step. It is done when none of its tasks is left."""

    rows: int | None
    """Number of rows that the step has written or compared, for observers."""

    def start(self) -> Iterable[Task[Any]]:
        """Return the step's first tasks."""
        ...


Executor = Callable[[RunContext, Step], Execution]
