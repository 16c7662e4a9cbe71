"""Rows that an application has written and that the active side lacks: the other side's keys or checks refused them,
e.g. because both sides used the same number. Each is kept, and people have to repair it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenantry.journal.journal import Connection
from tenantry.postgres import load_blocks

SHOWN = 20
"""Number of rows that are named; beyond that only the count is given."""


@dataclass(frozen=True, slots=True)
class Missing:
    """One such row.

    Attributes:
        lacking: the schema without the row.
        table, key: the row in the other schema: its key in the source, its legacy_id in the target.
    """

    lacking: str
    table: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.table} {self.key} is not in {self.lacking}: {self.reason}"


def missing_rows(connection: Connection) -> tuple[int, Sequence[Missing]]:
    """Return the number of such rows, and the first of them."""
    blocks = load_blocks("tenantry.migrate.verify", "missing")
    if connection.execute(blocks["known"]).fetchone() != (True,):
        return 0, ()
    rows = connection.execute(blocks["missing"], {"most": SHOWN}).fetchall()
    found = tuple(Missing(str(row[0]), str(row[1]), str(row[2]), str(row[3])) for row in rows)
    return (int(str(rows[0][4])) if rows else 0), found


__all__ = ["SHOWN", "Missing", "missing_rows"]
