"""Source columns of which one row of the target makes one of several columns: an id that names an organization or a person.

Of such columns one holds a value, and the others are null without saying that the source is. Back in the source the one that is
not null decides. Where two hold different values the source has room for one: the first keeps it, and the other is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tenantry.manifest.mapping import Column
from tenantry.manifest.model import ColumnRule
from tenantry.postgres import literal

if TYPE_CHECKING:
    from tenantry.manifest.comparison import Comparison, Slot


def may_be_null(column: Column, rule: ColumnRule | None) -> bool:
    """Whether a target column can be null though the source column that it is made from is not."""
    if column.kind == "reference":
        return column.orphan == "null"
    return rule is not None and column.nullable and (rule.up is not None or rule.invalid == "carry")


def considered(table: Comparison, slot: Slot) -> list[tuple[int, int]]:
    """The ways back of a slot that are looked at, the best first: behind one whose null says that the source is null, no other of
    the same row is. Empty where there is but one way, or none of that kind."""
    final: set[int] = set()
    found = []
    for i, n in slot.feeds:
        if i in final:
            continue
        found.append((i, n))
        if not table.parts[i].feeds[n].partial:
            final.add(i)
    return found if len(found) > 1 and any(table.parts[i].feeds[n].partial for i, n in found) else []


def several(ways: list[tuple[int, int]]) -> str:
    """SQL: the columns hold values that mean different things to the source."""
    values = ", ".join(f"((case when h{i} then f{i}_{n} end)::text)" for i, n in ways)
    return f"(select count(distinct tenantry_z.v) > 1 from (values {values}) tenantry_z (v))"


def chosen(table: Comparison, ways: list[tuple[int, int]]) -> tuple[str, str, str]:
    """Value, whether it is meant, and whether something differs that it would mend."""
    values, permits, differs = [], [], []
    for i, n in ways:
        feed = table.parts[i].feeds[n]
        there = f"h{i} and f{i}_{n} is not null" if feed.partial else f"h{i}"
        values.append(f"when {there} then f{i}_{n}")
        permits.append(f"when {there} then o{i}_{n}")
        differs.append(f"when {there} then {table.flag(i, feed.asked)}")
    rows = " or ".join(dict.fromkeys(f"h{i}" for i, _ in ways))
    nothing = " and ".join(f"(not h{i} or o{i}_{n})" for i, n in ways)
    any_of = " or ".join(f"(h{i} and {table.flag(i, table.parts[i].feeds[n].asked)})" for i, n in ways)
    return (
        f"(case {' '.join(values)} end)",
        f"(case {' '.join(permits)} else ({rows}) and {nothing} end)",
        f"case when {several(ways)} then case {' '.join(differs)} else false end else {any_of} end",
    )


def kept(table: Comparison, position: int) -> Iterator[str]:
    """Queries of (table, legacy id, column, reason): values for which the source has no room beside another one."""
    part = table.parts[position]
    for j, slot in enumerate(table.slots):
        ways = considered(table, slot)
        columns = [part.feeds[n].asked for i, n in ways if i == position]
        for column in columns:
            others = " and ".join(
                table.parts[i].feeds[n].asked
                for i, n in ways
                if (i, table.parts[i].feeds[n].asked) != (position, column)
            )
            reason = f"{table.name}.{slot.column.name} holds one value, and has that of {others}"
            yield (
                f"select {literal(part.target)}, w.legacy{position}, {literal(column)},"
                f" case when w.two{j} then {literal(reason)} else {literal(part.why[column])} end from {table.work} w"
                f" where w.has_s and w.h{position} and w.cov{position} and {literal(column)} = any (w.d{position})"
            )


__all__ = ["chosen", "considered", "kept", "may_be_null", "several"]
