"""Names, SQL and plain values in a manifest."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("must be a text, a number, true or false")
    return value


def _one_or_two_names(value: str) -> str:
    if "<-" in value:
        column, _, there = (piece.strip() for piece in value.partition("<-"))
        table, _, naming = (piece.strip() for piece in there.partition("."))
        if not column or not table or not naming:
            raise ValueError('must be "column <- target table.source column"')
        return value
    column, arrow, table = (piece.strip() for piece in value.partition("->"))
    if not column or (arrow and not table) or "->" in table:
        raise ValueError('must be "column", "column -> target table" or "column <- target table.source column"')
    return value


def table_or_none(value: object) -> object:
    if value is not False and not (isinstance(value, str) and value):
        raise ValueError("must be a target table, or false if the column is not a reference")
    return value


Scalar = Annotated[str | int | float | bool, BeforeValidator(_scalar)]
Name = Annotated[str, Field(min_length=1)]
Sql = Annotated[str, Field(min_length=1)]
"""A SQL expression; docs/reference/manifest.md defines the rows it may refer to."""
Way = Annotated[str, AfterValidator(_one_or_two_names)]
"""A column, "column -> target table" if no foreign key names the table, or "column <- target table.source column" if rows of that
table name this one."""

_STEP = r"(?:(?:\*\*\.)?(?:[^\W\d]\w*|\*))(?:\[\*\])*"
PATH = re.compile(rf"\$|(?:(?:\[\*\])+|{_STEP})(?:\.{_STEP})*")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def listed(names: Sequence[str]) -> str:
    """Return names as part of a sentence: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


class ManifestRecord(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


__all__ = ["FUNCTION", "PATH", "UUID", "ManifestRecord", "Name", "Scalar", "Sql", "Way", "listed", "table_or_none"]
