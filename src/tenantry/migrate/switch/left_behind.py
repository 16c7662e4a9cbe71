"""Rows that a cut-over would leave behind: they went into quarantine after the run was declared ready."""

from __future__ import annotations

from tenantry.errors import RowsLeftBehind
from tenantry.journal.journal import Connection, Journal


def newest(connection: Connection, journal: Journal) -> int:
    """The newest entry of the quarantine; later entries are new."""
    row = journal.say(connection, "newest_quarantined").fetchone()
    return 0 if row is None else int(row[0])


def refuse_left_behind(connection: Connection, journal: Journal, *, after: int = 0) -> None:
    """Check that no row has gone into quarantine since the run was declared ready, or since earlier ones were accepted.

    Args:
        after: only entries that are newer than this one.

    Raises:
        RowsLeftBehind: naming tables, reasons and keys.
    """
    found = journal.say(connection, "left_behind", after=after).fetchall()
    if not found:
        return
    total = sum(int(count) for *_, count, _ in found)
    lines = [
        f"{mapping}: {count} × {reason}{f' ({column})' if column else ''}, as {', '.join(keys)}"
        for mapping, reason, column, count, keys in found[:10]
    ]
    listed = "\n  ".join(lines)
    raise RowsLeftBehind(
        f"{total} rows went into quarantine since the run was declared ready. A cut-over would leave them behind."
        f" Nothing was switched.\n  {listed}",
        hint="List them (`tenantry quarantine list`) and repair them in the source or with `tenantry quarantine retry`. Then run the"
        " same command again. To leave them behind, run `tenantry cutover --accept-quarantined`.",
        detail={
            "rows": [
                {"mapping": mapping, "reason": reason, "column": column, "count": count, "keys": list(keys)}
                for mapping, reason, column, count, keys in found
            ]
        },
    )


__all__ = ["newest", "refuse_left_behind"]
