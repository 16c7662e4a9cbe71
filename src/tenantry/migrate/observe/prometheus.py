"""A run's metrics in the text format of Prometheus, as a file for node_exporter's textfile collector.

https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tenantry.errors import SettingsError
from tenantry.journal.journal import Connection
from tenantry.migrate.observe.status import read_status
from tenantry.migrate.observe.values import STOPPED, Event, Status
from tenantry.plan import PHASES

STATES = ("running", "ready", "cut over", "contracted", *STOPPED)
DIRECTIONS = ("forward", "both", "reverse")

Samples = list[tuple[dict[str, str], float | None]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples; samples without a value are left out."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: Samples


def write_metrics(connection: Connection, path: Path) -> None:
    """Read the run's status, and replace the file with its metrics.

    Raises:
        NoRun: there is no run.
        SettingsError: the file cannot be written.
    """
    replace_file(path, metrics_text(read_status(connection)))


def replace_file(path: Path, text: str) -> None:
    """Replace a file atomically: readers see the old text or the new one, never a part.

    Raises:
        SettingsError: the file cannot be written.
    """
    # In the same folder, since a rename does not cross file systems; not ending in .prom, which would be collected.
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Give a file in a folder that exists and that this user may write, such as the textfile collector's.",
        ) from None


def metrics_text(status: Status) -> str:
    """Return the metrics, each with help and type, grouped by name as the format requires."""
    lines = []
    for metric in metrics(status):
        samples = [(labels, value) for labels, value in metric.samples if value is not None]
        if not samples:
            continue
        lines += [f"# HELP {metric.name} {_help(metric.help)}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in samples:
            said = ",".join(f'{name}="{_label(text)}"' for name, text in {"run": str(status.run), **labels}.items())
            lines.append(f"{metric.name}{{{said}}} {_number(value)}")
    return "\n".join(lines) + "\n"


def metrics(status: Status) -> Iterator[Metric]:
    """Yield the metrics of a run, in base units: seconds, bytes."""

    def gauge(name: str, text: str, *samples: tuple[dict[str, str], float | None]) -> Metric:
        return Metric(f"tenantry_{name}", "gauge", text, list(samples))

    def counter(name: str, text: str, *samples: tuple[dict[str, str], float | None]) -> Metric:
        return Metric(f"tenantry_{name}_total", "counter", text, list(samples))

    yield gauge(
        "run_info",
        "The run: always 1, with its names as labels.",
        ({"name": status.name, "source": status.source_schema, "target": status.target_schema}, 1),
    )
    yield gauge(
        "run_state",
        "1 for the state that the run is in; died: it should run, but no process holds it.",
        *(({"state": each}, float(status.status == each)) for each in STATES),
    )
    yield gauge(
        "run_direction",
        "1 for the side that applications write: forward the source, reverse the target, both in a dual-write window.",
        *(({"direction": each}, float(status.direction == each)) for each in DIRECTIONS),
    )
    yield gauge(
        "run_phase",
        "1 for the phase that the run is in.",
        *(({"phase": str(each)}, float(status.phase == each)) for each in PHASES),
    )
    yield gauge("run_working", "1 while a process holds the run.", ({}, float(status.working)))
    yield gauge("run_ready", "1 when nothing is missing for the cut-over.", ({}, float(status.readiness.ready)))
    yield gauge(
        "run_held_back",
        "Reasons for which the run backs off now (tenantry throttle).",
        ({}, None if status.reasons is None else len(status.reasons)),
    )
    yield gauge("steps", "Steps of a phase.", *(({"phase": each.phase}, each.steps) for each in status.phases))
    yield gauge(
        "steps_done", "Steps of a phase that are done.", *(({"phase": each.phase}, each.done) for each in status.phases)
    )
    yield gauge(
        "phase_remaining_seconds",
        "Estimated time until the phase ends.",
        ({"phase": status.phase}, status.remaining_seconds),
    )
    yield counter("rows_copied", "Target rows written by the copy.", ({}, status.rows_copied))
    yield counter(
        "rows_replayed",
        "Rows replayed from the change queue by the process that holds the run, or held it last.",
        ({"direction": status.direction}, status.rows_replayed),
    )
    yield gauge(
        "lag_entries",
        "Pending entries of the change queue, by direction; counted up to 100000.",
        *(({"direction": log.direction}, log.entries) for log in status.logs),
    )
    yield gauge(
        "lag_seconds",
        "Age of the oldest pending entry of the change queue.",
        *(({"direction": log.direction}, log.seconds) for log in status.logs),
    )
    yield gauge(
        "log_bytes", "Size of a log on disk.", *(({"direction": log.direction}, log.bytes) for log in status.logs)
    )
    yield gauge("quarantined_rows", "Source rows in quarantine.", ({}, status.quarantined))
    yield gauge(
        "left_behind_rows",
        "Rows in quarantine that a cut-over would ask about: they were refused after the run became ready.",
        ({}, status.readiness.left_behind),
    )
    yield gauge("merged_rows", "Source rows that were merged into another row.", ({}, status.merged))
    yield gauge("conflicts", "Changes that one side refused, or that both made.", ({}, status.conflicts))
    yield gauge("kept_rows", "Rows and cells that exist in the target only.", ({}, status.kept))
    yield gauge("waiters", "Sessions that wait for a lock that Tenantry holds; 5 at most.", ({}, len(status.waiters)))
    yield gauge(
        "lock_wait_seconds",
        "The longest that a session has waited for a lock that Tenantry holds.",
        ({}, max((each.seconds for each in status.waiters), default=0.0)),
    )
    yield gauge(
        "writers_in_the_way",
        "Transactions older than a second that a cut-over or rollback would wait for; 5 at most.",
        ({}, len(status.standing)),
    )
    yield gauge("cut_over_stall_seconds", "Write pause of the last cut-over.", ({}, stall_seconds(status.cut_over)))
    yield gauge(
        "rollback_stall_seconds",
        "Write pause of the last switchback from a cut-over.",
        ({}, stall_seconds(status.rolled_back)),
    )
    yield counter("wal_bytes", "WAL that the server has written, by all its users.", ({}, status.server.wal_bytes))
    yield gauge("database_bytes", "Size of the database.", ({}, status.server.database_bytes))
    yield gauge(
        "free_disk_bytes", "Free disk of the server, where it can be known.", ({}, status.server.free_disk_bytes)
    )
    yield gauge("process_memory_bytes", "Memory of the run's process.", ({}, status.process.memory_bytes))
    yield counter("process_cpu_seconds", "CPU time of the run's process.", ({}, status.process.cpu_seconds))
    yield gauge("looked_at_seconds", "When this was read, in seconds since 1970.", ({}, status.at.timestamp()))


def stall_seconds(event: Event | None) -> float | None:
    """Return the write pause of a switchover, from its event."""
    if event is None or not isinstance(event.data.get("stall_ms"), int | float):
        return None
    return float(event.data["stall_ms"]) / 1000


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


__all__ = ["Metric", "metrics", "metrics_text", "replace_file", "stall_seconds", "write_metrics"]
