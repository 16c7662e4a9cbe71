"""Prints the throttle's settings, and what a run currently backs off from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from tenantry.migrate.throttle.limits import Reason, ServerReading, in_bytes, in_time
from tenantry.report.foreign_text import escape
from tenantry.report.terminal.table_layout import new_table


def settings(console: Console, rows: Sequence[Mapping[str, Any]], readings: Mapping[str, ServerReading]) -> None:
    """Print each setting with its value, the current reading, and the source of the value.

    Args:
        rows: name, value, from, at, manifest and unknown of each setting.
    """
    columns = ("setting", "value", "now", "from", "cannot be measured")
    table = new_table(*columns, right=("value", "now"), wrapped=("from", "cannot be measured"))
    for row in rows:
        source = (
            f"set at {row['at'][:19]}, manifest: {written(row['manifest'])}" if row["from"] == "set" else row["from"]
        )
        unknown = "" if row["value"] in ("off", False) else row["unknown"]
        table.add_row(row["name"], written(row["value"]), _measured(readings.get(row["name"])), source, unknown)
    console.print(table)


def reasons(console: Console, found: Sequence[Reason]) -> None:
    """Print what a run currently backs off from, and how."""
    for reason in found:
        copy, replay = reason.effect("copy", next(iter(reason.tables), None)), reason.effect("replay")
        console.print(f"[bold red]{reason.code}[/] {escape(reason.text)}. [dim]Copy {copy}, replay {replay}.[/]")
    if not found:
        console.print("[green]Nothing throttles a run.[/]")


def written(value: object) -> str:
    """Format a value as it is typed."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _measured(reading: ServerReading | None) -> str:
    if reading is None or reading.value is None:
        return ""
    if reading.setting in ("max_lock_wait", "max_replication_lag", "max_transaction_age"):
        return in_time(reading.value)
    if reading.setting == "yield_to_autovacuum":
        return f"{reading.value:.0f} at work"
    return in_bytes(reading.value)


__all__ = ["reasons", "settings", "written"]
