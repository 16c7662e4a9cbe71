"""The ten tables as rows: their order, their columns, and the calendar of the sample's rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

Cell = str | int | bool | None
Row = tuple[Cell, ...]
"""One row in the order of COLUMNS; times as PostgreSQL reads them, JSON as text."""

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "clinics": ("id", "name", "location", "status", "created_at", "updated_at"),
    "users": ("id", "email", "name", "role", "last_login", "clinic_id", "created_at", "updated_at"),
    "providers": ("id", "name", "provider_type", "status", "clinic_id", "created_at", "updated_at"),
    "metric_definitions": (
        "id", "name", "description", "data_type", "calculation_formula", "category", "is_composite", "created_at",
        "updated_at",
    ),
    "data_sources": (
        "id", "name", "spreadsheet_id", "sheet_name", "last_synced_at", "sync_frequency", "connection_status",
        "app_script_id", "access_token", "refresh_token", "expiry_date", "clinic_id", "created_at", "updated_at",
    ),
    "column_mappings": (
        "id", "column_name", "transformation_rule", "data_source_id", "metric_definition_id", "created_at",
        "updated_at",
    ),
    "metric_values": (
        "id", "date", "value", "source_type", "source_sheet", "external_id", "metric_definition_id", "clinic_id",
        "provider_id", "data_source_id", "created_at", "updated_at",
    ),
    "goals": (
        "id", "time_period", "start_date", "end_date", "target_value", "metric_definition_id", "clinic_id",
        "provider_id", "created_at", "updated_at",
    ),
    "dashboards": ("id", "name", "is_default", "layout_config", "user_id", "created_at", "updated_at"),
    "widgets": (
        "id", "widget_type", "chart_type", "position_x", "position_y", "width", "height", "config", "dashboard_id",
        "metric_definition_id", "created_at", "updated_at",
    ),
}  # fmt: skip
"""Every table with its columns, parents before children."""

LAST_DAY: Final = date(2025, 6, 30)
"""The last day with metric values: the sample's "today"."""

OPENED: Final = datetime(2022, 11, 7, 15)
"""When the application was launched (UTC): clinics and metric definitions date from here."""

HISTORY_IMPORTED: Final = datetime(2022, 12, 12)
"""When the values of earlier years were imported (UTC)."""

LAUNCHED: Final = date(2023, 1, 9)
"""From this day on, values are stored on the following day."""


def text_of(at: datetime) -> str:
    """Format a time in UTC as timestamp(3) prints it, always with milliseconds."""
    return at.isoformat(" ", "milliseconds")


def some_time(rng: Random, after: datetime, days: int) -> datetime:
    """Return a time within so many days after another, with milliseconds."""
    return after + timedelta(milliseconds=rng.randrange(1000, days * 86_400_000))
