"""Shortens lists for the terminal: one line for many tables with the same statement; the command's JSON has every entry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tenantry.migrate.verify.not_compared import NotCompared
from tenantry.plan import Step

_MOST = 5
"""Maximum number of names in a line."""


def names(found: Sequence[str], one: str = "table") -> str:
    """`goals, notes and 3 more tables`: the first few, and how many more."""
    shown = list(dict.fromkeys(found))
    more = len(shown) - _MOST
    if more <= 1:  # naming the last one takes no more room than counting it
        return ", ".join(shown[:-1]) + f" and {shown[-1]}" if len(shown) > 1 else shown[0]
    return f"{', '.join(shown[:_MOST])} and {more:,} more {one}s"


def lock_lines(steps: Iterable[Step]) -> list[str]:
    """Return the locks that others can notice, in the plan's order; locks that differ in the table's name only share one
    line."""
    tables: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        if step.lock.startswith("none"):
            continue
        before, behind = step.lock, ""
        if step.table and (place := re.search(rf"(?<= on ){re.escape(step.table)}(?!\w)", step.lock)):
            before, behind = step.lock[: place.start()], step.lock[place.end() :]
        tables.setdefault((before, behind), []).extend([step.table] if step.table and before != step.lock else [])
    return [before + (names(found) + behind if found else "") for (before, behind), found in tables.items()]


def not_compared_lines(found: Iterable[NotCompared]) -> list[str]:
    """Return what was omitted, one line for each reason."""
    reasons: dict[tuple[str, bool], list[NotCompared]] = {}
    for each in found:
        reasons.setdefault((each.why, each.rows is None), []).append(each)
    lines = []
    for (why, uncounted), alike in reasons.items():
        if len(alike) == 1:
            lines.append(str(alike[0]))
            continue
        columns = any(each.column for each in alike)
        places = [
            each.table + (f".{each.column}" if each.column else "") + ("" if uncounted else f" ({each.rows:,})")
            for each in alike
        ]
        said = names(places, "column" if columns else "table")
        rows = "" if uncounted else f"{sum(each.rows or 0 for each in alike):,} rows "
        lines.append(f"{rows}{why}: {said}")
    return lines


__all__ = ["lock_lines", "names", "not_compared_lines"]
