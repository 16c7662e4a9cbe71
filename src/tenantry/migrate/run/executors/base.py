"""What an executor is: it gives the tasks of one step, and each task says what follows from its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tenantry.journal.journal import Connection
from tenantry.migrate.run.context import RunContext
from tenantry.plan import Step

T = TypeVar("T")


def nothing_more(_result: object) -> Sequence[Task[Any]]:
    """The task was the last of its step, or the others are under way."""
    return ()


@dataclass(frozen=True)
class Task(Generic[T]):
    """A piece of work for one worker.

    Attributes:
        work: is called with the worker's connection, in the worker's thread.
        then: is called with the result, in the engine's thread; the tasks that it returns are started.
    """

    work: Callable[[Connection], T]
    then: Callable[[T], Iterable[Task[Any]]] = nothing_more


class Execution(Protocol):
    """One step while it is carried out. The step is done when none of its tasks is left."""

    rows: int | None
    """What the step has written or compared, for whoever watches."""

    def start(self) -> Iterable[Task[Any]]:
        """Its first tasks."""
        ...


Executor = Callable[[RunContext, Step], Execution]
