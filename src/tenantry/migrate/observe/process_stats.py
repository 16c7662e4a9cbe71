"""CPU and memory of the process that works on a run, by its pid, if it runs on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

_SKEW = timedelta(minutes=1)
"""Tolerance in seconds: the server's clock may be another machine's."""

Place = Literal["here", "on another host", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class Process:
    """The process of a run, as the journal names it.

    Attributes:
        place: 'gone' means that this machine has no process of this pid, or one that began after the run's connection;
            'unknown' if the system cannot tell.
        cpu_percent: of one core, since the previous reading, or otherwise since its start.
        memory_bytes: its resident memory.
        cpu_seconds: since its start.
    """

    pid: int | None
    user: str
    host: str
    place: Place
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    cpu_seconds: float | None = None


def look_at(
    said: Mapping[str, Any],
    *,
    connected_at: datetime | None = None,
    before: Process | None = None,
    seconds: float = 0.0,
    proc: Path = Path("/proc"),
) -> Process:
    """Return what is known about the process that `tenantry.run.process` names.

    Args:
        connected_at: when its connection to the server was made: a process that began later has reused the pid.
        before: the previous reading, `seconds` ago.
    """
    pid, user, host = said.get("pid"), str(said.get("user", "?")), str(said.get("host", "?"))
    if not isinstance(pid, int):
        return Process(None, user, host, "unknown")
    if host != socket.gethostname():
        return Process(pid, user, host, "on another host")
    if not (proc / "uptime").exists():
        return Process(pid, user, host, "unknown")
    try:
        # The name is in parentheses and may contain any character.
        fields = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        pages = int((proc / str(pid) / "statm").read_text(encoding="utf-8").split()[1])
        uptime = float((proc / "uptime").read_text(encoding="utf-8").split()[0])
    except (OSError, IndexError, ValueError):
        return Process(pid, user, host, "gone")
    ticks = os.sysconf("SC_CLK_TCK")
    used, lived = (int(fields[11]) + int(fields[12])) / ticks, max(uptime - int(fields[19]) / ticks, 0.0)
    if connected_at is not None and datetime.now(UTC) - timedelta(seconds=lived) > connected_at + _SKEW:
        return Process(pid, user, host, "gone")
    percent = 100 * used / lived if lived > 0 else None
    if before is not None and before.pid == pid and before.cpu_seconds is not None and seconds > 0:
        percent = max(0.0, 100 * (used - before.cpu_seconds) / seconds)
    return Process(pid, user, host, "here", percent, pages * os.sysconf("SC_PAGE_SIZE"), used)
