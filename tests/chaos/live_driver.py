"""Runs the tool in child processes that kill themselves: `python -m tests.chaos.live_driver <dsn> <manifest>`.

Reads one JSON object a line from stdin and answers with one:

    {"do": "migrate", "options": {…}}   or cutover, rollback, follow (which is replay)
    … "kill": {"event": "finished copy.goals"}   at this event
    … "kill": {"trip": n}               before the n-th message to the server is sent
    … "kill": {"trip": n, "sent": true} when it has been sent, and before the answer is read
    … "kill": {"after": seconds}        from outside, at that moment

    {"signal": 9} or {"exit": code, "said": …, "trips": n, "events": […]}; exit 99 is an error that has no code, 98 means that
    it did not come to its end.

A kill is SIGKILL: no clean-up of any kind runs. Children are forked, so that the imports are paid for once.
"""

# ruff: noqa: ARG002 - observers are given more than each of them looks at

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tenantry.errors import RunInProgress, TenantryError
from tenantry.manifest import load_manifest
from tenantry.migrate.follow import follow
from tenantry.migrate.run.engine import Migration, Options
from tenantry.migrate.session.observer import Silent
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.switch.rollback import roll_back
from tenantry.migrate.switch.switchover import Bounds
from tenantry.plan import Phase, Step

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds for which a run lock of a killed process is waited for: the server notices when it next hears from the client."""
LIMIT = 150.0
"""Seconds after which a command counts as hanging, and is ended."""


class Listener(Silent):
    """Writes down the events of a run, and kills its own process at the first that is wanted; says before at which."""

    def __init__(self, wanted: Collection[str], answer: int) -> None:
        self.events: list[str] = []
        self._wanted, self._answer = wanted, answer
        self._guard = threading.Lock()

    def _event(self, name: str) -> None:
        with self._guard:
            self.events.append(name)
            if name in self._wanted:
                os.write(self._answer, json.dumps({"at": name}).encode())
                os.kill(os.getpid(), signal.SIGKILL)

    def phase(self, phase: Phase, *, rows: int, steps: int) -> None:
        self._event(f"phase {phase}")

    def started(self, step: Step, *, rows: int, done_rows: int) -> None:
        self._event(f"started {step.id}")

    def progress(self, step: Step, rows: int) -> None:
        # A name for each piece of a step, in the order in which they come.
        piece = sum(1 for each in self.events if each.startswith(f"progress {step.id} "))
        self._event(f"progress {step.id} {piece + 1}")

    def finished(self, step: Step, *, seconds: float, rows: int | None) -> None:
        self._event(f"finished {step.id}")


class Trips:
    """Counts the messages to the server, and kills the process at one of them."""

    def __init__(self, kill: int | None, *, sent: bool) -> None:
        self.count = 0
        self._kill, self._sent = kill, sent
        self._guard = threading.Lock()

    def install(self) -> None:
        plain = psycopg.Connection.wait
        trips = self

        def wait(self: psycopg.Connection[Any], gen: Any, *more: Any, **named: Any) -> Any:
            with trips._guard:
                trips.count += 1
                mine = trips.count == trips._kill
            if mine:
                if trips._sent:
                    # The first step of the generator flushes the message and then waits for the answer.
                    next(gen)
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(self, gen, *more, **named)

        psycopg.Connection.wait = wait  # type: ignore[method-assign]


def _do(dsn: str, manifest: Path, what: str, options: dict[str, Any], listener: Listener) -> str:
    """One of the tool's commands, by the function behind it; what it says of its work."""
    loaded = load_manifest(manifest)
    match what:
        case "migrate":
            return str(Migration(dsn, loaded, Options(**options), listener).run().rows)
        case "cutover":
            grace = options.pop("grace", None)
            bounds = Bounds(**options)
            return str(cut_over(dsn, loaded, bounds=bounds, grace=grace, accept_quarantined=True, observer=listener))
        case "rollback":
            everything = bool(options.pop("everything", False))
            bounds = Bounds(**options)
            return str(roll_back(dsn, loaded, bounds=bounds, everything=everything, observer=listener))
        case "follow":
            idle = bool(options.pop("until_idle", True))
            return str(follow(dsn, loaded, until_idle=idle, observer=listener))
    raise AssertionError(f"no such command: {what}")


def _again(dsn: str, manifest: Path, what: str, options: dict[str, Any], listener: Listener) -> str:
    """A run lock that a killed process has not let go of yet is waited for."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return _do(dsn, manifest, what, dict(options), listener)
        except RunInProgress:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _child(dsn: str, manifest: Path, order: dict[str, Any], answer: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    kill: dict[str, Any] = order.get("kill") or {}
    listener = Listener(frozenset(kill.get("events", [kill.get("event")])), answer)
    trips = Trips(kill.get("trip"), sent=bool(kill.get("sent")))
    trips.install()
    code, said = 0, ""
    try:
        said = _again(dsn, manifest, order["do"], order.get("options", {}), listener)
    except TenantryError as error:
        code, said = error.exit_code, f"{error.code} {error.message}"
    except BaseException as error:  # noqa: BLE001 - the parent shows it
        code, said = 99, repr(error)
    text = json.dumps({"exit": code, "said": said[:2000], "trips": trips.count, "events": listener.events}).encode()
    while text:
        text = text[os.write(answer, text) :]
    os._exit(0)


def main() -> None:
    dsn, manifest = sys.argv[1], Path(sys.argv[2])
    for line in sys.stdin:
        order = json.loads(line)
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reads)
            _child(order.get("dsn", dsn), Path(order.get("manifest", manifest)), order, writes)
        os.close(writes)
        after = (order.get("kill") or {}).get("after")
        hung = False
        if after is not None and not select.select([reads], [], [], float(after))[0]:
            os.kill(pid, signal.SIGKILL)
        elif not select.select([reads], [], [], float(order.get("limit", LIMIT)))[0]:
            os.kill(pid, signal.SIGKILL)
            hung = True
        said = b""
        while piece := os.read(reads, 65536):
            said += piece
        os.close(reads)
        _, status = os.waitpid(pid, 0)
        if hung:
            answer = {"exit": 98, "said": "it did not come to its end in time", "trips": 0, "events": []}
        else:
            answer = json.loads(said or b"{}")
            if os.WIFSIGNALED(status):
                answer = {"signal": os.WTERMSIG(status), "at": answer.get("at")}
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is the answer


# -- for whoever gives the orders ------------------------------------------------------------------------------------------


class LiveDriver:
    """The process in which the tool runs, and is killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, do: str, *, kill: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        self.begin(do, kill=kill, **more)
        return self.end()

    def begin(self, do: str, *, kill: dict[str, Any] | None = None, **more: Any) -> None:
        """Give the order, and do not wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "kill": kill, **more}) + "\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the driver's process has died; see what it said on stderr")
        return json.loads(line)  # type: ignore[no-any-return]


@contextmanager
def live_driver(dsn: str, manifest: Path, environment: dict[str, str]) -> Iterator[LiveDriver]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.live_driver", dsn, str(manifest)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        try:
            yield LiveDriver(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    main()
