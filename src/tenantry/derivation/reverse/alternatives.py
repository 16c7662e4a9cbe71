"""Source columns of which one row of the target makes one of several columns: an id that names an organization or a person.

Of such columns one holds a value, and the others are null without saying that the source is. Back in the source the one that is
not null decides. Where two hold different values the source has room for one: the first keeps it, and the other is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tenantry.manifest.model import ColumnRule
from tenantry.mapping.project import MappedColumn
from tenantry.postgres import literal

if TYPE_CHECKING:
    from tenantry.derivation.reverse.comparison import Comparison, Slot


def may_be_null(column: MappedColumn, rule: ColumnRule | None) -> bool:
    """Whether a target column can be null though the source column that it is made from is not."""
    if column.kind == "reference":
        return column.orphan == "null"
    return rule is not None and column.nullable and (rule.up is not None or rule.invalid == "carry")


Ways = list[tuple[int, list[int]]]
"""For each part, the best first, its ways back of a slot that are looked at, the best first."""


def considered(table: Comparison, slot: Slot) -> Ways:
    """The ways back of a slot: behind one whose null says that the source is null, no other of the same row is looked at. Empty
    where no part has several."""
    found: dict[int, list[int]] = {}
    for i, n in slot.feeds:
        ways = found.setdefault(i, [])
        if not ways or table.parts[i].feeds[ways[-1]].partial:
            ways.append(n)
    return list(found.items()) if any(len(ways) > 1 for ways in found.values()) else []


def several(ways: Ways) -> str:
    """SQL: the columns hold values that mean different things to the source."""
    whens = " ".join(f"when h{i} then {_several(i, places)}" for i, places in ways)
    return f"case {whens} else false end"


def _several(i: int, places: list[int]) -> str:
    if len(places) == 1:
        return "false"
    values = ", ".join(f"(f{i}_{n}::text)" for n in places)
    return f"(select count(distinct tenantry_z.v) > 1 from (values {values}) tenantry_z (v))"


def chosen(table: Comparison, ways: Ways) -> tuple[str, str, str]:
    """Value, whether it is meant, and whether something differs that it would mend."""
    values, permits, differs = [], [], []
    for i, places in ways:
        flags = {n: table.flag(i, table.parts[i].feeds[n].asked) for n in places}
        value = " ".join(f"when f{i}_{n} is not null then f{i}_{n}" for n in places)
        permit = " ".join(f"when f{i}_{n} is not null then o{i}[{n + 1}]" for n in places)
        differ = " ".join(f"when f{i}_{n} is not null then {flags[n]}" for n in places)
        values.append(f"when h{i} then case {value} end")
        permits.append(f"when h{i} then case {permit} else {' and '.join(f'o{i}[{n + 1}]' for n in places)} end")
        differs.append(
            f"when h{i} then case when {_several(i, places)} then case {differ} end else {' or '.join(flags.values())} end"
        )
    return (
        f"(case {' '.join(values)} end)",
        f"(case {' '.join(permits)} else false end)",
        f"case {' '.join(differs)} else false end",
    )


def kept(table: Comparison, position: int) -> Iterator[str]:
    """Queries of (table, legacy id, column, reason): values for which the source has no room beside another one."""
    part = table.parts[position]
    for j, slot in enumerate(table.slots):
        places = dict(considered(table, slot)).get(position, [])
        columns = [part.feeds[n].asked for n in places]
        for column in columns:
            others = " and ".join(other for other in columns if other != column)
            reason = f"{table.name}.{slot.column.name} holds one value, and has that of {others}"
            yield (
                f"select {literal(part.target)}, w.legacy{position}, {literal(column)},"
                f" case when w.two[{j + 1}] then {literal(reason)} else {literal(part.why[column])} end from {table.work} w"
                f" where w.has_s and w.h{position} and w.cov{position} and {literal(column)} = any (w.d{position})"
            )


__all__ = ["chosen", "considered", "kept", "may_be_null", "several"]
