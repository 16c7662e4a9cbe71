"""Tenantry at work, in a process of its own, which says what it does and when: its memory is its own, and nothing that
measures takes its time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.copying.ground import MANIFEST, say
from benchmarks.copying.ours import peak_memory
from benchmarks.living.writers import LAUNCHER
from tenantry.errors import CutOverFailed
from tenantry.manifest import Manifest, load_manifest
from tenantry.migrate.run.engine import Migration, Options
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.switch.switchover import Bounds, Switchover
from tenantry.plan import Phase

_PATIENCE = 20.0
"""Seconds after which a turn is given up."""
_TRIES = 3


def manifest() -> Manifest:
    """Clinic's, with nothing held back: what is measured is how fast it can go, and what that costs others."""
    read = load_manifest(MANIFEST)
    off = (
        "max_wal_per_second",
        "max_lock_wait",
        "max_replication_lag",
        "max_slot_lag",
        "max_transaction_age",
        "min_free_disk",
    )
    # yield_to_autovacuum is off as well: which table autovacuum takes up in a run of a minute is chance.
    opened = read.throttle.model_copy(update=dict.fromkeys(off, "off") | {"yield_to_autovacuum": False})
    return read.model_copy(update={"throttle": opened})


# -- in the tool's process -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """What is to be done.

    Attributes:
        do: "migrate"; "drain", rounds until the log is empty; "follow", rounds for some seconds; "turn", cut over and roll back.
        stop: phase before which a migration is left, as if it had been killed.
        seconds: how long it follows.
        times: how often it is turned, there and back.
    """

    do: str
    dsn: str
    workers: int = 2
    stop: str = ""
    seconds: float = 0.0
    times: int = 0


class _Enough(Exception):
    pass


class _Watch(Silent):
    """Says each phase as it begins."""

    def __init__(self, stop: str) -> None:
        self._stop = stop

    def phase(self, phase: Phase, *, rows: int, steps: int) -> None:
        del rows, steps
        _say("phase", name=phase)
        if phase == self._stop:
            raise _Enough

    def notice(self, message: str) -> None:
        _say("notice", message=message)


def child(task: Task) -> None:
    """What runs in the other process."""
    opened = manifest()
    _say("begun")
    if task.do == "migrate":
        with suppress(_Enough):
            Migration(task.dsn, opened, Options(workers=task.workers), _Watch(task.stop)).run()
    elif task.do in ("drain", "follow"):
        _rounds(task, opened)
    else:
        _turns(task, opened)
    _say("done", memory=peak_memory())


def _rounds(task: Task, opened: Manifest) -> None:
    with RunHandle(task.dsn, opened) as live:
        live.check()
        live.round(limit=1)  # connections and plans are made
        begun, entries = time.monotonic(), 0
        _say("rounds")
        while True:
            last = live.round()
            entries += last.entries
            if last.entries == 0 if task.do == "drain" else time.monotonic() - begun > task.seconds:
                break
            if last.entries == 0:
                time.sleep(0.1)
        _say("carried", entries=entries, seconds=time.monotonic() - begun)


def _turns(task: Task, opened: Manifest) -> None:
    bounds = Bounds(patience=_PATIENCE)
    for _ in range(task.times):
        if _said_turn("cut over", lambda: cut_over(task.dsn, opened, bounds=bounds, accept_quarantined=True)):
            back = any(
                _said_turn("roll back", lambda: roll_back(task.dsn, opened, bounds=bounds).turned)
                for _ in range(_TRIES)
            )
            if not back:
                break  # there is nothing to cut over any more


def _said_turn(name: str, act: Callable[[], Switchover | None]) -> bool:
    """Whether it could be done within its bounds."""
    begun = time.monotonic()
    try:
        turned = act()
    except CutOverFailed as error:
        _say("gave up", name=name, message=error.message)
        return False
    assert turned is not None
    _say("turned", name=name, begun=begun, turned=asdict(turned))
    return True


def _say(what: str, **more: object) -> None:
    print(json.dumps({"what": what, "at": time.monotonic(), **more}), flush=True)


# -- in the process that measures ----------------------------------------------------------------------------------------


@dataclass
class Ran:
    """What the tool said of itself. Moments are those of the machine's clock, memory in MB."""

    begun: float = 0.0
    ended: float = 0.0
    memory: float = 0.0
    entries: int = 0
    seconds: float = 0.0
    rounds: float = 0.0
    phases: list[tuple[str, float]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    given_up: int = 0

    @property
    def total(self) -> float:
        return self.ended - self.begun

    def stretch(self, name: str) -> tuple[float, float]:
        """When a phase began and ended."""
        moments = [*self.phases, ("", self.ended)]
        at = next(i for i, (phase, _) in enumerate(moments) if phase == name)
        return moments[at][1], moments[at + 1][1]

    def took(self, name: str) -> float:
        begin, end = self.stretch(name)
        return end - begin


def run(task: Task) -> Ran:
    """Have it done, to its end."""
    command = [sys.executable, str(LAUNCHER), "--tool", json.dumps(asdict(task))]
    found = Ran()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            what, at = said["what"], said["at"]
            if what == "begun":
                found.begun = at
            elif what == "phase":
                found.phases.append((said["name"], at))
            elif what == "rounds":
                found.rounds = at
            elif what == "carried":
                found.entries, found.seconds = said["entries"], said["seconds"]
            elif what == "turned":
                found.turns.append({**said["turned"], "name": said["name"], "begun": said["begun"], "ended": at})
            elif what == "gave up":
                found.given_up += 1
                say(f"  {said['name']} was given up: {said['message']}")
            elif what == "done":
                found.ended, found.memory = at, said["memory"]
    if process.returncode != 0:
        raise RuntimeError(f"Tenantry ended with {process.returncode} while it was to {task.do}")
    return found


__all__ = ["Ran", "Task", "child", "manifest", "run"]
