"""What the process that works on a run takes of its machine: by its number, where it runs on this one."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

_SKEW = timedelta(minutes=1)
"""The server's clock may be another machine's."""

Place = Literal["here", "on another host", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class Process:
    """The process of a run, as the journal names it.

    Attributes:
        place: 'gone' is no process of this number here any more, or one that began later than the run's connection;
            'unknown' where this system does not say.
        cpu_percent: of one core, since the look before, or else since it began.
        memory_bytes: what it holds in memory.
        cpu_seconds: since it began.
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
    """What is known about the process that `tenantry.run.process` names.

    Args:
        connected_at: when its connection to the server was made: a process that began later has only its number.
        before: the look before, `seconds` ago.
    """
    pid, user, host = said.get("pid"), str(said.get("user", "?")), str(said.get("host", "?"))
    if not isinstance(pid, int):
        return Process(None, user, host, "unknown")
    if host != socket.gethostname():
        return Process(pid, user, host, "on another host")
    if not (proc / "uptime").exists():
        return Process(pid, user, host, "unknown")
    try:
        # The name stands in parentheses and may hold anything.
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
