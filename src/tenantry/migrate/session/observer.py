"""The events that a run reports to its observer, which renders or drops them."""

from __future__ import annotations

from typing import Protocol

from tenantry.plan import Phase, Step


class Observer(Protocol):
    """Receives events. All methods may be called from any worker's thread."""

    def phase(self, phase: Phase, *, rows: int, steps: int) -> None: ...

    def started(self, step: Step, *, rows: int, done_rows: int) -> None: ...

    def progress(self, step: Step, rows: int) -> None: ...

    def finished(self, step: Step, *, seconds: float, rows: int | None) -> None: ...

    def notice(self, message: str) -> None: ...


class Silent:
    """Drops all events."""

    def phase(self, phase: Phase, *, rows: int, steps: int) -> None: ...

    def started(self, step: Step, *, rows: int, done_rows: int) -> None: ...

    def progress(self, step: Step, rows: int) -> None: ...

    def finished(self, step: Step, *, seconds: float, rows: int | None) -> None: ...

    def notice(self, message: str) -> None: ...
