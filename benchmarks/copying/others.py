"""What Tenantry is compared with, besides the hand-written script: a plain copy, and a loop as an ORM would run it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from benchmarks.copying.ground import Connection
from tenantry.derivation.ids import derive_id

_COMMIT_EVERY = 100
_PLAIN = re.compile(r"-?\d+(\.\d+)?")
_DRESSED = re.compile(
    r"\s*(-?\s*\$?\s*(\d{1,3}(,\d{3})*|\d+)(\.\d+)?|\(\s*\$?(\d{1,3}(,\d{3})*|\d+)(\.\d+)?\))\s*%?\s*"
)
_UNDRESS = str.maketrans("", "", "$,%() ")


def plain_copy(dsn: str) -> float:
    """Seconds for the largest table as it is, with its primary key: less than this no migration can take."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set maintenance_work_mem = '256MB'")
        begun = time.monotonic()
        connection.execute("create table public.plain_copy as select * from public.metric_values")
        connection.execute("alter table public.plain_copy add primary key (id)")
        return time.monotonic() - begun


def row_by_row(dsn: str, sample: int, *, cached: bool) -> float:
    """Seconds a row of metric_values: read, convert, look its parents up, insert; a commit every hundred rows.

    Args:
        dsn: a database in which everything has been copied; its metric values are removed first.
        cached: whether parents are kept in memory, as in a session's identity map, or asked for each time.
    """
    with (
        psycopg.connect(dsn) as source,
        psycopg.connect(dsn) as target,
        source.cursor(name="rows") as rows,
    ):
        target.execute("truncate clinic.metric_values")
        # In favour of the loop: it states all columns, and nothing else of its own is taken off.
        target.execute("alter table clinic.metric_values disable trigger user")
        target.commit()
        parents = _Parents(target, cached=cached)
        rows.itersize = 1000
        begun = time.monotonic()
        rows.execute("select * from public.metric_values order by id limit %s", [sample])
        names = [column.name for column in rows.description or ()]
        for number, row in enumerate(rows, start=1):
            made = _convert(dict(zip(names, row, strict=True)), parents)
            if made is not None:
                target.execute(_INSERT, made)
            if number % _COMMIT_EVERY == 0:
                target.commit()
        target.commit()
        return (time.monotonic() - begun) / sample


_INSERT = """insert into clinic.metric_values (clinic_id, id, legacy_id, metric_definition_id, provider_id, connection_id, date,
    value, source_type, source_sheet, external_id, created_at, updated_at)
values (%(clinic_id)s, %(id)s, %(legacy_id)s, %(metric_definition_id)s, %(provider_id)s, %(connection_id)s, %(date)s, %(value)s,
    %(source_type)s, %(source_sheet)s, %(external_id)s, %(created_at)s, %(updated_at)s)
on conflict do nothing returning id"""

_CLINIC = "select id, id, time_zone from clinic.clinics where legacy_id = %s"
_PROVIDER = "select id, clinic_id, null from clinic.providers where legacy_id = %s"
_SOURCE = "select id, clinic_id, null from clinic.spreadsheet_connections where legacy_id = %s"
_METRIC = "select id, null, null from clinic.metric_definitions where legacy_id = %s"
_ZONE = "select id, id, time_zone from clinic.clinics where id = %s"

Parent = tuple[UUID | None, UUID | None, str | None]


class _Parents:
    def __init__(self, connection: Connection, *, cached: bool) -> None:
        self._connection = connection
        self._cached = cached
        self._known: dict[tuple[str, object], Parent] = {}

    def __call__(self, query: str, key: object) -> Parent:
        if key is None:
            return (None, None, None)
        found = self._known.get((query, key)) if self._cached else None
        if found is None:
            row: Any = self._connection.execute(query.encode(), [key]).fetchone()
            found = row if row is not None else (None, None, None)
            self._known[query, key] = found
        return found


def _convert(row: dict[str, Any], parents: Callable[[str, object], Parent]) -> dict[str, object] | None:
    """The target row, or None for one that cannot be carried over."""
    clinic, _, _ = parents(_CLINIC, row["clinic_id"])
    provider, of_provider, _ = parents(_PROVIDER, row["provider_id"])
    source, of_source, _ = parents(_SOURCE, row["data_source_id"])
    metric, _, _ = parents(_METRIC, row["metric_definition_id"])
    tenants = {tenant for tenant in (clinic, of_provider, of_source) if tenant is not None}
    if len(tenants) != 1:
        return None
    (tenant,) = tenants
    _, _, zone = parents(_ZONE, tenant)
    text = row["value"].strip()
    value = None if text in ("", "N/A") else _amount(text)
    if value is None and text not in ("", "N/A"):
        return None
    return {
        "clinic_id": tenant,
        "id": derive_id("clinic", "metric_values", row["id"]),
        "legacy_id": row["id"],
        "metric_definition_id": metric,
        "provider_id": provider,
        "connection_id": source,
        "date": _local_day(row["date"], zone or "UTC"),
        "value": value,
        "source_type": row["source_type"],
        "source_sheet": row["source_sheet"],
        "external_id": row["external_id"],
        "created_at": row["created_at"].replace(tzinfo=UTC),
        "updated_at": row["updated_at"].replace(tzinfo=UTC),
    }


def _amount(text: str) -> Decimal | None:
    if _PLAIN.fullmatch(text):
        return Decimal(text)
    if _DRESSED.fullmatch(text):
        return Decimal(text.translate(_UNDRESS)) * (-1 if "(" in text else 1) / (100 if "%" in text else 1)
    return None


def _local_day(at: datetime, zone: str) -> date:
    if (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0):
        return at.date()
    return at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()
