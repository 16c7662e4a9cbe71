"""Names, SQL and plain values in a manifest."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class FirstHop:
    """The first step of a path to the tenant.

    Attributes:
        column: a column of the row.
        table: the target table that it leads to; empty if a foreign key says so.
        naming: in a path against the direction of a reference, the column of the table's source that names the row.
        onward: the rest of the path, from the row that was found; empty at the end.
    """

    column: str
    table: str = ""
    naming: str = ""
    onward: str = ""


_WAY = re.compile(
    r"(?P<column>(?:(?!<-|->).)+?)\s*"
    r"(?:<-\s*(?P<from>(?:(?!<-|->)[^.])+?)\s*\.\s*(?P<naming>(?:(?!<-|->).)+)"
    r"|->\s*(?P<table>(?:(?!<-|->)[^.])+?)\s*(?:\.\s*(?P<onward>.+))?)?",
    re.DOTALL,
)


def first_hop(way: str) -> FirstHop:
    """Split a path to the tenant after its first step.

    Raises:
        ValueError: it is no path.
    """
    found = _WAY.fullmatch(way.strip())
    if found is None:
        raise ValueError(
            'must be "column", "column -> target table", "column <- target table.source column", or, through a table without'
            ' a tenant, "column -> target table.source column" and so on'
        )
    return FirstHop(
        found["column"], found["from"] or found["table"] or "", found["naming"] or "", found["onward"] or ""
    )


def _is_way(value: str) -> str:
    rest = value
    while rest:
        rest = first_hop(rest).onward
    return value


def table_or_none(value: object) -> object:
    if value is not False and not (isinstance(value, str) and value):
        raise ValueError("must be a target table, or false if the column is not a reference")
    return value


Scalar = Annotated[str | int | float | bool, BeforeValidator(_scalar)]
Name = Annotated[str, Field(min_length=1)]
Sql = Annotated[str, Field(min_length=1)]
"""A SQL expression; docs/reference/manifest.md defines the rows it may refer to."""
Way = Annotated[str, AfterValidator(_is_way)]
"""A column, "column -> target table" if no foreign key names the table, or "column <- target table.source column" if rows of that
table name this one. "column -> target table.<path>" leads on from a row that has no tenant itself."""

_STEP = r"(?:(?:\*\*\.)?(?:[^\W\d]\w*|\*))(?:\[\*\])*"
PATH = re.compile(rf"\$|(?:(?:\[\*\])+|{_STEP})(?:\.{_STEP})*")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def listed(names: Sequence[str]) -> str:
    """Return names as part of a sentence: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


class ManifestRecord(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


__all__ = [
    "FUNCTION",
    "PATH",
    "UUID",
    "FirstHop",
    "ManifestRecord",
    "Name",
    "Scalar",
    "Sql",
    "Way",
    "first_hop",
    "listed",
    "table_or_none",
]
