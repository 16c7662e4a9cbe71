"""Runs migrations in child processes that are killed: `python -m tests.chaos.driver <dsn> <manifest>`.

Reads one JSON object a line from stdin: {"phase": …, "event": n} kills the run with SIGKILL at the n-th event of that phase
(or at the first event behind it), {"after": seconds} kills it from outside, {} lets it run. Answers with one JSON object:
{"signal": 9} or {"exit": code, "error": …}. Children are forked, so that the imports are paid for once.
"""

# ruff: noqa: ARG002 - observers are given more than each of them looks at

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from tenantry.errors import RunInProgress, TenantryError
from tenantry.manifest import load_manifest
from tenantry.migrate.run.engine import Migration, Options
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.switch.cutover import cut_over
from tenantry.plan import PHASES, Phase, Step


class Killer(Silent):
    """Counts the events of each phase and kills its own process at the wanted one: no clean-up of any kind runs."""

    def __init__(self, phase: str, event: int) -> None:
        self._wanted = (PHASES.index(phase), event)
        self._now = -1
        self._count = 0

    def _event(self) -> None:
        self._count += 1
        if (self._now, self._count) >= self._wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    def phase(self, phase: Phase, *, rows: int, steps: int) -> None:
        self._now, self._count = PHASES.index(phase), 0
        self._event()

    def started(self, step: Step, *, rows: int, done_rows: int) -> None:
        self._event()

    def progress(self, step: Step, rows: int) -> None:
        self._event()

    def finished(self, step: Step, *, seconds: float, rows: int | None) -> None:
        self._event()


def _run(dsn: str, manifest: Path, order: dict[str, object]) -> int:
    observer = Killer(str(order["phase"]), int(str(order["event"]))) if "phase" in order else Silent()
    loaded = load_manifest(manifest)
    options = Options(workers=int(str(order.get("workers", 2))), chunk_rows=400)
    deadline = time.monotonic() + 120
    while True:
        try:
            Migration(dsn, loaded, options, observer).run()
            cut_over(dsn, loaded, accept_quarantined=True, observer=observer)
            return 0
        except RunInProgress:
            # The server notices a killed client when it next hears, or does not hear, from it.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _child(dsn: str, manifest: Path, order: dict[str, object], answer: int) -> None:
    code, said = 0, ""
    try:
        code = _run(dsn, manifest, order)
    except TenantryError as error:
        code, said = error.exit_code, f"{error.code} {error.message}"
    except BaseException as error:  # noqa: BLE001 - the parent shows it
        code, said = 99, repr(error)
    os.write(answer, json.dumps({"exit": code, "error": said}).encode())
    os._exit(0)


def main() -> None:
    dsn, manifest = sys.argv[1], Path(sys.argv[2])
    for line in sys.stdin:
        order = json.loads(line)
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reads)
            _child(dsn, manifest, order, writes)
        os.close(writes)
        if "after" in order and not select.select([reads], [], [], float(order["after"]))[0]:
            os.kill(pid, signal.SIGKILL)
        said = b""
        while piece := os.read(reads, 65536):
            said += piece
        os.close(reads)
        _, status = os.waitpid(pid, 0)
        answer = {"signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else json.loads(said)
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is the answer


if __name__ == "__main__":
    main()
