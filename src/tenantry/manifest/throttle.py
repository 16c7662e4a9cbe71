"""`[throttle]`: how much of the server a run may take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import (
    field_validator,
)

from tenantry.manifest.scalars import ManifestRecord


class Throttle(ManifestRecord):
    """When a run backs off. Times and sizes are texts with a unit; "off" disables a limit.

    docs/how-to/throttle.md describes what each limit slows down. `tenantry throttle set` overrides them during a run.
    """

    sleep: str = "off"
    chunk_target: str = "500ms"
    max_lock_wait: str = "1s"
    max_replication_lag: str = "10s"
    max_slot_lag: str = "8GB"
    max_transaction_age: str = "5min"
    max_wal_per_second: str = "64MB"
    max_wal_directory: str = "off"
    max_database_growth: str = "off"
    min_free_disk: str = "1GB"
    yield_to_autovacuum: bool = True

    @field_validator("sleep", mode="before")
    @classmethod
    def _is_rest(cls, value: object) -> str:
        none = isinstance(value, str) and re.fullmatch(r"\s*0+(\.0+)?\s*(ms|s|min|h|d)\s*", value)
        return "off" if none else cls._is_time(value)

    @field_validator("max_lock_wait", "max_replication_lag", "max_transaction_age", mode="before")
    @classmethod
    def _is_time(cls, value: object) -> str:
        return cls._amount(value, cls._TIMES, "time", '"500ms", "10s", "5min", "2h" or "off"')

    @field_validator("chunk_target", mode="before")
    @classmethod
    def _is_time_of_a_chunk(cls, value: object) -> str:
        text = cls._amount(value, cls._TIMES, "time", '"500ms", "2s" or "1min"')
        if not 0.01 <= cls.amount(text) <= 3600:
            raise ValueError("must be between 10ms and 1h")
        return text

    @field_validator(
        "max_slot_lag",
        "max_wal_per_second",
        "max_wal_directory",
        "max_database_growth",
        "min_free_disk",
        mode="before",
    )
    @classmethod
    def _is_size(cls, value: object) -> str:
        return cls._amount(value, cls._SIZES, "size", '"512kB", "64MB", "8GB", "1TB" or "off"')

    @field_validator("yield_to_autovacuum", mode="before")
    @classmethod
    def _is_said(cls, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value

    _TIMES: ClassVar[Mapping[str, float]] = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
    # In PostgreSQL's units and spelling.
    _SIZES: ClassVar[Mapping[str, float]] = {"kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}

    @classmethod
    def _amount(cls, value: object, units: Mapping[str, float], what: str, examples: str) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be a {what} with its unit: {examples}")
        text = "".join(value.split())
        if text == "off":
            return text
        # The case of a unit does not matter as long as it is unambiguous: mb is MB.
        found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([A-Za-z]+)", text, re.ASCII)
        unit = next((unit for unit in units if found and unit.lower() == found[2].lower()), None)
        if found is None or unit is None:
            raise ValueError(f"{value!r} is not a {what}; write {examples}")
        if float(found[1]) == 0:
            raise ValueError(
                f'a limit of 0 would stop the run for ever; write "off" to switch the limit off, or {examples}'
            )
        return found[1] + unit

    @classmethod
    def amount(cls, text: str) -> float:
        """A checked text in seconds or bytes; "off" is 0."""
        number = text.rstrip("abcdefghijklmnopqrstuvwxyzBGKMT")
        return float(number) * {**cls._TIMES, **cls._SIZES}[text[len(number) :]] if number else 0.0


__all__ = ["Throttle"]
