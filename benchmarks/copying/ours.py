"""Tenantry's run, in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.copying.ground import MANIFEST
from tenantry.manifest import load_manifest
from tenantry.migrate.run.engine import Migration, Options
from tenantry.migrate.session.observer import Silent
from tenantry.plan import Phase

_LAUNCHER = Path(__file__).resolve().parents[1] / "copy.py"


@dataclass(frozen=True)
class Run:
    """Seconds by phase, and the most memory that the process ever had, in MB; once when copy ended, once at the end."""

    phases: dict[str, float]
    copy_memory: float
    memory: float

    @property
    def copy(self) -> float:
        return self.phases["copy"]


def run(dsn: str, workers: int) -> Run:
    """The whole migration of the database at `dsn`."""
    command = [sys.executable, str(_LAUNCHER), "--tenantry", dsn, "--workers", str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Run(**json.loads(done.stdout))


def child(dsn: str, workers: int) -> None:
    """What runs in the other process: migrate, and print what a Run is made of."""
    watch = _Watch()
    outcome = Migration(dsn, load_manifest(MANIFEST), Options(workers=workers), watch).run()
    said = {
        "phases": {timing.phase: timing.seconds for timing in outcome.timings},
        "copy_memory": watch.copy_memory,
        "memory": peak_memory(),
    }
    print(json.dumps(said))


def peak_memory() -> float:
    """The most memory that this process had resident, in MB.

    Not ru_maxrss where there is /proc: it begins with what the parent had when it started this process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


class _Watch(Silent):
    copy_memory = 0.0

    def phase(self, phase: Phase, *, rows: int, steps: int) -> None:
        del rows, steps
        if phase == "verify":
            self.copy_memory = peak_memory()
