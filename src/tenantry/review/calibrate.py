"""Measures how fast a server copies, indexes, validates and reads, in about a second, and scales the costs of estimates by it.

The measurement fills temporary tables in a transaction that is rolled back, so it leaves nothing behind. Temporary tables write
no WAL, so the absolute speed is not that of a copy: the ratio to the same measurement on the server of `benchmarks/copy.py`
(`REFERENCE`) scales the constants that were measured there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from tenantry.derivation.ids import id_sql
from tenantry.plan.estimates import DEFAULT_COSTS, RowCosts
from tenantry.postgres import load_blocks

Connection = psycopg.Connection[tuple[Any, ...]]

_FIRST = 2_000
_MOST = 50_000
_SECONDS = 0.9
"""Aim of the second measurement; together with the first one and the tables, less than two seconds."""
_TIMEOUT = "2s"
_LIKELY = (0.2, 50.0)
"""Factors beyond these say more about the moment than about the server."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds for each row."""

    rows: int
    copy: float
    index: float
    validate: float
    scan: float
    row_bytes: int = 0

    def __str__(self) -> str:
        return (
            f"{1 / self.copy:,.0f} rows/s copied, {1 / self.index:,.0f} rows/s indexed, {1 / self.validate:,.0f} rows/s"
            f" validated ({self.rows:,} rows in temporary tables)"
        )


REFERENCE = Measured(50_000, 7.0e-6, 1.4e-6, 0.25e-6, 0.3e-6)
"""The same on the server on which benchmarks/copy.py measured the constants."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The costs for the estimates of a plan.

    Attributes:
        measured: None if nothing was measured; then `why` says why, and the costs are the stated constants.
    """

    costs: RowCosts = DEFAULT_COSTS
    measured: Measured | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.measured is None:
            return f"not calibrated ({self.why}): stated constants of one ordinary core"
        return f"calibrated on this server: {self.measured}"

    def to_json(self) -> dict[str, object]:
        return {
            "calibrated": self.measured is not None,
            "why_not": self.why,
            "measured": None if self.measured is None else asdict(self.measured),
            "seconds_per_row": asdict(self.costs),
        }


def calibrate(connection: Connection) -> Calibration:
    """Measure the server, unless it is a standby or the login may not create temporary tables. Leaves nothing behind."""
    blocks = load_blocks("tenantry.review", "calibrate")
    row = connection.execute(blocks["may"]).fetchone()
    assert row is not None
    standby, allowed = row
    if standby:
        return Calibration(why="this is a standby")
    if not allowed:
        return Calibration(why="the login may not create temporary tables")
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("select set_config('statement_timeout', %s, true)", [_TIMEOUT])
            connection.execute("set local client_min_messages = error")
            first = _measure(connection, blocks, _FIRST)
            each = first.copy + first.index + first.validate + first.scan
            rows = max(_FIRST, min(_MOST, int(_SECONDS / (2 * each))))
            measured = _measure(connection, blocks, rows)
    except psycopg.Error as error:
        return Calibration(why=error.diag.message_primary or type(error).__name__)
    return Calibration(scaled(measured), measured)


def scaled(measured: Measured) -> RowCosts:
    """Scale the constants by the ratio of a measurement to the reference."""

    def factor(name: str) -> float:
        low, high = _LIKELY
        ratio: float = getattr(measured, name) / getattr(REFERENCE, name)
        return min(high, max(low, ratio))

    return DEFAULT_COSTS.scaled(
        copy=factor("copy"), index=factor("index"), validate=factor("validate"), scan=factor("scan")
    )


def _measure(connection: Connection, blocks: dict[str, str], rows: int) -> Measured:
    text = blocks["measure"].format(rows=rows, id=id_sql("calibration", "rows", "s.id").replace("%", "%%"))
    connection.execute(text.encode())
    row = connection.execute(blocks["result"]).fetchone()
    assert row is not None
    took, size = row
    copy, index, validate, scan = (max(1e-9, float(seconds) / rows) for seconds in took)
    return Measured(rows, copy, index, validate, scan, int(size) // rows)
