"""Rows that an application has written, and that are not where applications are served: refused by the other side's keys or
checks, as when both sides gave out one number. Each is kept, and has to be mended by somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenantry.journal.journal import Connection
from tenantry.postgres import load_blocks

SHOWN = 20
"""Rows that are named; of more there is the number."""


@dataclass(frozen=True, slots=True)
class Missing:
    """One such row.

    Attributes:
        lacking: the schema that does not have it.
        table, key: the row, in the other schema: in the source by its key, in the target by its legacy_id.
    """

    lacking: str
    table: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.table} {self.key} is not in {self.lacking}: {self.reason}"


def missing_rows(connection: Connection) -> tuple[int, Sequence[Missing]]:
    """How many there are, and the first of them."""
    blocks = load_blocks("tenantry.migrate.verify", "missing")
    if connection.execute(blocks["known"]).fetchone() != (True,):
        return 0, ()
    rows = connection.execute(blocks["missing"], {"most": SHOWN}).fetchall()
    found = tuple(Missing(str(row[0]), str(row[1]), str(row[2]), str(row[3])) for row in rows)
    return (int(str(rows[0][4])) if rows else 0), found


__all__ = ["SHOWN", "Missing", "missing_rows"]
